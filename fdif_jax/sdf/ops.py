"""Moving and joining solids."""

import jax.numpy as jnp
from jax import Array


def affine(matrix: Array, x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
    """The points under a 3x4 matrix that acts on the column (x, y, z, 1)."""
    return tuple(m[0] * x + m[1] * y + m[2] * z + m[3] for m in (matrix[0], matrix[1], matrix[2]))


def smooth_union(first: Array, second: Array, *, k: Array) -> Array:
    """Minimum of two distances with the crease rounded over a width ``k``, in voxels.

    Lower than the minimum by at most ``k/4``. Source: I. Quilez, "Smooth minimum", quadratic.
    """
    overlap = jnp.maximum(k - jnp.abs(first - second), 0.0)
    return jnp.minimum(first, second) - overlap * overlap / (4.0 * k)
