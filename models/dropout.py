"""Dropout whose draws do not depend on how a batch is spread over devices."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array, lax


class Dropout(nnx.Module):
    """Zeroes numbers in training, each sample by a key of its own.

    A sample's key follows from the layer's stream and the sample's place in the whole batch, so
    one device and four draw the same.

    Args:
      rate: chance of a zero; what stays is divided by ``1 - rate``.
      shared: axes along which one draw counts for all, e.g. space: whole channels are zeroed.
      rngs: stream ``dropout``.

    Attributes:
      axis_name: mesh axis over which the batch is spread, if it is; see ``spread_batch``.
    """

    def __init__(self, rate: float, *, shared: tuple[int, ...] = (), rngs: nnx.Rngs):
        self.rate = rate
        self.shared = shared
        self.deterministic = False
        self.axis_name: str | None = None
        self.rngs = rngs["dropout"].fork()

    def __call__(self, x: Array) -> Array:
        """Same shape and dtype as ``x``, (B, …)."""
        if self.deterministic or self.rate == 0.0:
            return x
        if self.rate == 1.0:
            return jnp.zeros_like(x)
        samples = jnp.arange(x.shape[0])
        if self.axis_name is not None:
            samples += x.shape[0] * lax.axis_index(self.axis_name)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(self.rngs(), samples)
        shape = tuple(1 if i in self.shared else n for i, n in enumerate(x.shape))[1:]
        kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1.0 - self.rate, shape))(keys)
        return jnp.where(kept, x / (1.0 - self.rate), jnp.zeros_like(x))


def spread_batch(model: nnx.Module, axis_name: str | None) -> None:
    """Tells every layer that looks at the whole batch over which mesh axis it is spread.

    Inside ``jax.shard_map`` over that axis the network then gives what one device would give.
    """
    for _, module in nnx.iter_graph(model):
        if hasattr(module, "axis_name"):
            module.axis_name = axis_name


def draw_from(rng_state: nnx.State, key: Array) -> nnx.State:
    """Random streams that start afresh from ``key``, each layer's differently.

    Args:
      rng_state: ``nnx.state(model, nnx.RngState)``.
      key: of a training step.
    """
    seed = jax.random.key_data(key)

    def fresh(_: object, variable: nnx.Variable) -> nnx.Variable:
        value = variable[...]
        if not jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            return variable.replace(jnp.zeros_like(value))
        for word in seed:
            value = jax.random.fold_in(value, word)
        return variable.replace(value)

    return nnx.map_state(fresh, rng_state)
