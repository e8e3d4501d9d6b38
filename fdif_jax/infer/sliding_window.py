"""Logits of a volume of any size, from a network that takes patches of one size.

The volume is covered by overlapping windows, and a voxel's logits are the weighted mean of what
the windows around it say. Windows come plane after plane along the first axis, so only as many
planes as a patch is deep are ever summed up; planes that no later window touches are handed out.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from fdif_jax.errors import InputError

Shape3 = tuple[int, int, int]
Start = tuple[int, int, int]
Apply = Callable[[np.ndarray], Any]
"""(n, D, H, W, C_in) to logits (n, D, H, W, C_out): compiled, for a batch of patches."""
Progress = Callable[[int, int], None]
"""Called with (windows done, all windows)."""

_GAUSSIAN_SIGMA = 1 / 8  # of the patch's side
_GAUSSIAN_FLOOR = 1e-3  # so that a voxel seen by one corner only keeps a weight


@dataclasses.dataclass(frozen=True, slots=True)
class Windows:
    """How a volume is covered.

    Attributes:
      patch: voxels per axis of a window.
      overlap: share of a side that neighbouring windows have in common, from 0 to below 1.
      blending: ``constant`` weighs all voxels of a window alike, ``gaussian`` its centre more.
      batch: windows that go to the device at once.
      mirror: every window is seen in all eight mirror images, at eight times the cost.
    """

    patch: Shape3
    overlap: float = 0.25
    blending: Literal["constant", "gaussian"] = "constant"
    batch: int = 4
    mirror: bool = False

    def __post_init__(self) -> None:
        """Refuses what cannot cover a volume."""
        if len(self.patch) != 3 or min(self.patch) < 1:
            raise InputError(f"a patch has three positive sides, got {self.patch}.")
        if not 0 <= self.overlap < 1:
            raise InputError(f"overlap is {self.overlap}; allowed: 0 to below 1.")
        if self.blending not in ("constant", "gaussian"):
            raise InputError(f"blending is {self.blending!r}; allowed: constant, gaussian.")
        if self.batch < 1:
            raise InputError(f"batch is {self.batch}; allowed: 1 or more.")


class _Job(NamedTuple):
    """One window in one mirror image."""

    start: Start
    flipped: tuple[int, ...]


def window_starts(shape: Sequence[int], windows: Windows) -> list[Start]:
    """The first voxel of every window, the last axis running fastest.

    A volume smaller than the patch counts as padded to it.

    Args:
      shape: voxels per axis of the volume.
      windows: how it is covered; the last window of an axis is moved back to end with it.
    """
    axes = []
    for size, side in zip(shape, windows.patch, strict=True):
        step = max(int(side * (1 - windows.overlap)), 1)
        last = max(size - side, 0)
        axes.append([*range(0, last, step), last])
    return list(itertools.product(*axes))


def window_count(shape: Sequence[int], windows: Windows) -> int:
    """How many windows the network sees, mirror images included."""
    return len(_jobs(shape, windows))


def predict_planes(
    apply: Apply,
    image: np.ndarray,
    windows: Windows,
    channels: int,
    progress: Progress | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Finished logits as (z, planes z to z + n of them, (n, H, W, channels) float32), in order.

    While the device works on one batch of windows, the host adds up the batch before it. The last
    batch is filled up with zeros, so that one program serves volumes of every size.

    Args:
      apply: the network.
      image: (D, H, W, C); where it is smaller than the patch it is padded with zeros.
      windows: how it is covered.
      channels: of the logits.
      progress: told after every window.
    """
    padded, before = _padded(image, windows.patch)
    rows, columns = (slice(b, b + n) for b, n in zip(before[1:], image.shape[1:3], strict=True))
    jobs = _jobs(padded.shape[:3], windows)
    slab = _Slab(padded.shape[1:3], channels, windows)

    def finished(stop: int) -> Iterator[tuple[int, np.ndarray]]:
        for z, plane in slab.advance(stop):
            if before[0] <= z < before[0] + image.shape[0]:
                yield z - before[0], plane[None, rows, columns]

    for done, (job, logits) in enumerate(_results(apply, padded, jobs, windows), 1):
        yield from finished(job.start[0])
        slab.add(job, logits)
        if progress is not None:
            progress(done, len(jobs))
    yield from finished(padded.shape[0])


def sliding_window(apply: Apply, image: np.ndarray, windows: Windows, channels: int) -> np.ndarray:
    """Logits of the whole volume at once, (D, H, W, channels) float32; see ``predict_planes``."""
    return np.concatenate([p for _, p in predict_planes(apply, image, windows, channels)])


def predict_labels(
    apply: Apply,
    image: np.ndarray,
    windows: Windows,
    channels: int | Sequence[int],
    progress: Progress | None = None,
) -> np.ndarray:
    """The class of every voxel, (D, H, W), in the smallest unsigned type for the classes.

    Args:
      apply: the network; with several tasks, their logits one behind the other.
      image: (D, H, W, C).
      windows: how it is covered.
      channels: classes; one number for each task gives (D, H, W, tasks).
      progress: told after every window.
    """
    tasks = (channels,) if isinstance(channels, int) else tuple(channels)
    planes = predict_planes(apply, image, windows, sum(tasks), progress)
    labels = np.concatenate([classes_of(logits, tasks) for _, logits in planes])
    return labels[..., 0] if isinstance(channels, int) else labels


def classes_of(logits: np.ndarray, tasks: Sequence[int]) -> np.ndarray:
    """The class with the largest logit for each task, (…, tasks), in the smallest unsigned type.

    Of equals the first.
    """
    dtype = np.min_scalar_type(max(tasks) - 1)
    parts = np.split(logits, np.cumsum(tasks)[:-1], axis=-1)
    return np.stack([part.argmax(-1).astype(dtype) for part in parts], axis=-1)


class _Slab:
    """Weighted sums of logits over as many planes as a patch is deep, moving along the volume."""

    def __init__(self, plane: Sequence[int], channels: int, windows: Windows):
        depth = windows.patch[0]
        self._sums = np.zeros((depth, *plane, channels), np.float32)
        self._weights = np.zeros((depth, *plane), np.float32)
        self._map = None if windows.blending == "constant" else _gaussian(windows.patch)
        self._first = 0

    def add(self, job: _Job, logits: np.ndarray) -> None:
        """Adds one window that starts at the slab's first plane."""
        logits = np.flip(logits, job.flipped)
        _, y, x = (slice(s, s + n) for s, n in zip(job.start, logits.shape[:3], strict=True))
        if self._map is None:
            self._sums[:, y, x] += logits
            self._weights[:, y, x] += 1
        else:
            self._sums[:, y, x] += self._map[..., None] * logits
            self._weights[:, y, x] += self._map

    def advance(self, stop: int) -> Iterator[tuple[int, np.ndarray]]:
        """The means of the planes before ``stop``, one by one; moves the slab behind them."""
        count = stop - self._first
        for i in range(count):
            yield self._first + i, self._sums[i] / self._weights[i][..., None]
        for buffer in (self._sums, self._weights):
            for i in range(len(buffer) if count else 0):  # plane by plane: no second buffer
                buffer[i] = buffer[i + count] if i + count < len(buffer) else 0
        self._first = stop


def _results(
    apply: Apply, image: np.ndarray, jobs: Sequence[_Job], windows: Windows
) -> Iterator[tuple[_Job, np.ndarray]]:
    """Every job with its logits; a batch is started before the one ahead of it is handed out."""
    running: tuple[Sequence[_Job], Any] = ((), ())
    for i in range(0, len(jobs), windows.batch):
        batch = jobs[i : i + windows.batch]
        started = apply(_gathered(image, batch, windows))
        yield from zip(running[0], np.asarray(running[1]), strict=False)
        running = batch, started
    yield from zip(running[0], np.asarray(running[1]), strict=False)


def _gathered(image: np.ndarray, batch: Sequence[_Job], windows: Windows) -> np.ndarray:
    """(batch, D, H, W, C): the windows of the jobs, zeros behind the last one."""
    result = np.zeros((windows.batch, *windows.patch, image.shape[-1]), image.dtype)
    for own, job in zip(result, batch, strict=False):
        corner = (slice(s, s + n) for s, n in zip(job.start, windows.patch, strict=True))
        own[...] = np.flip(image[tuple(corner)], job.flipped)
    return result


def _jobs(shape: Sequence[int], windows: Windows) -> list[_Job]:
    sides = range(4) if windows.mirror else range(1)
    flips = [axes for count in sides for axes in itertools.combinations(range(3), count)]
    return [_Job(start, axes) for start in window_starts(shape, windows) for axes in flips]


def _padded(image: np.ndarray, patch: Shape3) -> tuple[np.ndarray, tuple[int, ...]]:
    """The image at least as large as the patch, zeros on both sides, and what lies before it."""
    lack = [max(side - size, 0) for side, size in zip(patch, image.shape[:3], strict=True)]
    if not any(lack):
        return image, (0, 0, 0)
    widths = [(n // 2, n - n // 2) for n in lack]
    return np.pad(image, [*widths, (0, 0)]), tuple(before for before, _ in widths)


def _gaussian(patch: Shape3) -> np.ndarray:
    """A window's weights: 1 at its centre, never below ``_GAUSSIAN_FLOOR``; float32."""
    axes = [(np.arange(n) - (n - 1) / 2) / (_GAUSSIAN_SIGMA * n) for n in patch]
    z, y, x = (np.exp(-0.5 * axis**2) for axis in axes)
    weights = z[:, None, None] * y[:, None] * x
    return np.maximum(weights, _GAUSSIAN_FLOOR).astype(np.float32)
