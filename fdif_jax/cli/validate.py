"""`fdif validate`: a data set by nnU-Net's rules, ours or another's."""

from pathlib import Path

import click
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from fdif_jax.cli.plan import worker_count
from fdif_jax.errors import InputError
from fdif_jax.io.validate import validate

# What readers of foreign files and descriptions raise where something is of another kind.
_MALFORMED = (
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    ValueError,
    OverflowError,
    MemoryError,
    ImageFileError,
    HeaderDataError,
    WrapStructError,
)


@click.command("validate")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--workers", type=int, show_default="two for each CPU", help="Threads that read.")
def command(path: Path, workers: int | None) -> None:
    """Check the data set at PATH: a folder, a data.json, a dataset.json or a labelsTr.json.

    Applies nnU-Net's rules to our MONAI and nnU-Net layouts, to any Decathlon list and to nnU-Net
    raw data sets of others, and SSL3D's to classification data sets; names file and value. Ends
    with exit code 2 where anything is wrong.
    """
    try:
        found = validate(path, workers=worker_count(workers))
    except InputError:
        raise
    except _MALFORMED as error:
        raise InputError(
            f"{path} cannot be checked: its description or one of its files is malformed "
            f"({type(error).__name__}: {' '.join(str(error).split())}); mend or remove it."
        ) from error
    for text in found.warnings:
        click.echo(f"Warning: {text}")
    for text in found.errors[1:]:
        click.echo(text)
    if found.errors:
        count = len(found.errors)
        rest = f" ({count} findings in {found.root}; the others stand above)" if count > 1 else ""
        raise InputError(f"{found.errors[0]}{rest}.")
    click.echo(f"{found.root}: {found.cases} cases, all valid")
