"""``fdif import``: a foreign weight file as a model folder."""

from pathlib import Path

import click

from fdif_jax.errors import lookup
from fdif_jax.interop import import_file
from fdif_jax.model_io import ModelInfo, save_model
from fdif_jax.models.registry import family_of


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "source",
    default="monai",
    show_default=True,
    help="monai, nnunet or ssl3d; the network itself is recognised from the file.",
)
@click.option(
    "--out_dir", required=True, type=click.Path(path_type=Path), help="Model folder to write."
)
@click.option(
    "--grid_size",
    type=int,
    nargs=3,
    default=None,
    help="Patch of UNETR and Primus, where it is not a cube.",
)
@click.option(
    "--merging",
    default="merging",
    show_default=True,
    help="merging, or legacy for SwinUNETR weights of MONAI up to 1.4.",
)
def command(
    file: Path, source: str, out_dir: Path, grid_size: tuple[int, int, int] | None, merging: str
) -> None:
    """Read weights of MONAI, nnU-Net or SSL3D into a model folder."""
    lookup({"monai": 1, "nnunet": 1, "ssl3d": 1}, source, kind="source")
    lookup({"merging": 1, "legacy": 1, "mergingv2": 1}, merging, kind="merging")
    model, missing = import_file(file, image_size=grid_size, merging=merging)  # type: ignore[arg-type]
    provenance = {"imported_from": str(file), "source": source, "fresh": missing}
    save_model(out_dir, model, ModelInfo(model.config, grid_size, provenance=provenance))
    click.echo(f"{family_of(model.config)}: wrote {out_dir}")
    if missing:
        click.echo(
            f"{len(missing)} tensors are not in the file and started afresh: "
            f"{', '.join(missing[:3])}, …"
        )
