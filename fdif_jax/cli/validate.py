"""`fdif validate`: a data set by nnU-Net's rules, ours or another's."""

from pathlib import Path

import click

from fdif_jax.cli.plan import worker_count
from fdif_jax.errors import InputError
from fdif_jax.io.validate import validate


@click.command("validate")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--workers", type=int, show_default="number of CPUs", help="Threads that read.")
def command(path: Path, workers: int | None) -> None:
    """Check the data set at PATH: a folder, a data.json or a dataset.json.

    Applies nnU-Net's rules to our MONAI and nnU-Net layouts, to any Decathlon list and to nnU-Net
    raw data sets of others; names file and value. Ends with exit code 2 where anything is wrong.
    """
    found = validate(path, workers=worker_count(workers))
    for text in found.warnings:
        click.echo(f"Warning: {text}")
    for text in found.errors[1:]:
        click.echo(text)
    if found.errors:
        count = len(found.errors)
        rest = f" ({count} findings in {found.root}; the others stand above)" if count > 1 else ""
        raise InputError(f"{found.errors[0]}{rest}.")
    click.echo(f"{found.root}: {found.cases} cases, all valid")
