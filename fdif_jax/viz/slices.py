"""One picture per sample: three planes through the middle of image, label and both."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fdif_jax.errors import EnvironmentFault
from fdif_jax.io import atomic
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


def picture(image: np.ndarray, label: np.ndarray | None, title: str) -> bytes:
    """A PNG with a row per plane and the columns image, label, overlay.

    Args:
      image: (D, H, W), 0 to 128.
      label: (D, H, W) ids, or (D, H, W, tasks), of which the first task is drawn; without it there
        is one column.
      title: above the picture.

    Raises:
      EnvironmentFault: matplotlib is not installed.
    """
    columns = 1 if label is None else len(_COLUMNS)
    figure = drawing.figure((2.5 * columns, 8.0))
    figure.suptitle(title)
    if label is not None and label.ndim == 4:
        label = label[..., 0]
    for row, (plane, axis) in enumerate(_PLANES):
        middle = image.shape[axis] // 2
        grey = drawing.grey(np.take(image, middle, axis) / IMAGE_MAX)
        panels = [grey]
        if label is not None:
            ids = np.take(label, middle, axis)
            overlay = drawing.over(grey, drawing.colour(ids), ids > 0)
            panels += [drawing.coloured(ids), overlay]
        for column, pixels in enumerate(panels):
            axes = figure.add_subplot(3, columns, columns * row + column + 1)
            drawing.show(axes, pixels)
            if row == 0:
                axes.set_title(_COLUMNS[column])
            if column == 0:
                axes.set_ylabel(f"{plane}, {'zyx'[axis]} = {middle}")
    return drawing.png(figure)


def _write(out_dir: Path, layout: Layout, ref: SampleRef) -> str:
    view = layout.view(ref, [(out_dir / path).read_bytes() for path in layout.files(ref)])
    path = layout.picture_file(ref)
    try:
        atomic.write(out_dir / path, picture(view.image, view.label, view.title))
    except OSError as error:
        raise EnvironmentFault(
            f"{error.filename or path} cannot be written: {error.strerror}; the samples are "
            "complete, and the same command draws the missing pictures."
        ) from error
    return path
