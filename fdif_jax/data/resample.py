"""Sampling a volume at other distances, axis by axis.

Sample i of an axis lies at voxel i * step of the source, no further than its last voxel: the
centres of the first voxels coincide. Linear interpolation in three axes is one after another in
each, which costs six reads a voxel instead of eight and needs no coordinates per voxel.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

_BLOCK = 1 << 22  # source voxels whose interpolation is in memory at a time, as float64


class Taps(NamedTuple):
    """For each sample of an axis: the two voxels around it, and how much the second counts."""

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray

    def part(self, samples: slice) -> "Taps":
        """Those of some samples."""
        return Taps(*(array[samples] for array in self))


def taps(size: int, samples: int, step: float) -> Taps:
    """Where ``samples`` samples fall on an axis of ``size`` voxels; weights are float64.

    A sample on a voxel has that voxel for both of its neighbours.
    """
    positions = np.clip(np.arange(samples) * step, 0, size - 1)
    low = np.floor(positions).astype(np.intp)
    weight = positions - low
    return Taps(low, low + (weight > 0), weight)


def linear(source: np.ndarray, steps: tuple[float, float, float], into: np.ndarray) -> None:
    """Writes ``source``, interpolated in float64, ``into`` an array of the size wanted.

    Args:
      source: (D, H, W, …), of any strides.
      steps: source voxels between samples, for each axis; 1.0 takes the axis as it is.
      into: (D', H', W', …).
    """
    plane, row, column = map(taps, source.shape[:3], into.shape[:3], steps)
    count = max(1, _BLOCK // max(1, source[0].size))
    for first in range(0, into.shape[0], count):
        planes = slice(first, first + count)
        block = along(source, plane.part(planes), 0)
        into[planes] = along(along(block, row, 1), column, 2)


def nearest(source: np.ndarray, steps: tuple[float, float, float], into: np.ndarray) -> None:
    """As ``linear``, with the voxel that is nearest; halfway, the even one."""
    nearby = [
        np.rint(np.clip(np.arange(samples) * step, 0, size - 1)).astype(np.intp)
        for size, samples, step in zip(source.shape, into.shape[:3], steps, strict=False)
    ]
    for i, plane in enumerate(nearby[0]):
        into[i] = source[plane][np.ix_(nearby[1], nearby[2])]


def along(
    values: np.ndarray, samples: Taps, axis: int, dtype: DTypeLike = np.float64
) -> np.ndarray:
    """``values`` interpolated along one axis."""
    low: np.ndarray = values.take(samples.low, axis).astype(dtype, copy=False)
    if not samples.weight.any():
        return low
    high: np.ndarray = values.take(samples.high, axis).astype(dtype, copy=False)
    shape = [1] * values.ndim
    shape[axis] = -1
    high -= low
    high *= samples.weight.astype(dtype, copy=False).reshape(shape)
    high += low
    return high
