"""`fdif render`: a scene file to image, label and, on request, every object's distance field."""

import math
from pathlib import Path

import click
import numpy as np

from fdif_jax.cli import limits
from fdif_jax.compilation import keep_programs
from fdif_jax.config import check_grid
from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.io import atomic, nifti
from fdif_jax.io import scene as scenes
from fdif_jax.io.layout import volumes
from fdif_jax.io.scene import SceneFile
from fdif_jax.io.stamp import Stamp
from fdif_jax.synth.plugins import load_catalog

Grid = tuple[int, int, int]


@click.command("render")
@click.argument("scene", type=click.Path(path_type=Path))
@click.option("--grid", type=(int, int, int), metavar="D H W", help="Voxels; or as in the file.")
@click.option("--out_dir", type=click.Path(path_type=Path), required=True, help="Where to write.")
@click.option(
    "--sdf_out",
    type=click.Path(path_type=Path),
    help="Write the signed distances too: a .npz with `sdf`, float32 (objects, D, H, W).",
)
@click.option("--plugin", metavar="MODULE:CATALOG", help="A catalog of your own.")
def command(
    scene: Path, grid: Grid | None, out_dir: Path, sdf_out: Path | None, plugin: str | None
) -> None:
    """Render the scene file SCENE to <scene>_x.nii.gz and <scene>_y.nii.gz in --out_dir.

    A scene that `fdif generate --save_scenes` wrote gives that sample's files, byte for byte.
    """
    catalog, _ = load_catalog(plugin)
    parsed = scenes.parse(_read(scene), catalog, file=scene.name)
    size = _grid(parsed, grid, scene)
    fields = len(parsed.objects) if sdf_out is not None else 0
    needed = limits.BASE_BYTES + math.prod(size) * (limits.BYTES_PER_VOXEL + 4 * fields)
    limits.refuse_too_large(size, needed, "choose a smaller one.")
    from fdif_jax.synth.replay import render_scene

    keep_programs()
    image, label, sdf = render_scene(parsed, size, catalog, sdf=sdf_out is not None)
    try:
        for name, data in encode(parsed, size, image, label, scene.stem).items():
            atomic.write(out_dir / name, data)
        if sdf_out is not None:
            _write_fields(sdf_out, np.asarray(sdf, np.float32))
    except OSError as error:
        raise EnvironmentFault(
            f"{error.filename or out_dir} cannot be written: {error.strerror}."
        ) from error
    click.echo(f"{len(parsed.objects)} objects rendered into {out_dir}")


def encode(
    scene: SceneFile, size: Grid, image: np.ndarray, label: np.ndarray, stem: str
) -> dict[str, bytes]:
    """File name to content, stamped as the sample that the scene was saved from."""
    source = scene.source if scene.grid == size else None
    label = np.asarray(label).astype(scene.label_dtype, copy=False)
    layout = source["layout"] if source else "monai"
    files = {}
    for kind, array in volumes(layout, scene.tasks, image, label).items():
        stamp = None
        if source is not None:
            stamp = Stamp(source["config_hash"], source["split"], source["index"], kind)
        name = {"image": "x"}.get(kind, kind.replace("label", "y", 1))
        files[f"{stem}_{name}.nii.gz"] = nifti.encode(array, stamp)
    return files


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"scene file {path} cannot be read: {error.strerror}.") from error


def _grid(scene: SceneFile, given: Grid | None, path: Path) -> Grid:
    if given is not None:
        check_grid(given)
        return given
    if scene.grid is None:
        raise InputError(f"{path.name} names no grid; give --grid D H W.")
    return scene.grid


def _write_fields(path: Path, sdf: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.staged(path) as temporary, temporary.open("wb") as file:
        np.savez(file, sdf=sdf)
