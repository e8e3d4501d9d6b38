"""One picture per sample: three planes through the middle of image, label and both."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fdif_jax.errors import EnvironmentFault
from fdif_jax.io import atomic, nifti
from fdif_jax.io.layout import Layout, SampleRef
from fdif_jax.viz import drawing

_PLANES = (("axial", 0), ("coronal", 1), ("sagittal", 2))
_COLUMNS = ("image", "label", "overlay")
IMAGE_MAX = 128


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
    figure = drawing.figure((7.5, 8.0))
    figure.suptitle(title)
    label = label[..., 0] if label.ndim == 4 else label
    for row, (plane, axis) in enumerate(_PLANES):
        middle = image.shape[axis] // 2
        grey = drawing.grey(np.take(image, middle, axis) / IMAGE_MAX)
        ids = np.take(label, middle, axis)
        overlay = drawing.over(grey, drawing.colour(ids), ids > 0)
        for column, pixels in enumerate((grey, drawing.coloured(ids), overlay)):
            axes = figure.add_subplot(3, 3, 3 * row + column + 1)
            drawing.show(axes, pixels)
            if row == 0:
                axes.set_title(_COLUMNS[column])
            if column == 0:
                axes.set_ylabel(f"{plane}, {'zyx'[axis]} = {middle}")
    return drawing.png(figure)


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
