"""Memory of SwinUNETR's 110-class step at 96^3, four crops, recomputation on.

    python scripts/bench_memory.py

Nothing is run: the figures are the compiled program's own analysis (arguments, result and
temporary buffers), for this machine's platform, with a loss that walks the volume plane by plane
and with one that makes a float one-hot.

    planes: 20.59 GiB in all, of which temporary 19.88
    one-hot: 19.14 GiB in all, of which temporary 18.43
"""

import argparse
from functools import partial

import jax
import jax.numpy as jnp
import optax
from fdif_jax.models import model_config
from fdif_jax.models.registry import abstract_network
from flax import nnx

from fdif_jax.compilation import compile_step

SMOOTH = 1e-5


def main() -> None:
    """Compiles the step with each loss and prints its memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="swin_unetr")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--classes", type=int, default=110)
    parser.add_argument("--no_remat", action="store_true")
    options = parser.parse_args()
    for name, loss in (("planes", by_planes), ("one-hot", with_one_hot)):
        analysis = compiled(options, loss).memory_analysis()
        gib = {
            kind: getattr(analysis, f"{kind}_size_in_bytes") / 2**30
            for kind in ("argument", "output", "alias", "temp")
        }
        total = gib["argument"] + gib["output"] - gib["alias"] + gib["temp"]
        print(f"{name}: {total:.2f} GiB in all, of which temporary {gib['temp']:.2f}", flush=True)


def compiled(options, loss):
    """The training step's program."""
    config = model_config(options.network, out_channels=options.classes, remat=not options.no_remat)
    model = abstract_network(config)
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    optimizer = optax.adamw(1e-4, weight_decay=1e-5)
    state = jax.eval_shape(optimizer.init, params)
    sides = (options.batch, *(options.size,) * 3)

    def step(params, rest, state, x, labels):
        def objective(params):
            return loss(nnx.merge(graph, params, rest, copy=True)(x), labels)

        value, grads = jax.value_and_grad(objective)(params)
        changes, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, changes), state, value

    x = jax.ShapeDtypeStruct((*sides, 1), jnp.float32)
    labels = jax.ShapeDtypeStruct(sides, jnp.uint8)
    return compile_step(jax.jit(step, donate_argnums=(0, 2)), params, rest, state, x, labels)


def with_one_hot(logits, labels):
    """Dice + cross-entropy as it is usually written."""
    p = jax.nn.softmax(logits)
    hot = jax.nn.one_hot(labels, logits.shape[-1])
    met, total = (p * hot).sum((1, 2, 3)), (p + hot).sum((1, 2, 3))
    return dice(met, total) - (jax.nn.log_softmax(logits) * hot).sum(-1).mean()


def by_planes(logits, labels):
    """The same; a plane's probabilities at a time, made again for the gradient."""

    @partial(jax.checkpoint, prevent_cse=False)
    def plane(sums, inputs):
        one, label = inputs
        log = jax.nn.log_softmax(one)
        p = jnp.exp(log)
        hot = label[..., None] == jnp.arange(one.shape[-1], dtype=label.dtype)
        met = jnp.where(hot, p, 0.0).sum((1, 2))
        total = p.sum((1, 2)) + hot.sum((1, 2))
        return (sums[0] + met, sums[1] + total, sums[2] + jnp.where(hot, log, 0.0).sum()), None

    zero = jnp.zeros((logits.shape[0], logits.shape[-1]))
    planes = (logits.swapaxes(0, 1), labels.swapaxes(0, 1))
    (met, total, likelihood), _ = jax.lax.scan(plane, (zero, zero, jnp.float32(0)), planes)
    return dice(met, total) - likelihood / labels.size


def dice(met, total):
    """Mean over samples and classes."""
    return (1 - (2 * met + SMOOTH) / (total + SMOOTH)).mean()


if __name__ == "__main__":
    main()
