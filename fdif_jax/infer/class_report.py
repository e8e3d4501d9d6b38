"""Scores of classified images: held against a set's own classes, and as tables."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdif_jax.data.classified import LABEL, Classified, Example
from fdif_jax.data.datalist import stem
from fdif_jax.errors import InputError
from fdif_jax.infer.class_metrics import by_class, class_scores
from fdif_jax.infer.class_table import Predictions
from fdif_jax.infer.tables import aligned

_SHOWN = 20  # classes on the terminal
_FEW = 3


class ClassScore(NamedTuple):
    """One class of one label, against all others; NaN where it cannot be told."""

    label: str
    name: str
    cases: int
    """Of the reference."""
    predicted: int
    recall: float
    precision: float
    auroc: float
    average_precision: float


class Scores(NamedTuple):
    """Everything.

    Attributes:
      cases: images that were compared.
      means: label to ``class_metrics.NAMES`` and their values.
      classes: a row for each class.
      unpredicted: images of the same splits that have no prediction.
    """

    cases: int
    means: Mapping[str, Mapping[str, float]]
    classes: tuple[ClassScore, ...]
    unpredicted: tuple[str, ...]


def evaluate_classes(predictions: Predictions, reference: Classified) -> Scores:
    """The scores of all labels.

    Images belong together by id, folders and endings aside where that tells them apart; classes by
    name. Where an image of a split is predicted, all of that split are expected.

    Raises:
      InputError: a prediction has no reference, or the two have different labels or classes.
    """
    expected, truth = _pair(predictions.ids, reference)
    if list(predictions.found) != list(reference.labels):
        raise InputError(
            f"the predictions are of {_listed(predictions.found)}, {reference.path} has "
            f"{_listed(reference.labels)}; evaluate against a set of the same labels."
        )
    means, classes = {}, []
    for place, (label, (names, found)) in enumerate(predictions.found.items()):
        own = reference.labels[label]
        ids = np.array([_index(names, own[e.label[place]], label, reference) for e in truth])
        means[label] = class_scores(found, ids)
        classes += _rows(label, names, found, ids)
    predicted = {example.id for example in truth}
    missing = tuple(e.id for e in expected if e.id not in predicted)
    return Scores(len(truth), means, tuple(classes), missing)


def _pair(ids: Sequence[str], reference: Classified) -> tuple[list[Example], list[Example]]:
    """All examples of the splits that are predicted, and the example of each id."""
    splits = [reference.training, reference.validation, reference.test]
    by_id = {example.id: example for split in splits for example in split}
    by_stem: dict[str, list[Example]] = {}
    for example in by_id.values():
        by_stem.setdefault(stem(example.id), []).append(example)
    found = []
    for one in ids:
        candidates = [by_id[one]] if one in by_id else _alike(one, by_stem.get(stem(one), []))
        if len(candidates) != 1:
            many = f"is the name of {len(candidates)} images" if candidates else "has no class"
            raise InputError(
                f"{one} {many} in {reference.path}; evaluate predictions of images of that set."
            )
        found.append(candidates[0])
    chosen = {example.id for example in found}
    if len(chosen) < len(found):
        raise InputError(f"two predictions are of one image of {reference.path}; leave one out.")
    return [e for split in splits if any(e.id in chosen for e in split) for e in split], found


def _alike(one: str, candidates: Sequence[Example]) -> list[Example]:
    """Those of the same file name; two that both name folders are of different folders."""
    return [e for e in candidates if not ("/" in one and "/" in e.id)]


def _index(names: Sequence[str], name: str, label: str, reference: Classified) -> int:
    if name not in names:
        of = "" if label == LABEL else f" of {label}"
        raise InputError(
            f"the predictions have no class {name!r}{of}, which {reference.path} has; they have "
            f"{_listed(names)}."
        )
    return names.index(name)


def _listed(names: Any) -> str:
    names = list(names)
    return ", ".join(names[:_FEW]) + (f", … ({len(names)})" if names[_FEW:] else "")


def _rows(label: str, names: Sequence[str], found: np.ndarray, ids: np.ndarray) -> list[ClassScore]:
    best = found.argmax(1)
    ranked = by_class(found, ids)
    if len(names) == 2 and 1 in ranked:  # of two classes, AUROC is one
        ranked = {0: by_class(found[:, ::-1], 1 - ids)[1], **ranked}
    rows = []
    for c, name in enumerate(names):
        own, chosen = ids == c, best == c
        both = int((own & chosen).sum())
        recall = both / int(own.sum()) if own.any() else math.nan
        precision = both / int(chosen.sum()) if chosen.any() else math.nan
        ranks = ranked.get(c, (math.nan, math.nan))
        rows.append(
            ClassScore(label, name, int(own.sum()), int(chosen.sum()), recall, precision, *ranks)
        )
    return rows


def to_csv(scores: Scores) -> str:
    """One line for each label and class; NaN stays ``nan``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(ClassScore._fields)
    writer.writerows(
        [f"{value:.6g}" if isinstance(value, float) else value for value in row]
        for row in scores.classes
    )
    return text.getvalue()


def to_json(scores: Scores) -> str:
    """Everything; NaN is null."""
    record = {
        "cases": scores.cases,
        "labels": {label: _known(values) for label, values in scores.means.items()},
        "classes": [_known(row._asdict()) for row in scores.classes],
        "references_without_prediction": list(scores.unpredicted),
    }
    return json.dumps(record, indent=2) + "\n"


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: None if v != v else v for k, v in values.items()}  # NaN alone differs from itself


def lines(scores: Scores) -> list[str]:
    """The scores of each label, then those of each class, as tables of fixed width."""
    heads = ("accuracy", "balanced", "macro F1", "AUROC", "AP")
    table: list[tuple[str, ...]] = [("label", "images", *heads)]
    table += [
        (label, str(scores.cases), *(f"{value:.4f}" for value in values.values()))
        for label, values in scores.means.items()
    ]
    rows: list[tuple[str, ...]] = [
        ("class", "images", "predicted", "recall", "precision", "AUROC", "AP")
    ]
    for row in scores.classes[:_SHOWN]:
        before = "" if row.label == LABEL else f"{row.label} "
        values = (row.recall, row.precision, row.auroc, row.average_precision)
        rows.append(
            (before + row.name, str(row.cases), str(row.predicted), *(f"{v:.4f}" for v in values))
        )
    shown = [*aligned(table), "", *aligned(rows)]
    if more := len(scores.classes) - _SHOWN:
        shown += [f"… {more} more classes, in the files of --out_dir"] if more > 0 else []
    return shown
