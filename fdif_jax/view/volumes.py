"""The voxels of a sample, with axes that run to the right, the front and up, and what they hold."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fdif_jax.data import geometry
from fdif_jax.data.images import Image, read_image, read_label, unreadable
from fdif_jax.data.survey import Header, displacement, read_header
from fdif_jax.errors import InputError
from fdif_jax.infer.evaluate import read_pair
from fdif_jax.infer.metrics import overlaps
from fdif_jax.infer.pairing import Pair
from fdif_jax.io import b2nd
from fdif_jax.view.sources import Sample

Three = tuple[int, int, int]
Arrays = tuple[np.ndarray, ...]
_HIGHEST = 65535  # an id above is taken for a mistake, as in `fdif evaluate`


class Volumes(NamedTuple):
    """What is drawn of a sample; all arrays are (D, H, W) on one grid."""

    images: Arrays
    """float32, one for each channel."""
    labels: Arrays
    """Ids, one array for each task; none where voxels have no labels."""
    predictions: Arrays
    """As ``labels``."""
    affine: np.ndarray
    """(4, 4) float64, indices to RAS+ world, mm."""

    @property
    def shape(self) -> Three:
        """Of each array."""
        i, j, k = (self.images + self.labels + self.predictions)[0].shape
        return i, j, k

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres per voxel."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return i, j, k


class Count(NamedTuple):
    """A class of one sample: its voxels in label and prediction, None where that is not there.

    Dice is that of ``fdif evaluate``: None where the reference does not hold the class.
    """

    label: int
    voxels: int | None
    predicted: int | None
    dice: float | None


def read(sample: Sample, tasks: int) -> Volumes:
    """All voxels of a sample.

    Args:
      sample: its files.
      tasks: how many labels a voxel has.

    Raises:
      InputError: a file cannot be read, or does not fit the others of the sample.
    """
    path = (*sample.images, *sample.labels, sample.prediction)[0]
    assert path is not None
    if sample.images:
        image = _read_image(sample.images)
        shape, affine, channels = image.voxels.shape[:3], image.affine, image.voxels
    else:
        shape, _, affine = read_header(path, tasks)
        channels = np.zeros((*shape, 0), np.float32)
    labels, predictions = _read_labels(sample, shape, tasks)
    try:
        return _on_grid(Volumes(_split(channels), labels, predictions, affine), None)
    except InputError as error:
        raise InputError(f"{path} {error}") from error


def apart(sample: Sample, tasks: int) -> float:
    """How far the files of a sample lie from its first image by their headers, in voxel sides.

    They are drawn on one grid all the same, as `fdif train` takes them.

    Args:
      sample: its files.
      tasks: how many labels a voxel has.

    Raises:
      InputError: a header cannot be read.
    """
    if not sample.images or sample.images[0].name.endswith(b2nd.ENDING):
        return 0.0
    whole = len(sample.images) == 1
    first, *others = (read_header(path, None if whole else 1) for path in sample.images)
    given = sample.labels if sample.prediction is None else (*sample.labels, sample.prediction)
    headers: list[Header] = [*others, *(read_header(path, tasks) for path in given)]
    return max((displacement(first, header) for header in headers), default=0.0)


def thinned(volumes: Volumes, voxel: float) -> Volumes:
    """The same with at least ``voxel`` mm between voxels along each axis.

    The nearest voxel is taken, so that image and label are of one and the same place.
    """
    # In units of the smallest side, since a grid is planned to the micrometre, whatever its own.
    unit = min(volumes.spacing)
    scale = np.diag([unit, unit, unit, 1.0])
    i, j, k = (max(voxel, own) / unit for own in volumes.spacing)
    found = _on_grid(volumes._replace(affine=np.linalg.inv(scale) @ volumes.affine), (i, j, k))
    return found._replace(affine=scale @ found.affine)


def by_place(volumes: Volumes, found: Sequence[Sequence[Count]]) -> Volumes:
    """The same with places instead of ids: 1 for the first class that ``counts`` found, and so on.

    Colours are looked up by number, in a table that may not be as long as the highest id.
    """

    def places(arrays: Arrays) -> Arrays:
        return tuple(
            _table([one.label for one in task])[ids]
            for ids, task in zip(arrays, found, strict=False)
        )

    return volumes._replace(labels=places(volumes.labels), predictions=places(volumes.predictions))


def _table(ids: Sequence[int]) -> np.ndarray:
    """From id to place; the background stays 0."""
    table = np.zeros(max(ids, default=0) + 1, np.min_scalar_type(len(ids)))
    table[list(ids)] = np.arange(1, len(ids) + 1)
    return table


def counts(volumes: Volumes) -> list[list[Count]]:
    """For each task the classes that occur in label or prediction, but for the background."""
    pairs = itertools.zip_longest(volumes.labels, volumes.predictions)
    return [list(_counts(label, prediction)) for label, prediction in pairs]


def _counts(label: np.ndarray | None, prediction: np.ndarray | None) -> Sequence[Count]:
    given = [ids for ids in (label, prediction) if ids is not None]
    size = 1 + max(int(ids.max()) for ids in given)
    predicted, real, both = overlaps(given[-1], given[0], size).tolist()
    return [
        Count(
            i,
            None if label is None else real[i],
            None if prediction is None else predicted[i],
            2 * both[i] / (real[i] + predicted[i]) if len(given) == 2 and real[i] else None,
        )
        for i in range(1, size)
        if real[i] or predicted[i]
    ]


def _read_image(paths: Sequence[Path]) -> Image:
    path = paths[0]
    if not path.name.endswith(b2nd.ENDING):
        return read_image(paths)
    try:
        voxels = b2nd.decode(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing.") from error
    except (OSError, InputError) as error:
        raise InputError(f"{path} {unreadable(error)}") from error
    if voxels.ndim != 4 or not np.isfinite(voxels).all():
        raise InputError(
            f"{path} has the shape {voxels.shape}, or holds NaN; a volume is (C, D, H, W) numbers."
        )
    return Image(np.moveaxis(voxels, 0, -1).astype(np.float32, copy=False), np.eye(4))


def _read_labels(sample: Sample, shape: Three, tasks: int) -> tuple[Arrays, Arrays]:
    """Labels and predictions, one array for each task."""
    prediction = () if sample.prediction is None else (sample.prediction,)
    if not sample.labels or not prediction:
        return _read_ids(sample.labels, shape), _read_ids(prediction, shape)
    predicted, real, _ = read_pair(Pair(sample.id, prediction[0], sample.labels), tasks)
    if real.shape[:3] != shape:
        raise InputError(
            f"{sample.labels[0]} and {sample.images[0]} differ in their voxels; a label has its "
            "image's."
        )
    return _split(real), _split(predicted)


def _read_ids(paths: Sequence[Path], shape: Three) -> Arrays:
    if not paths:
        return ()
    label = read_label(paths, shape)
    if int(label.max()) > _HIGHEST:
        raise InputError(f"{paths[0]} holds the label {label.max()}; allowed: 0 to {_HIGHEST}.")
    return _split(label if label.ndim == 4 else label[..., None])


def _split(array: np.ndarray) -> Arrays:
    """(D, H, W, n) to n arrays (D, H, W)."""
    return tuple(np.moveaxis(array, -1, 0))


def _on_grid(volumes: Volumes, spacing: tuple[float, float, float] | None) -> Volumes:
    """With axes turned to RAS+, and at other distances."""
    grid = geometry.plan(volumes.shape, volumes.affine, spacing=spacing)
    images, labels, predictions = (
        tuple(geometry.to_grid(array, grid, nearest=True) for array in arrays)
        for arrays in (volumes.images, volumes.labels, volumes.predictions)
    )
    return Volumes(images, labels, predictions, grid.prepared_affine)
