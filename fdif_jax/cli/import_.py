"""``fdif import``: a foreign weight file as a model folder."""

from pathlib import Path

import click

from fdif_jax.cli.weight_hints import as_hints, weight_hints
from fdif_jax.interop import read_network
from fdif_jax.model_io import ModelInfo, check_free, save_model
from fdif_jax.models.registry import family_of


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "source",
    help="monai, nnunet or ssl3d, to be refused any other; the network is recognised anyway.",
)
@click.option(
    "--out_dir", required=True, type=click.Path(path_type=Path), help="Model folder to write."
)
@weight_hints
@click.option("--overwrite", is_flag=True, help="Replace a model folder at --out_dir.")
def command(file: Path, source: str | None, out_dir: Path, overwrite: bool, **hints) -> None:
    """Read weights of MONAI, nnU-Net or SSL3D into a model folder."""
    check_free(out_dir, overwrite=overwrite)
    imported = read_network(file, as_hints(**hints), source)
    config = imported.model.config
    provenance = {
        "imported_from": str(file),
        "source": source,
        "fresh": imported.fresh,
        "assumed": list(imported.assumed),
    }
    patch = imported.patch or getattr(config, "image_size", None)
    save_model(out_dir, imported.model, ModelInfo(config, patch, provenance=provenance))
    click.echo(f"{family_of(config)}: wrote {out_dir}")
    for sentence in imported.assumed:
        click.echo(f"assumed, for the file does not say: {sentence}")
    for keys, what in ((imported.passed, "passed over"), (imported.fresh, "started afresh")):
        if keys:
            few = ", ".join(keys[:3]) + (", …" if len(keys) > 3 else "")
            click.echo(f"{len(keys)} tensors {what}: {few}")
