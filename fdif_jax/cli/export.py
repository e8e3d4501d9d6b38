"""``fdif export``: a model folder's weights for another tool."""

from pathlib import Path

import click

from fdif_jax.errors import InputError
from fdif_jax.interop import export_file
from fdif_jax.interop.exporting import check_target
from fdif_jax.model_io import load_info, load_model, refuse_classifier


@click.command("export")
@click.option(
    "--model",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="Model folder, e.g. training_output/…/model_best.",
)
@click.option(
    "--to", "target", required=True, help="monai, monai-swinvit, nnunet, ssl3d or safetensors."
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="File to write, .pth or .safetensors.",
)
@click.option("--task", help="Which head of a multi-task network.")
@click.option(
    "--spacing",
    type=float,
    nargs=3,
    default=(1.0, 1.0, 1.0),
    show_default=True,
    help="Millimetres per voxel of the training data; ssl3d only.",
)
@click.option(
    "--grid_size",
    type=int,
    nargs=3,
    default=None,
    help="Patch that it was trained on, where the model folder does not say; ssl3d only.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file at --out.")
def command(
    folder: Path,
    target: str,
    out: Path,
    task: str | None,
    spacing: tuple[float, float, float],
    grid_size: tuple[int, int, int] | None,
    overwrite: bool,
) -> None:
    """Write a network's weights for MONAI, nnU-Net or SSL3D."""
    info = load_info(folder)
    refuse_classifier(folder, info, "fdif export writes")
    check_target(info.config, out, target)
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists; choose another name, or pass --overwrite.")
    model = load_model(folder)
    if grid_size is not None:
        model.check_size(grid_size)
    export_file(model, out, to=target, task=task, spacing=spacing, patch=grid_size or info.patch)
    click.echo(f"wrote {out} ({out.stat().st_size / 2**20:.1f} MiB)")
