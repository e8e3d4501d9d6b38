"""Whole images on a network's patch: a classifier sees all of an image at once."""

import numpy as np

from fdif_jax.data import resample


def fit(image: np.ndarray, patch: tuple[int, int, int]) -> np.ndarray:
    """The image in the middle of a patch.

    One that is too large is sampled more coarsely, by one factor for all axes, so that its
    proportions stay; what is left of the patch holds 0.

    Args:
      image: (D, H, W, C) float32.
      patch: voxels per axis of the result.
    """
    size = image.shape[:3]
    step = max(1.0, *(n / p for n, p in zip(size, patch, strict=True)))
    inner = tuple(min(p, max(1, round(n / step))) for n, p in zip(size, patch, strict=True))
    grid = np.zeros((*patch, image.shape[-1]), np.float32)
    starts = ((p - n) // 2 for n, p in zip(inner, patch, strict=True))
    z, y, x = (slice(start, start + n) for start, n in zip(starts, inner, strict=True))
    resample.linear(image, (step, step, step), grid[z, y, x])
    return grid
