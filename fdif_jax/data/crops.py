"""Where a volume is cut: windows around a foreground or a background voxel."""

from typing import NamedTuple

import numpy as np

_TRIES = 64  # at a background voxel, before all of them are listed


class Crops(NamedTuple):
    """Windows of one volume, or of several."""

    image: np.ndarray
    """(N, D, H, W, C) float32."""
    label: np.ndarray
    """(N, D, H, W) or (N, D, H, W, T)."""


def foreground_of(label: np.ndarray) -> np.ndarray:
    """Places of the voxels that carry a label in any task, in the flattened volume; int32 or int64.

    Args:
      label: (D, H, W) or (D, H, W, T).
    """
    marked = label if label.ndim == 3 else label.any(-1)
    places = np.flatnonzero(marked)
    return places.astype(np.int32 if marked.size < 2**31 else np.int64)


def crop_start(
    rng: np.random.Generator,
    label: np.ndarray,
    foreground: np.ndarray,
    patch: tuple[int, int, int],
) -> tuple[int, int, int]:
    """The first voxel of a random window.

    Its centre is a foreground or a background voxel with equal chance, or the one kind that there
    is; near the border the window is moved back into the volume.

    Args:
      rng: five numbers or more are drawn from it.
      label: (D, H, W) or (D, H, W, T); at least as large as the patch.
      foreground: what ``foreground_of`` gave.
      patch: voxels per axis of a window.
    """
    shape = label.shape[:3]
    size = int(np.prod(shape))
    inside = len(foreground) and (rng.random() < 0.5 or len(foreground) == size)
    place = foreground[rng.integers(len(foreground))] if inside else _outside(rng, label)
    centre = np.unravel_index(place, shape)
    starts = (
        min(max(int(c) - p // 2, 0), n - p) for c, p, n in zip(centre, patch, shape, strict=True)
    )
    return tuple(starts)  # type: ignore[return-value]


def cut(volume: np.ndarray, start: tuple[int, int, int], patch: tuple[int, int, int]) -> np.ndarray:
    """The window, a view where the array allows one."""
    z, y, x = (slice(s, s + p) for s, p in zip(start, patch, strict=True))
    return volume[z, y, x]


def _outside(rng: np.random.Generator, label: np.ndarray) -> int:
    """A background voxel, all alike: a few blind tries, since most voxels are background."""
    shape = label.shape[:3]
    flat = label.reshape(-1, *label.shape[3:])
    for place in rng.integers(int(np.prod(shape)), size=_TRIES):
        if not np.any(flat[place]):
            return int(place)
    places = np.flatnonzero(~(flat.astype(bool) if label.ndim == 3 else flat.any(-1)))
    return int(places[rng.integers(len(places))])
