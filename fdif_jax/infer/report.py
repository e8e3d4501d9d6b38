"""Scores as tables: means by class, CSV, JSON and a few lines for the terminal."""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdif_jax.infer.evaluate import Score, Settings
from fdif_jax.infer.tables import aligned

_SHOWN = 20  # classes on the terminal


class Mean(NamedTuple):
    """One class, or all of them, over the cases.

    A mean leaves NaN out; ``cases`` says how many Dice scores it is of.
    """

    task: str
    label: int | None
    name: str
    cases: int
    dice: float
    hd95_mm: float
    nsd: float
    missed: int
    """Cases where the reference holds the class and the prediction does not."""
    spurious: int
    """The other way round."""


def by_class(scores: Sequence[Score]) -> list[Mean]:
    """The mean of each class, in the order of the first case."""
    groups: dict[tuple[str, int], list[Score]] = {}
    for row in scores:
        groups.setdefault((row.task, row.label), []).append(row)
    return [_mean(*key, rows[0].name, rows, rows) for key, rows in groups.items()]


def overall(scores: Sequence[Score]) -> Mean:
    """The mean of the cases' means over classes: what training reports as its Dice."""
    cases: dict[str, list[Score]] = {}
    for row in scores:
        cases.setdefault(row.case, []).append(row)
    means = [_mean("", None, "", rows, rows) for rows in cases.values()]
    return _mean("", None, "mean", means, scores)


def _mean(
    task: str,
    label: int | None,
    name: str,
    values: Sequence[Score] | Sequence[Mean],
    counted: Sequence[Score],
) -> Mean:
    dice = [v.dice for v in values if not math.isnan(v.dice)]
    hd95 = [v.hd95_mm for v in values if not math.isnan(v.hd95_mm)]
    nsd = [v.nsd for v in values if not math.isnan(v.nsd)]
    held = [(row.prediction_ml > 0, row.reference_ml > 0) for row in counted]
    return Mean(
        task,
        label,
        name,
        cases=len(dice),
        dice=float(np.mean(dice)) if dice else math.nan,
        hd95_mm=float(np.mean(hd95)) if hd95 else math.nan,
        nsd=float(np.mean(nsd)) if nsd else math.nan,
        missed=held.count((False, True)),
        spurious=held.count((True, False)),
    )


def to_csv(scores: Iterable[Score]) -> str:
    """One line for each case, task and class; NaN stays ``nan``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Score._fields)
    writer.writerows([_rounded(value) for value in row] for row in scores)
    return text.getvalue()


def to_json(scores: Sequence[Score], settings: Settings, unpredicted: Sequence[str]) -> str:
    """Everything, means included; NaN is null."""
    record = {
        "tolerance_mm": settings.tolerance,
        "empty_is": settings.empty_is,
        "mean": overall(scores)._asdict(),
        "classes": [mean._asdict() for mean in by_class(scores)],
        "scores": [row._asdict() for row in scores],
        "references_without_prediction": list(unpredicted),
    }
    return json.dumps(_plain(record), indent=2) + "\n"


def lines(scores: Sequence[Score], settings: Settings) -> list[str]:
    """The means as a table of fixed width."""
    means = by_class(scores)
    head = (
        "class",
        "cases",
        "Dice",
        "HD95 mm",
        f"NSD {settings.tolerance:g} mm",
        "missed",
        "spurious",
    )
    rows = [_row(mean) for mean in (*means[:_SHOWN], overall(scores))]
    table = aligned([head, *rows])
    if means[_SHOWN:]:
        table.insert(-1, f"… {len(means) - _SHOWN} more classes, in the files of --out_dir")
    return table


def _row(mean: Mean) -> tuple[str, ...]:
    name = f"{mean.task} {mean.name}".strip()
    scores = (f"{mean.dice:.4f}", f"{mean.hd95_mm:.2f}", f"{mean.nsd:.4f}")
    return name, str(mean.cases), *scores, str(mean.missed), str(mean.spurious)


def _rounded(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value
