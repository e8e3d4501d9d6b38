"""One picture per sample: three planes through the middle of image, label and both.

matplotlib is imported where it is needed, and its figures are made without pyplot, whose global
state does not bear threads.
"""

import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from fdif_jax.errors import EnvironmentFault
from fdif_jax.io import atomic, nifti
from fdif_jax.io.layout import Layout, SampleRef

_PLANES = (("axial", 0), ("coronal", 1), ("sagittal", 2))
_COLUMNS = ("image", "label", "overlay")
_GOLDEN_TURN = 0.61803398875  # steps of it keep the hues of neighbouring ids apart
IMAGE_MAX = 128
_OPACITY = 0.5


def write_pictures(
    out_dir: Path, layout: Layout, refs: Iterable[SampleRef], *, workers: int
) -> list[str]:
    """Draws those samples that have no picture yet, from their files; returns their paths.

    Raises:
      EnvironmentFault: matplotlib is not installed, or a picture cannot be written.
    """
    todo = [ref for ref in refs if not (out_dir / layout.picture_file(ref)).exists()]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda ref: _write(out_dir, layout, ref), todo))


def picture(image: np.ndarray, label: np.ndarray, title: str) -> bytes:
    """A PNG with a row per plane and the columns image, label, overlay.

    Args:
      image: (D, H, W), 0 to 128.
      label: (D, H, W) ids, or (D, H, W, tasks), of which the first task is drawn.
      title: above the picture.

    Raises:
      EnvironmentFault: matplotlib is not installed.
    """
    figure = _figure()(figsize=(7.5, 8.0), layout="constrained")
    figure.suptitle(title)
    label = label[..., 0] if label.ndim == 4 else label
    for row, (plane, axis) in enumerate(_PLANES):
        middle = image.shape[axis] // 2
        grey = np.take(image, middle, axis) / IMAGE_MAX
        ids = np.take(label, middle, axis)
        grey_rgb = np.repeat(grey[..., None], 3, axis=-1).clip(0, 1)
        shown = (ids > 0)[..., None]
        colours = colour(ids)
        overlay = np.where(shown, (1 - _OPACITY) * grey_rgb + _OPACITY * colours, grey_rgb)
        for column, pixels in enumerate((grey_rgb, colours * shown, overlay)):
            axes = figure.add_subplot(3, 3, 3 * row + column + 1)
            axes.imshow(pixels, origin="lower", interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            if row == 0:
                axes.set_title(_COLUMNS[column])
            if column == 0:
                axes.set_ylabel(f"{plane}, {'zyx'[axis]} = {middle}")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def colour(ids: np.ndarray) -> np.ndarray:
    """RGB of class ids, (…) to (…, 3): the same colour for the same id in every picture."""
    hue = (ids.astype(np.float64) * _GOLDEN_TURN) % 1.0
    bright = np.where(ids % 2 == 0, 0.75, 1.0)
    sector = (hue[..., None] * 6 + np.array([0.0, 4.0, 2.0])) % 6
    return bright[..., None] * np.clip(np.abs(sector - 3) - 1, 0, 1)


def _write(out_dir: Path, layout: Layout, ref: SampleRef) -> str:
    image, label = (
        nifti.decode((out_dir / path).read_bytes())[0] for path in layout.files(ref)[:2]
    )
    path = layout.picture_file(ref)
    try:
        atomic.write(out_dir / path, picture(image, label, Path(path).stem))
    except OSError as error:
        raise EnvironmentFault(
            f"{error.filename or path} cannot be written: {error.strerror}; the samples are "
            "complete, and the same command draws the missing pictures."
        ) from error
    return path


def _figure() -> Any:
    """The figure class; its savefig brings its own canvas for the format."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EnvironmentFault(
            "pictures need matplotlib: pip install 'fdif-jax[viz]', or leave out --num_visualize."
        ) from error
    return Figure
