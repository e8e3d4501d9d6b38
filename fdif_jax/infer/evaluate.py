"""Scores of predicted label files: one row for each case, task and class."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from fdif_jax.data.images import counted, read_label
from fdif_jax.data.survey import displacement, read_header
from fdif_jax.errors import InputError
from fdif_jax.infer.pairing import Names, Pair
from fdif_jax.infer.surface import Spacing, hausdorff95, surface_dice, surface_distances

_ELSEWHERE = 0.01  # of a voxel side: headers in float32 differ by less
Three = tuple[int, int, int]
_HIGHEST = 65535  # an id above is taken for a mistake: classes are looked up by id


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What is measured, where the definitions leave a choice.

    Attributes:
      tolerance: mm that a surface may be off, for NSD.
      empty_is: Dice and NSD of a class that neither prediction nor reference holds. With a number
        here, a class that only the prediction holds scores 0; with NaN it is NaN as well.
    """

    tolerance: float = 1.0
    empty_is: float = math.nan

    def __post_init__(self) -> None:
        """Refuses a tolerance that is no distance."""
        if not 0 <= self.tolerance < math.inf:
            raise InputError(f"tolerance is {self.tolerance}; allowed: 0 mm or more.")


class Score(NamedTuple):
    """One class of one case.

    Dice is 2 |P and G| / (|P| + |G|); for HD95 and NSD see ``surface``. All three are NaN where
    the reference does not hold the class. Where the prediction alone lacks it, Dice and NSD are 0
    and HD95 is NaN: there is no distance to what is not there.
    """

    case: str
    task: str
    label: int
    name: str
    dice: float
    hd95_mm: float
    nsd: float
    prediction_ml: float
    reference_ml: float


def evaluate(
    pairs: Sequence[Pair],
    names: Names,
    settings: Settings,
    progress: Callable[[int, int], None] | None = None,
) -> list[Score]:
    """The scores of all cases, for every class that is declared or occurs in any of them.

    Args:
      pairs: what to compare.
      names: of the classes; one without a name is called by its id.
      settings: tolerance, and what empty classes score.
      progress: told after every case.

    Raises:
      InputError: a file cannot be read, or a prediction is not on its reference's grid.
    """
    found: list[dict[tuple[str, int], Score]] = []
    for done, pair in enumerate(pairs, 1):
        found.append({(row.task, row.label): row for row in _scores(pair, names, settings)})
        if progress is not None:
            progress(done, len(pairs))
    declared = {(task, label) for task, own in names.items() for label in own if label > 0}
    tasks = list(dict.fromkeys([*names, *(task for rows in found for task, _ in rows)]))
    classes = sorted(declared.union(*found), key=lambda key: (tasks.index(key[0]), key[1]))
    return [
        rows.get(key) or _absent(pair.case, key, names, settings)
        for pair, rows in zip(pairs, found, strict=True)
        for key in classes
    ]


def _absent(case: str, key: tuple[str, int], names: Names, settings: Settings) -> Score:
    empty = settings.empty_is
    return Score(case, *key, _name(names, *key), empty, math.nan, empty, 0.0, 0.0)


def _name(names: Names, task: str, label: int) -> str:
    return names.get(task, {}).get(label, str(label))


def _scores(pair: Pair, names: Names, settings: Settings) -> Iterator[Score]:
    """The rows of the classes that the case holds."""
    prediction, reference, spacing = read_pair(pair, len(names) or 1)
    count = reference.shape[-1]
    tasks = list(names) or [""]
    if len(tasks) != count:
        if any(names.values()):
            raise InputError(
                f"{pair.prediction} has labels of {counted(count, 'task')}, and names are given "
                f"for those of {counted(len(tasks), 'task')}; leave out --names, or give the data "
                "list of these labels."
            )
        tasks = [f"task {i}" for i in range(count)]
    for i, task in enumerate(tasks):
        volumes = prediction[..., i], reference[..., i]
        for label, box in _boxes(*volumes).items():
            own, other = (volume[box] == label for volume in volumes)
            values = _values(own, other, spacing, settings)
            yield Score(pair.case, task, label, _name(names, task, label), *values)


def _values(
    prediction: np.ndarray, reference: np.ndarray, spacing: Spacing, settings: Settings
) -> tuple[float, float, float, float, float]:
    """Dice, HD95, NSD and the two volumes of one class that at least one of the masks holds."""
    predicted, real = int(prediction.sum()), int(reference.sum())
    ml = math.prod(spacing) / 1000
    volumes = predicted * ml, real * ml
    if not real:
        score = math.nan if math.isnan(settings.empty_is) else 0.0
        return score, math.nan, score, *volumes
    if not predicted:
        return 0.0, math.nan, 0.0, *volumes
    dice = 2 * int((prediction & reference).sum()) / (predicted + real)
    distances = surface_distances(prediction, reference, spacing)
    return dice, hausdorff95(distances), surface_dice(distances, settings.tolerance), *volumes


def _boxes(prediction: np.ndarray, reference: np.ndarray) -> dict[int, tuple[slice, ...]]:
    """For each class that occurs, the box around it in both volumes."""
    both = [dict(enumerate(ndimage.find_objects(v), 1)) for v in (prediction, reference)]
    found = [{label: box for label, box in own.items() if box is not None} for own in both]
    return {
        label: _union([own[label] for own in found if label in own])
        for label in sorted({*found[0], *found[1]})
    }


def _union(boxes: Sequence[tuple[slice, ...]]) -> tuple[slice, ...]:
    return tuple(
        slice(min(s.start for s in axis), max(s.stop for s in axis))
        for axis in zip(*boxes, strict=True)
    )


def read_pair(pair: Pair, tasks: int) -> tuple[np.ndarray, np.ndarray, Spacing]:
    """Prediction and reference, (D, H, W, tasks), and mm per voxel.

    Args:
      pair: the files.
      tasks: how many there are: tells which axis of a 4-D file they are on.

    Raises:
      InputError: a file cannot be read, or the two are not on one grid.
    """
    own, other = pair.prediction, pair.reference[0]
    predicted, real = (read_header(path, tasks) for path in (own, other))
    if predicted.shape != real.shape:
        raise InputError(
            f"{own} has {_times(predicted.shape)} voxels, its reference {other} has "
            f"{_times(real.shape)}; only labels on one grid can be compared."
        )
    away = displacement(real, predicted)
    if away > _ELSEWHERE:
        raise InputError(
            f"{own} lies {away:.3g} voxels off its reference {other}, by their affines; correct "
            "the header that is wrong."
        )
    volumes = [_labels(paths, real.shape) for paths in ((own,), pair.reference)]
    counts = [volume.shape[-1] for volume in volumes]
    if counts[0] != counts[1]:
        raise InputError(f"{own} has labels of {counts[0]} tasks, its reference of {counts[1]}.")
    spacing = np.linalg.norm(real.affine[:3, :3], axis=0)
    return volumes[0], volumes[1], (float(spacing[0]), float(spacing[1]), float(spacing[2]))


def _labels(paths: Sequence[Path], shape: Three) -> np.ndarray:
    """(D, H, W, tasks)."""
    labels = read_label(paths, shape)
    if int(labels.max()) > _HIGHEST:
        raise InputError(f"{paths[0]} holds the label {labels.max()}; allowed: 0 to {_HIGHEST}.")
    return labels if labels.ndim == 4 else labels[..., None]


def _times(shape: Three) -> str:
    return " x ".join(map(str, shape))
