"""Pictures of a run folder: curves of what was measured, predictions beside their references."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fdif_jax.errors import EnvironmentFault
from fdif_jax.io import atomic, metrics
from fdif_jax.viz import drawing

CURVES = "curves.png"
CASES = "inference_visualization.png"
PLANES = "inference_multiplane_visualization.png"

available = drawing.available
_NO_LOSS = ("update", "learning_rate", "updates_per_second", "gradient_norm", "validation")
_SCORES = {"dice": "Dice", "auroc": "AUROC"}
"""What validations are ranked by, as in metrics.jsonl and as it is written."""
_OTHERS = ("accuracy", "balanced_accuracy", "macro_f1", "average_precision")
_CLASSES_SHOWN = 20
_COLUMNS = ("image", "reference", "prediction", "errors")
_ERRORS = {"missed": (0.1, 0.5, 1.0), "added": (1.0, 0.15, 0.1), "other class": (1.0, 0.9, 0.1)}
_AXES = ("sagittal, i", "coronal, j", "axial, k")
"""By array axis, as they are called where the axes run right, anterior, superior."""


class Drawn(NamedTuple):
    """A case to draw: image (D, H, W), reference and prediction (D, H, W) or (D, H, W, tasks).

    Of several tasks the first is drawn. ``spacing`` gives the pixels their shape.
    """

    name: str
    image: np.ndarray
    reference: np.ndarray
    prediction: np.ndarray
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)


def write_curves(measured: Path, out: Path) -> None:
    """Draws losses, learning rate and validation scores of a metrics.jsonl; nothing if it is empty.

    Raises:
      EnvironmentFault: matplotlib is not installed, or the picture cannot be written.
    """
    found = panels(metrics.read(measured))
    if not found:
        return
    figure = drawing.figure((8.0, 2.6 * len(found)))
    for number, (title, lines) in enumerate(found, 1):
        axes = figure.add_subplot(len(found), 1, number)
        axes.set_title(title)
        axes.set_xlabel("update")
        axes.grid(visible=True, alpha=0.3)
        for name, (updates, values) in lines.items():
            axes.plot(updates, values, label=name, marker="." if len(updates) < 50 else "")
        if len(lines) > 1:
            axes.legend(fontsize="small", ncols=1 + len(lines) // 8)
    _write(out, figure)


def write_predictions(out_dir: Path, cases: Sequence[Drawn], *, count: int = 4) -> None:
    """Draws the first ``count`` cases in the plane with most foreground, and one in three planes.

    Raises:
      EnvironmentFault: matplotlib is not installed, or a picture cannot be written.
    """
    if not cases:
        return
    axial = [(case, 2) for case in cases[:count]]
    _write(out_dir / CASES, _table(axial, lambda case, where: f"{case.name}\n{where}"))
    planes = _table([(cases[0], axis) for axis in (2, 1, 0)], lambda case, where: where)
    planes.suptitle(cases[0].name)
    _write(out_dir / PLANES, planes)


Lines = dict[str, tuple[list[int], list[float]]]


def panels(rows: list[dict[str, Any]]) -> list[tuple[str, Lines]]:
    """Titles and curves of what the rows of a metrics.jsonl hold."""
    training = [(row["update"], row) for row in rows]
    found = [(row["update"], row["validation"]) for row in rows if "validation" in row]
    by_class = [(update, one["by_class"]) for update, one in found]
    losses = dict.fromkeys(key for row in rows for key in row if key not in _NO_LOSS)
    classes = dict.fromkeys(name for _, one in by_class for name in one)
    shown = classes if 1 < len(classes) <= _CLASSES_SHOWN else {}
    every = [
        ("loss", _lines(training, losses)),
        ("norm of the gradient", _lines(training, ["gradient_norm"])),
        ("learning rate", _lines(training, ["learning_rate"])),
    ]
    for key, score in _SCORES.items():
        if ranked := _lines(found, [key]):
            every.append((f"validation {score}", ranked))
            every.append((f"validation {score} by class", _lines(by_class, shown)))
    every.append(("other scores", _lines(found, _OTHERS)))
    return [(title, lines) for title, lines in every if lines]


def _lines(rows: list[tuple[int, dict[str, Any]]], names: Iterable[str]) -> Lines:
    """The curve of each name that has any value; null is a gap."""
    lines: Lines = {name: ([], []) for name in names}
    for update, values in rows:
        for name in names:
            if name in values:
                lines[name][0].append(update)
                lines[name][1].append(np.nan if values[name] is None else values[name])
    return {name: line for name, line in lines.items() if line[0]}


def _table(views: list[tuple[Drawn, int]], title: Callable[[Drawn, str], str]) -> Any:
    """A figure with a row for each case and array axis across which it is cut."""
    from matplotlib.patches import Patch

    figure = drawing.figure((2.4 * len(_COLUMNS), 2.4 * len(views) + 0.5))
    for row, (case, axis) in enumerate(views):
        index = _fullest(case, axis)
        height, width = np.delete(case.spacing, axis)[::-1]
        for column, pixels in enumerate(_pixels(case, axis, index)):
            axes = figure.add_subplot(len(views), len(_COLUMNS), row * len(_COLUMNS) + column + 1)
            drawing.show(axes, pixels, aspect=height / width)
            if row == 0:
                axes.set_title(_COLUMNS[column])
            if column == 0:
                axes.set_ylabel(title(case, f"{_AXES[axis]} = {index}"))
    legend = [Patch(color=rgb, label=name) for name, rgb in _ERRORS.items()]
    figure.legend(handles=legend, loc="outside lower right", ncols=len(legend))
    return figure


def _pixels(case: Drawn, axis: int, index: int) -> Iterable[np.ndarray]:
    """The columns of a row. Transposed: the first axis of a plane runs to the right."""
    low, high = np.percentile(case.image, (0.5, 99.5))
    plane = np.take(case.image, index, axis).T.astype(np.float64)
    grey = drawing.grey((plane - low) / max(high - low, 1e-6))
    reference, prediction = (
        np.take(_first_task(ids), index, axis).T for ids in (case.reference, case.prediction)
    )
    errors = errors_of(reference, prediction)
    wrong = drawing.over(grey, np.array([(0.0,) * 3, *_ERRORS.values()])[errors], errors > 0)
    return grey, drawing.coloured(reference), drawing.coloured(prediction), wrong


def errors_of(reference: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """0 where both agree; 1 missed foreground, 2 foreground too much, 3 another class."""
    kind = np.where(prediction == 0, 1, np.where(reference == 0, 2, 3))
    return np.where(reference == prediction, 0, kind)


def _fullest(case: Drawn, axis: int) -> int:
    """The plane with most foreground in the reference, else in the prediction, else the middle."""
    across = tuple({0, 1, 2} - {axis})
    for ids in (case.reference, case.prediction):
        counts = (_first_task(ids) > 0).sum(across)
        if counts.any():
            return int(counts.argmax())
    return case.image.shape[axis] // 2


def _first_task(ids: np.ndarray) -> np.ndarray:
    return ids[..., 0] if ids.ndim == 4 else ids


def _write(path: Path, figure: Any) -> None:
    try:
        atomic.write(path, drawing.png(figure))
    except OSError as error:
        raise EnvironmentFault(
            f"{path} cannot be written ({error.strerror or error}); make room, or choose another "
            "--out_dir."
        ) from error
