"""Learning rates as functions of the number of updates done."""

import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike


def warmup_updates(max_iterations: int) -> int:
    """How many updates the warm-up takes: 500, or a tenth of runs below 1000."""
    return 500 if max_iterations >= 1000 else max(1, max_iterations // 10)


def warmup_cosine(base: float, max_iterations: int) -> optax.Schedule:
    """From 0 in a straight line to ``base``, then half a cosine to 0 at ``max_iterations``.

    The first update runs with 0 and the last of the warm-up with ``base``, as in the original.
    The cosine is written as a squared sine of the way still to go: 1 + cos(pi - x) has no correct
    digit in float32 for the last updates of a long run.

    Args:
      base: the largest rate.
      max_iterations: updates of the whole run; behind them the rate rises again.
    """
    warmup = warmup_updates(max_iterations)

    def rate(count: ArrayLike) -> Array:
        done = jnp.asarray(count).astype(jnp.float32)
        rising = done / max(warmup - 1, 1)
        ahead = (max_iterations - done) / max(max_iterations - warmup, 1)
        falling = jnp.sin(jnp.pi / 2 * ahead) ** 2
        return base * jnp.where(done < warmup, rising, falling)

    return rate
