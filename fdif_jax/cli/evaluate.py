"""`fdif evaluate`: predicted label files, or predicted classes, against references."""

import math
from pathlib import Path
from typing import NamedTuple

import click

from fdif_jax.cli.options import Several, SeveralCommand, refuse_given
from fdif_jax.cli.progress import Bar
from fdif_jax.errors import EnvironmentFault

_OF_VOXELS = ("tolerance", "empty_is", "names")


@click.command("evaluate", cls=SeveralCommand)
@click.option(
    "--prediction",
    required=True,
    type=click.Path(path_type=Path),
    help="Label file; folder of them; or predictions.csv: what `fdif predict` writes.",
)
@click.option(
    "--reference",
    required=True,
    type=click.Path(path_type=Path),
    help="Label file; folder of files named as the predictions; or data.json, dataset.json. For "
    "predictions.csv, the classification set.",
)
@click.option(
    "--fold", type=int, default=0, show_default=True, help="Of a set's splits_final.json."
)
@click.option("--out_dir", type=click.Path(path_type=Path), help="Write scores.csv, scores.json.")
@click.option(
    "--tolerance", type=float, default=1.0, show_default=True, help="Of NSD, millimetres."
)
@click.option(
    "--empty_is",
    type=click.Choice(["nan", "0", "1"]),
    default="nan",
    show_default=True,
    help="Dice and NSD of a class that a case does not hold; with 0 or 1, one that only the "
    "prediction holds counts as 0.",
)
@click.option(
    "--names",
    cls=Several,
    multiple=True,
    metavar="NAME…",
    help="Of the classes 1, 2, …; a data list has its own.",
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.pass_context
def command(
    ctx: click.Context,
    prediction: Path,
    reference: Path,
    fold: int,
    out_dir: Path | None,
    tolerance: float,
    empty_is: str,
    names: tuple[str, ...],
    quiet: bool,
) -> None:
    """Score predictions against references.

    Label files by Dice, HD95, NSD and volume, for each case and class: a class that the reference
    of a case does not hold has no score there (nan), and means leave it out; `missed` and
    `spurious` count the cases where only one of the two holds a class; NSD is the share of both
    surfaces that is within the tolerance of the other. Classes of whole images by accuracy,
    balanced accuracy, macro F1, AUROC and average precision.
    """
    from fdif_jax.infer.class_table import find_table

    prediction, reference = prediction.expanduser(), reference.expanduser()
    table = find_table(prediction)
    if table is None:
        refuse_given(ctx, ("fold",), "labels of voxels have no folds")
        bar = Bar(quiet=quiet, unit="case")
        report = _of_voxels(prediction, reference, tolerance, empty_is, names, bar)
    else:
        refuse_given(ctx, _OF_VOXELS, f"{table} has classes of whole images")
        report = _of_images(table, reference, fold)
    for line in report.lines:
        click.echo(line)
    if missing := report.unpredicted:
        few = ", ".join(missing[:3]) + (", …" if missing[3:] else "")
        click.echo(f"{len(missing)} references have no prediction: {few}", err=True)
    if out_dir is not None:
        _write(out_dir.expanduser(), "scores.csv", report.csv)
        _write(out_dir.expanduser(), "scores.json", report.json)
        click.echo(f"wrote {out_dir / 'scores.csv'} and {out_dir / 'scores.json'}")


class _Report(NamedTuple):
    lines: list[str]
    csv: str
    json: str
    unpredicted: tuple[str, ...]


def _of_voxels(
    prediction: Path,
    reference: Path,
    tolerance: float,
    empty_is: str,
    names: tuple[str, ...],
    bar: Bar,
) -> _Report:
    from fdif_jax.infer import report
    from fdif_jax.infer.evaluate import Settings, evaluate
    from fdif_jax.infer.pairing import pair_files

    settings = Settings(tolerance, math.nan if empty_is == "nan" else float(empty_is))
    found = pair_files(prediction, reference)
    called = {"": dict(enumerate(names, 1))} if names else found.names
    with bar:
        scores = evaluate(found.pairs, called, settings, bar)
    return _Report(
        report.lines(scores, settings),
        report.to_csv(scores),
        report.to_json(scores, settings, found.unpredicted),
        found.unpredicted,
    )


def _of_images(table: Path, reference: Path, fold: int) -> _Report:
    from fdif_jax.data.class_forms import read_classified
    from fdif_jax.infer import class_report
    from fdif_jax.infer.class_metrics import require_sklearn
    from fdif_jax.infer.class_table import read_csv

    require_sklearn()
    found = read_csv(table)
    scores = class_report.evaluate_classes(found, read_classified(reference, fold=fold))
    return _Report(
        class_report.lines(scores),
        class_report.to_csv(scores),
        class_report.to_json(scores),
        scores.unpredicted,
    )


def _write(folder: Path, name: str, text: str) -> None:
    from fdif_jax.io import atomic

    try:
        atomic.write(folder / name, text.encode())
    except OSError as error:
        raise EnvironmentFault(
            f"{folder / name} cannot be written ({error.strerror or error}); choose another "
            "--out_dir."
        ) from error
