"""A data set's headers looked at before anything is compiled: thousands of cases in seconds.

What only the voxels can tell (NaN, ids that are no class, files cut off behind the header) is
found at the first reading, by ``images``.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fdif_jax.data import geometry
from fdif_jax.data.datalist import Case, DataList
from fdif_jax.data.images import channel_axis, counted, read_image, squeezed, unreadable
from fdif_jax.errors import InputError
from fdif_jax.io import nifti

_WORKERS = 8
_ELSEWHERE = 0.01  # share of the smallest voxel side; headers in float32 differ by less


@dataclasses.dataclass(frozen=True, slots=True)
class Survey:
    """What the headers say.

    Attributes:
      channels: of every image.
      shapes: (D, H, W) of each case, training first, then validation.
      notes: what is allowed but may not be meant, one sentence each.
    """

    channels: int
    shapes: tuple[tuple[int, int, int], ...]
    notes: tuple[str, ...]


class Header(NamedTuple):
    """One file: (D, H, W), how many channels (or tasks), the affine."""

    shape: tuple[int, int, int]
    extra: int
    affine: np.ndarray


class _Look(NamedTuple):
    """One case: its image, and how far from it (in its voxel sides) its other files lie."""

    image: Header
    channels: int
    away: float


def check_datalist(
    datalist: DataList, *, channels: int | None = None, workers: int = _WORKERS
) -> Survey:
    """Looks at the header of every file of training and validation.

    Args:
      datalist: the data set.
      channels: what --in_channels says; None takes what is declared, or what the first case has.
      workers: threads.

    Raises:
      InputError: a file is missing or unreadable, a case has no label, other channels, or a label
        of another shape. The first one is named, the others are counted.
    """
    cases = (*datalist.training, *datalist.validation)
    if not datalist.training:
        raise InputError(f"{datalist.path} lists no training cases.")
    wanted = channels or len(datalist.modality) or None
    tasks = len(datalist.tasks) or 1
    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(lambda case: _try(lambda: _look(case, wanted, tasks)), cases))
    problems = [look for look in found if isinstance(look, str)]
    looks = [look for look in found if isinstance(look, _Look)]
    wanted = wanted or (looks[0].channels if looks else 1)
    problems += list(_other_channels(cases, found, wanted))
    if problems:
        more = f" ({len(problems)} cases have problems.)" if problems[1:] else ""
        raise InputError(problems[0] + more)
    notes = (*_elsewhere(cases, looks), *_in_both(datalist))
    return Survey(wanted, tuple(look.image.shape for look in looks), notes)


def read_header(path: Path, channels: int | None = None) -> Header:
    """What the header of a file says.

    Args:
      path: of the file.
      channels: how many there are, where it is known.

    Raises:
      InputError: the file is missing, has no readable header, or none that can be meant.
    """
    try:
        header = nifti.load_header(path)
        shape = squeezed(tuple(int(size) for size in header.get_data_shape()))
        affine = np.asarray(header.get_best_affine(), np.float64)
        axis = channel_axis(shape, channels)
        if min(shape) < 1:
            raise InputError(f"has no voxels (shape {shape}).")
        geometry.check_affine(affine)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing.") from error
    except nifti.UNREADABLE as error:
        raise InputError(f"{path} {unreadable(error)}") from error
    i, j, k = (size for at, size in enumerate(shape) if at != axis)
    return Header((i, j, k), 1 if axis is None else shape[axis], affine)


def lowest_voxel(cases: Sequence[Case], most: int = 8) -> float:
    """The lowest value in the images of the first ``most`` cases.

    Raises:
      InputError: a file cannot be read.
    """
    return min(float(read_image(case.images).voxels.min()) for case in cases[:most])


def _try(look: Callable[[], _Look]) -> _Look | str:
    try:
        return look()
    except InputError as error:
        return str(error)


def _look(case: Case, channels: int | None, tasks: int) -> _Look:
    if not case.label:
        raise InputError(f"{case.images[0]} has no label in the list; training needs one.")
    images = [read_header(path, channels if len(case.images) == 1 else 1) for path in case.images]
    labels = [read_header(path, tasks if len(case.label) == 1 else 1) for path in case.label]
    first = images[0]
    others = list(zip((*case.images, *case.label), (*images, *labels), strict=True))[1:]
    for path, header in others:
        if header.shape != first.shape:
            raise InputError(
                f"{path} has {_times(header.shape)} voxels, {case.images[0]} has "
                f"{_times(first.shape)}; the files of a case need one grid."
            )
    if (given := sum(label.extra for label in labels)) != tasks:
        raise InputError(
            f"{case.label[0]} has labels of {counted(given, 'task')}, {tasks} declared."
        )
    away = max((displacement(first, header) for _, header in others), default=0.0)
    return _Look(first, sum(image.extra for image in images), away)


def displacement(one: Header, other: Header) -> float:
    """How far the corners lie apart by the two affines, in voxel sides of the first."""
    corners = np.array([*np.ndindex(2, 2, 2)]) * (np.array(one.shape) - 1)
    moved = corners @ (one.affine - other.affine)[:3, :3].T + (one.affine - other.affine)[:3, 3]
    sides = np.linalg.norm(one.affine[:3, :3], axis=0)
    return float(np.linalg.norm(moved, axis=1).max() / sides.min())


def _other_channels(
    cases: Sequence[Case], found: Sequence[_Look | str], wanted: int
) -> Iterator[str]:
    for case, look in zip(cases, found, strict=True):
        if isinstance(look, _Look) and look.channels != wanted:
            yield (
                f"{case.images[0]} has {counted(look.channels, 'channel')}, not {wanted}; correct "
                "the data set's modality, or --in_channels."
            )


def _elsewhere(cases: Sequence[Case], looks: Sequence[_Look]) -> Iterator[str]:
    far = [(case, look) for case, look in zip(cases, looks, strict=True) if look.away > _ELSEWHERE]
    if far:
        case, look = far[0]
        yield (
            f"{case.id}: the headers of its files place them {look.away:.3g} voxels apart; the "
            f"first image's is taken for all (so in {len(far)} of {len(cases)} cases)."
        )


def _in_both(datalist: DataList) -> Iterator[str]:
    training = {path for case in datalist.training for path in case.images}
    both = [case for case in datalist.validation if training & set(case.images)]
    if both:
        yield (
            f"{both[0].id} is a validation and a training case, so that its Dice says nothing of "
            f"unseen images (so are {len(both)} of {len(datalist.validation)} validation cases)."
        )


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
