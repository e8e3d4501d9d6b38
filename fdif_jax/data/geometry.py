"""From the voxels of a file to the grid that a network sees, and back, as one record.

Four steps, each of which may be left out: crop to a box; turn the axes so that they run to the
right, to the front and up (RAS+); sample at other distances; pad with zeros on both sides.
"""

import dataclasses
import functools
from collections.abc import Iterable

import nibabel
import numpy as np

from fdif_jax.data import resample
from fdif_jax.errors import InputError

Three = tuple[int, int, int]
Box = tuple[slice, slice, slice]

_KEPT_MM = 1e-3  # an axis this close to the spacing that is asked for keeps its own
_MOST_VOXELS = 2**32
_FLAT = 1e-4  # determinant of the axes, each of length 1


@dataclasses.dataclass(frozen=True, eq=False)
class Geometry:
    """Which voxel of the file each voxel of the prepared grid is.

    Attributes:
      shape: of the file's volume.
      affine: of the file, (4, 4) float64, voxel indices to RAS+ world, mm.
      start: first voxel of the crop, along the axes of the file.
      stop: behind its last voxel.
      axes: for each axis of the grid the axis of the file that it runs along.
      flips: for each axis of the grid whether it runs the other way.
      steps: for each axis of the grid the voxels of the file between two of its voxels; 1.0 where
        the axis keeps its spacing.
      resampled: shape after sampling.
      before: voxels padded at the lower ends.
      prepared: shape at the end.
    """

    shape: Three
    affine: np.ndarray
    start: Three
    stop: Three
    axes: Three
    flips: tuple[bool, bool, bool]
    steps: tuple[float, float, float]
    resampled: Three
    before: Three
    prepared: Three

    @property
    def oriented(self) -> Three:
        """Shape of the crop after turning the axes."""
        i, j, k = (self.stop[axis] - self.start[axis] for axis in self.axes)
        return i, j, k

    @property
    def inner(self) -> Box:
        """Where the resampled volume lies in the padded one."""
        i, j, k = map(_run, self.before, self.resampled)
        return i, j, k

    @functools.cached_property
    def prepared_affine(self) -> np.ndarray:
        """(4, 4) float64, indices of the prepared grid to RAS+ world, mm."""
        return self.affine @ self._to_file()

    def _to_file(self) -> np.ndarray:
        """(4, 4), indices of the prepared grid to those of the file."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for grid, (axis, flip, step) in enumerate(
            zip(self.axes, self.flips, self.steps, strict=True)
        ):
            towards = -step if flip else step
            matrix[axis, grid] = towards
            first = self.stop[axis] - 1 if flip else self.start[axis]
            matrix[axis, 3] = first - towards * self.before[grid]
        return matrix


def plan(
    shape: Three,
    affine: np.ndarray,
    *,
    box: Box | None = None,
    orient: bool = True,
    spacing: tuple[float, float, float] | None = None,
    pad_to: Three | None = None,
) -> Geometry:
    """The geometry of one volume.

    Sampling at other distances keeps the directions of the axes, sheared ones too.

    Args:
      shape: of the file's volume.
      affine: of the file.
      box: what to crop to; None keeps all.
      orient: whether axes are turned to RAS+.
      spacing: mm, along the axes after turning; None keeps the file's.
      pad_to: least size of each axis after sampling.

    Raises:
      InputError: the affine is singular, or sampling would make more voxels than can be meant.
        The message fits behind the file's name.
    """
    check_affine(affine)
    spans = [_span(part, size) for part, size in zip(box or (slice(None),) * 3, shape, strict=True)]
    axes, flips = _turns(affine) if orient else ((0, 1, 2), (False, False, False))
    sizes = _three(spans[axis][1] - spans[axis][0] for axis in axes)
    steps = _steps([float(np.linalg.norm(affine[:3, axis])) for axis in axes], spacing)
    resampled = _three(
        round((size - 1) / step + 1) for size, step in zip(sizes, steps, strict=True)
    )
    if np.prod(resampled, dtype=float) > _MOST_VOXELS:
        raise InputError(
            f"has {_times(sizes)} voxels, which would be {_times(resampled)} at the spacing asked "
            "for; correct the voxel size in its header, or give --spacing native."
        )
    missing = [max(0, least - n) for least, n in zip(pad_to or resampled, resampled, strict=True)]
    return Geometry(
        shape=shape,
        affine=affine,
        start=_three(start for start, _ in spans),
        stop=_three(stop for _, stop in spans),
        axes=axes,
        flips=flips,
        steps=steps,
        resampled=resampled,
        before=_three(n // 2 for n in missing),
        prepared=_three(n + more for n, more in zip(resampled, missing, strict=True)),
    )


def check_affine(affine: np.ndarray) -> None:
    """Refuses an affine that says nothing of where the voxels are.

    Raises:
      InputError: the message fits behind the file's name.
    """
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not sizes.all():
        raise InputError("has an affine with a voxel size of 0 or without a number; correct it.")
    if abs(np.linalg.det(affine[:3, :3] / sizes)) < _FLAT:
        raise InputError("has an affine whose axes lie in one plane; correct it.")


def to_grid(volume: np.ndarray, geometry: Geometry, *, nearest: bool = False) -> np.ndarray:
    """The volume on the prepared grid, of the same type.

    Args:
      volume: (D, H, W, …) as in the file.
      geometry: of the file.
      nearest: take the nearest voxel, as labels need it, instead of interpolating.
    """
    grid = np.zeros((*geometry.prepared, *volume.shape[3:]), volume.dtype)
    sample = resample.nearest if nearest else resample.linear
    sample(oriented(volume, geometry), geometry.steps, grid[geometry.inner])
    return grid


def oriented(volume: np.ndarray, geometry: Geometry) -> np.ndarray:
    """The crop of a volume of the file, its axes turned: a view, so that writing goes through."""
    box = tuple(map(slice, geometry.start, geometry.stop))
    turned = volume[box].transpose(*geometry.axes, *range(3, volume.ndim))
    return turned[tuple(slice(None, None, -1 if flip else 1) for flip in geometry.flips)]


def bounding_box(inside: np.ndarray) -> Box | None:
    """The smallest box around all that is inside; None where nothing is.

    Args:
      inside: (D, H, W) bool.
    """
    plane = np.any(inside, axis=0)
    if not np.any(plane):
        return None
    lines = np.any(inside, axis=(1, 2)), np.any(plane, axis=1), np.any(plane, axis=0)
    i, j, k = (slice(int(at[0]), int(at[-1]) + 1) for at in map(np.flatnonzero, lines))
    return i, j, k


def _turns(affine: np.ndarray) -> tuple[Three, tuple[bool, bool, bool]]:
    """For R, A and S: which axis of the file comes closest, and whether it runs the other way."""
    codes = nibabel.io_orientation(affine)
    axes = _three(np.argsort(codes[:, 0]))
    right, front, up = (bool(codes[axis, 1] < 0) for axis in axes)
    return axes, (right, front, up)


def _steps(
    own: list[float], spacing: tuple[float, float, float] | None
) -> tuple[float, float, float]:
    if spacing is None:
        return 1.0, 1.0, 1.0
    i, j, k = (1.0 if abs(n - o) <= _KEPT_MM else n / o for n, o in zip(spacing, own, strict=True))
    return i, j, k


def _span(part: slice, size: int) -> tuple[int, int]:
    start, stop, _ = part.indices(size)
    return start, stop


def _run(first: int, size: int) -> slice:
    return slice(first, first + size)


def _three(values: Iterable[int]) -> Three:
    i, j, k = (int(value) for value in values)
    return i, j, k


def _times(shape: Three) -> str:
    return " x ".join(map(str, shape))
