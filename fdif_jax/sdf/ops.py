"""Moving and joining solids."""

import jax.numpy as jnp
from jax import Array


def affine(matrix: Array, x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
    """The points under a 3x4 matrix that acts on the column (x, y, z, 1)."""
    u, v, w = (row[0] * x + row[1] * y + row[2] * z + row[3] for row in matrix)
    return u, v, w


def smooth_union(first: Array, second: Array, *, k: Array) -> Array:
    """Minimum of two distances with the crease rounded over a width ``k``, in voxels.

    Lower than the minimum by at most ``k/4``. Source: I. Quilez, "Smooth minimum", quadratic.
    """
    overlap = jnp.maximum(k - jnp.abs(first - second), 0.0)
    return jnp.minimum(first, second) - overlap * overlap / (4.0 * k)
