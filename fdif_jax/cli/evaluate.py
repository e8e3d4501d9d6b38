"""`fdif evaluate`: predicted label files against references."""

import math
from pathlib import Path

import click

from fdif_jax.cli.options import Several, SeveralCommand
from fdif_jax.cli.progress import Bar
from fdif_jax.errors import EnvironmentFault


@click.command("evaluate", cls=SeveralCommand)
@click.option(
    "--prediction",
    required=True,
    type=click.Path(path_type=Path),
    help="Label file, or a folder of them, as `fdif predict` writes.",
)
@click.option(
    "--reference",
    required=True,
    type=click.Path(path_type=Path),
    help="Label file; folder of files named as the predictions; or data.json, dataset.json.",
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
def command(
    prediction: Path,
    reference: Path,
    out_dir: Path | None,
    tolerance: float,
    empty_is: str,
    names: tuple[str, ...],
    quiet: bool,
) -> None:
    """Score predictions: Dice, HD95, NSD and volume for each case and class.

    A class that the reference of a case does not hold has no score there (nan), and means leave it
    out; `missed` and `spurious` count the cases where only one of the two holds a class. NSD is
    the share of both surfaces that is within the tolerance of the other.
    """
    from fdif_jax.infer import report
    from fdif_jax.infer.evaluate import Settings, evaluate
    from fdif_jax.infer.pairing import pair_files

    settings = Settings(tolerance, math.nan if empty_is == "nan" else float(empty_is))
    found = pair_files(prediction.expanduser(), reference.expanduser())
    called = {"": dict(enumerate(names, 1))} if names else found.names
    with Bar(quiet=quiet, unit="case") as bar:
        scores = evaluate(found.pairs, called, settings, bar)
    for line in report.lines(scores, settings):
        click.echo(line)
    if found.unpredicted:
        few = ", ".join(found.unpredicted[:3]) + (", …" if found.unpredicted[3:] else "")
        click.echo(f"{len(found.unpredicted)} references have no prediction: {few}", err=True)
    if out_dir is not None:
        _write(out_dir.expanduser(), "scores.csv", report.to_csv(scores))
        text = report.to_json(scores, settings, found.unpredicted)
        _write(out_dir.expanduser(), "scores.json", text)
        click.echo(f"wrote {out_dir / 'scores.csv'} and {out_dir / 'scores.json'}")


def _write(folder: Path, name: str, text: str) -> None:
    from fdif_jax.io import atomic

    try:
        atomic.write(folder / name, text.encode())
    except OSError as error:
        raise EnvironmentFault(
            f"{folder / name} cannot be written ({error.strerror or error}); choose another "
            "--out_dir."
        ) from error
