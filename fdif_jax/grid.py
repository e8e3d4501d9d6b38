"""Where samples lie in space: the one place where [z, y, x] meets (x, y, z).

Arrays are indexed ``[z, y, x]`` and have shape (D, H, W); points are (x, y, z). A grid knows
the world coordinate of each index, in voxels.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from fdif_jax.config import check_grid


class Points(NamedTuple):
    """World coordinates; the three arrays broadcast against each other."""

    x: Array
    y: Array
    z: Array


@dataclasses.dataclass(frozen=True, slots=True)
class Grid:
    """Samples per axis and the world coordinates of the first and the next one.

    Index ``k`` of an axis lies at ``origin + k * step``. All tuples are ordered (D, H, W).

    Raises:
      InputError: an axis is shorter than ``config.MIN_GRID``.
    """

    shape: tuple[int, int, int]
    origin: tuple[float, float, float]
    step: tuple[float, float, float]

    def __post_init__(self) -> None:
        """Checks the sizes."""
        check_grid(self.shape)

    @classmethod
    def voxels(cls, shape: tuple[int, int, int]) -> "Grid":
        """One sample per voxel; index ``k`` lies at ``k - D/2``, so the last at ``D/2 - 1``."""
        depth, height, width = shape
        return cls(shape, (-depth / 2, -height / 2, -width / 2), (1.0, 1.0, 1.0))

    @classmethod
    def centred(cls, shape: tuple[int, int, int], scale: float) -> "Grid":
        """``D`` samples from ``-D/2 * scale`` to ``D/2 * scale``, both ends included."""
        ends = [-size / 2 * scale for size in shape]
        steps = [size * scale / (size - 1) for size in shape]
        return cls(shape, (ends[0], ends[1], ends[2]), (steps[0], steps[1], steps[2]))

    @property
    def largest(self) -> tuple[float, float, float]:
        """The largest coordinate on each axis, (z, y, x)."""
        z, y, x = (
            o + s * (n - 1) for o, s, n in zip(self.origin, self.step, self.shape, strict=True)
        )
        return z, y, x

    def points(self, start: tuple = (0, 0, 0), size: tuple | None = None) -> Points:
        """Coordinates of a box of samples, as rows that broadcast to its (d, h, w).

        Whatever depends on one axis only (all of a displacement's sines) costs one row.

        Args:
          start: first index on each axis, (z, y, x); may be traced.
          size: samples on each axis, static; the whole grid if omitted.
        """
        size = self.shape if size is None else size
        z, y, x = (
            o + s * (jnp.arange(n, dtype=jnp.float32) + jnp.float32(first))
            for o, s, n, first in zip(self.origin, self.step, size, start, strict=True)
        )
        return Points(x[None, None, :], y[None, :, None], z[:, None, None])
