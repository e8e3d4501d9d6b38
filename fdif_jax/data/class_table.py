"""Classification sets as a ``.csv`` of NIfTI files and labels."""

import csv
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from fdif_jax.data.classified import LABEL, Classified, Example
from fdif_jax.data.images import read_image
from fdif_jax.errors import InputError

_IMAGE, _SPLIT = "image", "split"
_SPLITS = {
    **dict.fromkeys(("train", "training"), "training"),
    **dict.fromkeys(("val", "validation"), "validation"),
    "test": "test",
}
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_FORM = "give the columns image, label and, if there is validation, split"


def read_table(path: Path, channels: int) -> Classified:
    """The set: a row for each image, paths relative to the file.

    Every column besides ``image`` and ``split`` (train, val or test) is a label; its classes are
    the values that it holds, whole numbers in their order, others in the alphabet's.

    Args:
      path: of the ``.csv``.
      channels: of an image, for files of four axes.

    Raises:
      InputError: columns are missing, a cell is empty, a split is unknown, an image is missing or
        listed twice.
    """
    rows = _rows(path)
    labels = [name for name in rows[0] if name not in (_IMAGE, _SPLIT)]
    if bad := [name for name in labels if not name or "=" in name]:
        raise InputError(
            f"{path} has a column {bad[0]!r}, which cannot name a label; give it a name without "
            "'=', or leave it out."
        )
    if _IMAGE not in rows[0] or not labels:
        raise InputError(f"{path} has the columns {', '.join(rows[0])}; {_FORM}.")
    classes = {name: _classes(row[name] for row in rows) for name in labels}
    sides: dict[str, list[Example]] = {"training": [], "validation": [], "test": []}
    files: dict[str, int] = {}
    for line, row in enumerate(rows, 2):
        file = path.parent / row[_IMAGE]
        if not file.is_file():
            raise InputError(f"{path}, line {line}: {file} is missing.")
        real = os.path.realpath(file)
        if real in files:
            raise InputError(f"{path}, line {line}: {row[_IMAGE]} is in line {files[real]} too.")
        files[real] = line
        split = row.get(_SPLIT, "train")
        if split not in _SPLITS:
            raise InputError(f"{path}, line {line}: split is {split!r}; give train, val or test.")
        ids = tuple(classes[name].index(row[name]) for name in labels)
        sides[_SPLITS[split]].append(
            Example(row[_IMAGE], ids, partial(read_image, (file,), channels))
        )
    names = {LABEL if len(labels) == 1 else name: classes[name] for name in labels}
    training, validation, test = (tuple(examples) for examples in sides.values())
    return Classified(path, names, training, validation, test, prepared=False)


def _rows(path: Path) -> Sequence[Mapping[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True, restval="")
            rows = list(reader)
            names = reader.fieldnames or []
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no table of text ({error}).") from error
    if not rows:
        raise InputError(f"{path} has no rows; {_FORM}.")
    if len(set(names)) < len(names):
        raise InputError(f"{path} names a column twice ({', '.join(names)}); mend it.")
    for line, row in enumerate(rows, 2):
        if None in row:
            raise InputError(
                f"{path}, line {line}, has more cells than columns; put cells with commas "
                "in quotes."
            )
        empty = [name for name, value in row.items() if not value.strip()]
        if empty:
            raise InputError(f"{path}, line {line}: {empty[0]} is empty; fill it.")
    return [{name: value.strip() for name, value in row.items()} for row in rows]


def _classes(values: Iterable[str]) -> tuple[str, ...]:
    found = set(values)
    if all(_WHOLE.fullmatch(value) for value in found):
        return tuple(sorted(found, key=lambda value: (int(value), value)))
    return tuple(sorted(found))
