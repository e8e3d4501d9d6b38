"""Predictions on the prepared grid back on the grid of the file: ``geometry`` undone.

A prediction comes as planes along the first axis of the grid and is never there as a whole: two
planes with all their classes are kept, and the labels are written where they belong in the file's
volume. Between the voxels of the grid, probabilities are interpolated, then the largest counts.
Where all corners around a voxel agree on the largest, so does every mixture of them; so only
voxels at the borders of classes, a few in a hundred, are interpolated, to the same result.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from fdif_jax.data.geometry import Geometry, oriented
from fdif_jax.data.resample import Taps, along, taps

_BLOCK = 1 << 22  # interpolated numbers in memory at a time

Planes = Iterable[tuple[int, np.ndarray]]
"""(number of the first plane, (n, H, W, C) values of n planes), in order, without gaps."""
Held = TypeVar("Held")


class _Task(NamedTuple):
    """One task's share of a plane of the grid."""

    values: np.ndarray  # (h, w, C)
    labels: np.ndarray  # (h, w), the largest


def restore_labels(planes: Planes, geometry: Geometry, classes: Sequence[int] = ()) -> np.ndarray:
    """The most probable class of each voxel of the file, 0 outside the crop.

    Args:
      planes: of the prepared grid, what is to be interpolated: probabilities, say.
      geometry: of the file.
      classes: channels of each task, in order; empty for one task.

    Returns:
      (D, H, W), or (D, H, W, tasks) with several, in the smallest unsigned type for the classes.
    """
    channels, planes = _channels(planes)
    parts = _parts(classes or [channels])
    highest = max(part.stop - part.start for part in parts) - 1
    result = np.zeros((*geometry.shape, len(parts)), np.min_scalar_type(highest))
    view = oriented(result, geometry)
    _, rows, columns = _taps(geometry)

    def tasks_of(plane: np.ndarray) -> list[_Task]:
        return [_Task(plane[..., p], plane[..., p].argmax(axis=-1)) for p in parts]

    for i, low, high, weight in _neighbours(planes, geometry, tasks_of):
        for task in range(len(parts)):
            view[i, ..., task] = _label_plane(low[task], high[task], weight, rows, columns)
    return result if len(parts) > 1 else result[..., 0]


def restore_probabilities(
    planes: Planes, geometry: Geometry, dtype: DTypeLike = np.float16, classes: Sequence[int] = ()
) -> np.ndarray:
    """(D, H, W, C) values on the file's grid; outside the crop, background has 1.

    Args:
      planes: of the prepared grid.
      geometry: of the file.
      dtype: of the result, the only thing here that is as large as classes times volume.
      classes: as in ``restore_labels``.
    """
    channels, planes = _channels(planes)
    result: np.ndarray = np.zeros((*geometry.shape, channels), dtype)
    result[..., [part.start for part in _parts(classes or [channels])]] = 1
    view = oriented(result, geometry)
    _, rows, columns = _taps(geometry)
    count = max(1, _BLOCK // (geometry.oriented[2] * channels))
    for i, low, high, weight in _neighbours(
        planes, geometry, lambda plane: plane.astype(np.float32)
    ):
        plane = low if weight == 0 else low + (high - low) * np.float32(weight)
        for first in range(0, geometry.oriented[1], count):
            some = slice(first, first + count)
            view[i, some] = along(along(plane, rows.part(some), 0), columns, 1)
    return result


def _label_plane(low: _Task, high: _Task, weight: float, rows: Taps, columns: Taps) -> np.ndarray:
    """The largest class at each voxel between two planes of the grid."""
    corners = [
        labels[np.ix_(row, column)]
        for labels in ((low.labels, high.labels) if weight else (low.labels,))
        for row, column in itertools.product(rows[:2], columns[:2])
    ]
    result = corners[0]
    mixed = np.zeros(result.shape, bool)
    for corner in corners[1:]:
        mixed |= corner != result
    y, x = np.nonzero(mixed)
    count = max(1, _BLOCK // low.values.shape[-1])
    for first in range(0, y.size, count):
        some = y[first : first + count], x[first : first + count]
        at = Taps(*(a[some[0]] for a in rows)), Taps(*(a[some[1]] for a in columns))
        result[some] = _mixtures(low.values, high.values, weight, *at).argmax(axis=-1)
    return result


def _mixtures(
    low: np.ndarray, high: np.ndarray, weight: float, rows: Taps, columns: Taps
) -> np.ndarray:
    """(n, C) interpolated values at n points.

    Only sums of products with weights from 0 to 1, which rounding keeps in order: what is largest
    at all corners is largest here.
    """
    result = np.zeros((rows.weight.size, low.shape[-1]), np.float32)
    for plane, a in ((low, 1 - weight), (high, weight)):
        for row, b in ((rows.low, 1 - rows.weight), (rows.high, rows.weight)):
            for column, c in ((columns.low, 1 - columns.weight), (columns.high, columns.weight)):
                result += plane[row, column] * (a * b * c).astype(np.float32)[:, None]
    return result


def _neighbours(
    planes: Planes, geometry: Geometry, enter: Callable[[np.ndarray], Held]
) -> Iterator[tuple[int, Held, Held, float]]:
    """For each oriented plane of the file: its number, the grid's planes before and after it.

    The last number says how much the second counts. ``enter`` is called once for each plane.
    """
    source = enumerate(_inner_planes(planes, geometry))
    held: dict[int, Held] = {}
    for i, (low, high, weight) in enumerate(zip(*_taps(geometry)[0], strict=True)):
        for number in [number for number in held if number < low]:
            del held[number]
        while high not in held:
            number, plane = next(source)
            if number >= low:
                held[number] = enter(plane)
        yield i, held[low], held[high], float(weight)
    for _ in source:  # padding: whoever counts planes sees the end
        pass


def _inner_planes(planes: Planes, geometry: Geometry) -> Iterator[np.ndarray]:
    """The planes without padding, one by one."""
    along_depth, rows, columns = geometry.inner
    wanted = 0
    for first, chunk in planes:
        assert first == wanted, f"plane {wanted} was to come, not {first}"
        wanted += len(chunk)
        for number, plane in enumerate(np.asarray(chunk), first):
            if along_depth.start <= number < along_depth.stop:
                yield plane[rows, columns]
    assert wanted == geometry.prepared[0], f"{wanted} of {geometry.prepared[0]} planes came"


def _taps(geometry: Geometry) -> tuple[Taps, Taps, Taps]:
    """For each axis, where the file's voxels fall between those of the grid."""
    depth, height, width = (
        taps(size, samples, 1 / step)
        for size, samples, step in zip(
            geometry.resampled, geometry.oriented, geometry.steps, strict=True
        )
    )
    return depth, height, width


def _channels(planes: Planes) -> tuple[int, Planes]:
    """How many values a voxel has, and the same planes from their start."""
    planes = iter(planes)
    first = next(planes)
    return first[1].shape[-1], itertools.chain([first], planes)


def _parts(classes: Sequence[int]) -> list[slice]:
    """Which channels are whose, for each task."""
    ends = list(itertools.accumulate(classes))
    return [slice(end - n, end) for n, end in zip(classes, ends, strict=True)]
