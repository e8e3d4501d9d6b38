"""``fdif inspect``: what a weight file or a model folder holds."""

from pathlib import Path

import click

from fdif_jax.cli.weight_hints import as_hints, weight_hints
from fdif_jax.errors import InputError
from fdif_jax.interop import inspect_file
from fdif_jax.model_io import check_folder, model_folder
from fdif_jax.models.registry import count_parameters, family_of


@click.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@weight_hints
def command(file: Path, **hints) -> None:
    """Say what FILE holds, which network it fits and what is missing."""
    lines = _folder(file, hints) if file.is_dir() else inspect_file(file, hints=as_hints(**hints))
    for line in lines:
        click.echo(line)


def _folder(path: Path, hints: dict) -> list[str]:
    given = [name for name, value in hints.items() if value is not None]
    if given:
        raise InputError(f"{path} is a folder, which says all by itself: leave --{given[0]} out.")
    model_folder(path)
    info = check_folder(path)
    lines = [
        f"{path}: model folder, {family_of(info.config)}, "
        f"{count_parameters(info.config):,} parameters",
        f"options: {info.config}",
        f"patch: {info.patch}; intensities: {dict(info.intensities)}",
    ]
    lines += [f"assumed: {sentence}" for sentence in info.provenance.get("assumed", ())]
    return [*lines, "complete: every parameter is there with its shape, and nothing else"]
