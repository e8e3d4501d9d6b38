"""``fdif inspect``: what a weight file or a model folder holds."""

from pathlib import Path

import click

from fdif_jax.interop import inspect_file
from fdif_jax.model_io import load_info
from fdif_jax.models.registry import count_parameters, family_of


@click.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--grid_size",
    type=int,
    nargs=3,
    default=None,
    help="Patch of UNETR and Primus, where it is not a cube.",
)
def command(file: Path, grid_size: tuple[int, int, int] | None) -> None:
    """Say what FILE holds, which network it fits and what is missing."""
    if file.is_dir():
        info = load_info(file)
        click.echo(
            f"{file}: model folder, {family_of(info.config)}, "
            f"{count_parameters(info.config):,} parameters"
        )
        click.echo(f"options: {info.config}")
        click.echo(f"patch: {info.patch}; intensities: {dict(info.intensities)}")
        return
    for line in inspect_file(file, image_size=grid_size):
        click.echo(line)
