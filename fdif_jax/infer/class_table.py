"""``predictions.csv``: a row for each image, its classes and their probabilities.

The columns are ``id``, one with the most probable class for each label, by its name, and
``LABEL=CLASS`` with the probability of each class: readable in a spreadsheet, and all that scores
need.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fdif_jax.errors import InputError
from fdif_jax.infer.classifier import Labels

NAME = "predictions.csv"
_ID = "id"
_IS = "="
_REMEDY = "give the predictions.csv that `fdif predict` wrote"
_OFF = 1e-3
"""How far from 1 the sum of probabilities may be."""


class Predictions(NamedTuple):
    """What a file holds.

    Attributes:
      ids: of the images.
      found: label to class names and probabilities (N, C).
    """

    ids: tuple[str, ...]
    found: Mapping[str, tuple[tuple[str, ...], np.ndarray]]


def to_csv(ids: Sequence[str], labels: Labels, found: Mapping[str, np.ndarray]) -> str:
    """The file's text.

    Args:
      ids: of the images.
      labels: the names of their classes.
      found: label to probabilities (N, C).
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    classes = [f"{label}{_IS}{name}" for label, names in labels.items() for name in names]
    writer.writerow([_ID, *labels, *classes])
    best = {label: found[label].argmax(1) for label in labels}
    for i, case in enumerate(ids):
        chosen = [names[best[label][i]] for label, names in labels.items()]
        values = [f"{p:.7g}" for label in labels for p in found[label][i]]
        writer.writerow([case, *chosen, *values])
    return text.getvalue()


def find_table(path: Path) -> Path | None:
    """The table at a path, or in the folder there; None where there are other predictions."""
    if path.is_dir():
        path = path / NAME
        return path if path.is_file() else None
    return path if path.suffix == ".csv" else None


def read_csv(path: Path) -> Predictions:
    """The inverse of ``to_csv``.

    Raises:
      InputError: it cannot be read, or is no such file.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            head, *rows = [row for row in csv.reader(file) if row] or [[]]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from error
    except csv.Error as error:
        raise InputError(f"{path} is no table of text ({error}).") from error
    labels = head[1 : _first_class(head)]
    places = {
        label: [i for i, name in enumerate(head) if name.startswith(f"{label}{_IS}")]
        for label in labels
    }
    if head[:1] != [_ID] or not labels or not all(places.values()):
        raise InputError(
            f"{path} has the columns {', '.join(head[:5]) or 'of nothing'}; {_REMEDY}."
        )
    if len(set(head)) < len(head):
        raise InputError(f"{path} has a column twice; {_REMEDY}.")
    if not rows:
        raise InputError(f"{path} has no rows; {_REMEDY}.")
    for line, row in enumerate(rows, 2):
        if len(row) != len(head):
            raise InputError(
                f"{path}, line {line}, has {len(row)} cells of {len(head)}; {_REMEDY}."
            )
    found = {}
    for label, columns in places.items():
        names = tuple(head[i].removeprefix(f"{label}{_IS}") for i in columns)
        found[label] = names, _numbers(path, rows, columns)
    ids = tuple(row[0] for row in rows)
    if len(set(ids)) < len(ids):
        raise InputError(f"{path} has an image twice; {_REMEDY}.")
    return Predictions(ids, found)


def _first_class(head: Sequence[str]) -> int:
    """The column of the first probability: its name begins with that of the first label."""
    begins = head[1] + _IS if head[1:] else ""
    return next((i for i, name in enumerate(head) if begins and name.startswith(begins)), 1)


def _numbers(path: Path, rows: Sequence[Sequence[str]], columns: Sequence[int]) -> np.ndarray:
    values = np.zeros((len(rows), len(columns)))
    for i, row in enumerate(rows):
        try:
            values[i] = [float(row[c]) for c in columns]
        except ValueError as error:
            raise InputError(f"{path}, line {i + 2}: a probability is no number.") from error
        if not (values[i].min() >= 0 and abs(values[i].sum() - 1) < _OFF):  # nor NaN
            raise InputError(
                f"{path}, line {i + 2}: the probabilities of a label are below 0, or do not add up "
                f"to 1; {_REMEDY}."
            )
    return values
