"""Classification sets in SSL3D's layout, as ``fdif generate-classification`` writes them."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fdif_jax.data.classified import LABEL, Classified, Example, numbered
from fdif_jax.data.images import Image
from fdif_jax.errors import InputError
from fdif_jax.io import b2nd, datasets, manifest
from fdif_jax.io.ssl3d import LABELS, SPLITS, VOLUMES, Ssl3dLayout
from fdif_jax.io.validate_classification import check_fold, check_labels

SMOOTHING = 0.2
"""Of the labels, in SSL3D's recipe."""


def read_folder(root: Path, fold: int) -> Classified:
    """The set, with one of its folds.

    Raises:
      InputError: labels or splits are missing or contradict each other, a volume is missing, or
        there is no such fold.
    """
    labels, folds = datasets.load_metadata(root / LABELS), datasets.load_list(root / SPLITS)
    for problem in check_labels(labels):
        raise InputError(f"{root}: {problem}.")
    if not folds:
        raise InputError(f"{root / SPLITS} holds no folds; give it one or more.")
    if not 0 <= fold < len(folds):
        raise InputError(f"fold is {fold}; {root / SPLITS} has 0 to {len(folds) - 1}.")
    for problem in check_fold(folds[fold], labels):
        raise InputError(f"{root / SPLITS}: fold {fold} {problem}.")
    ids = _as_ids(labels)
    names = _names(root, list(ids.values()))
    sides = {}
    for side in ("train", "val"):
        cases = [str(case) for case in folds[fold][side]]
        paths = [root / VOLUMES / f"{case}{b2nd.ENDING}" for case in cases]
        missing = [path for path in paths if not path.is_file()]
        if missing:
            raise InputError(
                f"{missing[0]} is missing ({len(missing)} of {len(paths)} in {side!r}); `fdif "
                f"validate {root}` lists all."
            )
        sides[side] = tuple(
            Example(case, ids[case], partial(read_volume, path))
            for case, path in zip(cases, paths, strict=True)
        )
    return Classified(root, names, sides["train"], sides["val"], smoothing=SMOOTHING)


def read_volume(path: Path) -> Image:
    """A Blosc2 volume (C, D, H, W) as an image.

    Raises:
      InputError: it cannot be read, has other axes, or holds NaN or infinity.
    """
    try:
        array = b2nd.decode(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from error
    except InputError as error:
        raise InputError(f"{path} {error}.") from error
    if array.ndim != 4 or array.dtype.kind not in "fiu" or not array.size:
        raise InputError(
            f"{path} has shape {array.shape} {array.dtype}; (C, D, H, W) numbers are needed."
        )
    with np.errstate(over="ignore"):  # infinity is refused below
        voxels = np.ascontiguousarray(np.moveaxis(array, 0, -1), np.float32)
    if not np.isfinite(voxels).all():
        raise InputError(f"{path} holds NaN or infinity; mend it.")
    return Image(voxels, np.eye(4))


def _as_ids(labels: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Without the second of two equal ids, which SSL3D's loader for ABIDE wants."""
    lists = {k: tuple(v) if isinstance(v, list) else (v,) for k, v in labels.items()}
    if all(len(ids) == 2 and ids[0] == ids[1] for ids in lists.values()):
        return {case: ids[:1] for case, ids in lists.items()}
    return lists


def _names(root: Path, ids: Sequence[tuple[int, ...]]) -> dict[str, tuple[str, ...]]:
    """By label; those of the record where fdif wrote the labels as they are, else numbers."""
    record = manifest.read(root)
    if record is None or record.config.layout != "ssl3d":
        return numbered(root, ids)
    if (root / LABELS).read_bytes() != Ssl3dLayout(record).metadata()[LABELS]:  # edited
        return numbered(root, ids)
    tasks = record.classes.tasks or {LABEL: {v: k for k, v in record.classes.labels.items()}}
    return {task: tuple(sorted(one, key=one.__getitem__)) for task, one in tasks.items()}
