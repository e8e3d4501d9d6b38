"""Sampling a volume at other distances, axis by axis.

Sample i of an axis lies at voxel i * step of the source, no further than its last voxel: the
centres of the first voxels coincide. Linear interpolation in three axes is one after another in
each, which costs six reads a voxel instead of eight and needs no coordinates per voxel.
"""

from typing import NamedTuple

import numpy as np

_BLOCK = 1 << 21  # source voxels whose interpolation is in memory at a time, as float64


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
    count = max(1, _BLOCK // source[0].size)
    for first in range(0, into.shape[0], count):
        low, high, weight = plane.part(slice(first, first + count))
        start, stop = low[0], high[-1] + 1
        slab = np.ascontiguousarray(source[start:stop], np.float64)  # take would copy all of source
        block = along(slab, Taps(low - start, high - start, weight), 0)
        into[first : first + count] = along(along(block, row, 1), column, 2)


def nearest(source: np.ndarray, steps: tuple[float, float, float], into: np.ndarray) -> None:
    """As ``linear``, with the voxel that is nearest; halfway, the even one."""
    planes, rows, columns = (
        np.rint(np.clip(np.arange(samples) * step, 0, size - 1)).astype(np.intp)
        for size, samples, step in zip(source.shape[:3], into.shape[:3], steps, strict=True)
    )
    for i, plane in enumerate(planes):
        into[i] = source[plane][np.ix_(rows, columns)]


def along(values: np.ndarray, samples: Taps, axis: int) -> np.ndarray:
    """``values``, which are floats, interpolated along one axis in their own precision."""
    low = values.take(samples.low, axis)
    if not samples.weight.any():
        return low
    high = values.take(samples.high, axis)
    shape = [1] * values.ndim
    shape[axis] = -1
    high -= low
    high *= samples.weight.astype(values.dtype).reshape(shape)
    high += low
    return high
