"""A small picture of each sample: one plane of its image, with the labels over it."""

import importlib.util
import io

import numpy as np

from fdif_jax.errors import EnvironmentFault
from fdif_jax.view.packing import window
from fdif_jax.view.volumes import Volumes
from fdif_jax.viz import drawing

SIDE = 144  # pixels of the longer side
_QUALITY = 80


def require_viz() -> None:
    """Raises EnvironmentFault, naming the extra, where Pillow or matplotlib is not installed."""
    if importlib.util.find_spec("PIL") is None or not drawing.available():
        raise EnvironmentFault(
            "fdif view needs matplotlib and Pillow: pip install 'fdif-jax[viz]'."
        )


def thumbnail(volumes: Volumes) -> bytes:
    """A JPEG of the axial plane with most foreground, or of the middle one.

    The prediction is drawn where there is one, and of several tasks the first.
    """
    from PIL import Image

    ids = next(iter((*volumes.predictions, *volumes.labels)), None)
    index = _fullest(ids) if ids is not None and ids.any() else volumes.shape[2] // 2
    pixels = _pixels(volumes, ids, index)
    # Rows of a picture run downwards, those of a plane to the front.
    picture = Image.fromarray((255 * pixels.transpose(1, 0, 2)[::-1]).astype(np.uint8))
    buffer = io.BytesIO()
    picture.resize(_size(volumes), Image.Resampling.BICUBIC).save(
        buffer, "JPEG", quality=_QUALITY, optimize=True
    )
    return buffer.getvalue()


def _pixels(volumes: Volumes, ids: np.ndarray | None, index: int) -> np.ndarray:
    """RGB of a plane, (D, H, 3), 0 to 1."""
    below = np.zeros((*volumes.shape[:2], 3))
    if volumes.images:
        low, high = window(volumes.images[0])
        below = drawing.grey(
            (volumes.images[0][..., index].astype(np.float64) - low) / (high - low)
        )
    if ids is None:
        return below
    classes = ids[..., index]
    return drawing.over(below, drawing.colour(classes), classes > 0)


def _fullest(ids: np.ndarray) -> int:
    return int((ids > 0).sum((0, 1)).argmax())


def _size(volumes: Volumes) -> tuple[int, int]:
    """Pixels across and down, so that the voxels have their shape."""
    across, down = np.multiply(volumes.shape[:2], volumes.spacing[:2])
    scale = SIDE / max(across, down)
    return max(1, round(across * scale)), max(1, round(down * scale))
