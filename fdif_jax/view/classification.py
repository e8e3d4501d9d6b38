"""The cases of a classification data set, as SSL3D_classification has them, with their classes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fdif_jax.errors import InputError
from fdif_jax.io import b2nd, datasets, manifest
from fdif_jax.io.ssl3d import LABELS, SPLITS, VOLUMES

_SPLITS = {"train": "training", "val": "validation"}


class Case(NamedTuple):
    """One volume; ``classes`` are the names of its class, or of one for each of several tasks."""

    id: str
    volume: Path
    split: str
    classes: tuple[str, ...]


def cases(root: Path) -> Iterator[Case]:
    """Every case of the data set in ``root``, in the order of its labels.

    Classes have names where fdif wrote the data set, else they are called by their ids. Splits are
    those of the first fold.

    Raises:
      InputError: labels or splits cannot be read, or there are none.
    """
    labels = datasets.load_metadata(root / LABELS)
    if not labels:
        raise InputError(f"{root / LABELS} lists no cases.")
    splits, named = _splits(root / SPLITS), _namer(root)
    for case, label in labels.items():
        ids = label if isinstance(label, list) else [label]
        if not all(type(one) is int for one in ids):
            raise InputError(f"{root / LABELS}: {case} has label {label!r}; give class ids.")
        yield Case(case, root / VOLUMES / f"{case}{b2nd.ENDING}", splits.get(case, ""), named(ids))


def _splits(path: Path) -> dict[str, str]:
    """Case to split; nothing where there are no folds."""
    if not path.exists():
        return {}
    folds = datasets.load_list(path)
    first: Any = folds[0] if folds else {}
    try:
        return {str(case): name for side, name in _SPLITS.items() for case in first.get(side, [])}
    except (AttributeError, TypeError) as error:
        raise InputError(f"{path}: a fold must have the lists 'train' and 'val'.") from error


def _namer(root: Path) -> Callable[[list[int]], tuple[str, ...]]:
    """From the ids in labelsTr.json to names."""
    generation = manifest.read(root)
    if generation is None or generation.config.layout != "ssl3d":
        return lambda ids: tuple(f"class {one}" for one in dict.fromkeys(ids))
    classes = generation.classes
    if not classes.tasks:  # one class, which may stand there twice
        return lambda ids: tuple(classes.labels.get(one, str(one)) for one in dict.fromkeys(ids))
    tasks = [{i: name for name, i in names.items()} for names in classes.tasks.values()]
    return lambda ids: tuple(
        f"{task}: {names.get(one, one)}"
        for task, names, one in zip(classes.tasks, tasks, ids, strict=False)
    )
