"""`fdif visualize`: sheets of the generator's solids, as slices and as surfaces."""

import itertools
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fdif_jax.cli import limits
from fdif_jax.cli.listing import displacements
from fdif_jax.cli.options import Several, SeveralCommand, declare
from fdif_jax.cli.progress import Bar
from fdif_jax.compilation import keep_programs
from fdif_jax.config import DEFAULT_PRIMITIVES
from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.io import atomic
from fdif_jax.synth.plugins import load_catalog
from fdif_jax.viz import drawing

if TYPE_CHECKING:
    from fdif_jax.viz.gallery import Gallery
    from fdif_jax.viz.tiles import Request

Options = Mapping[str, Any]
_DRAWS = 9


def _names(name: str, default: str, text: str) -> Any:
    return click.option(
        name, cls=Several, multiple=True, metavar="NAME…", show_default=default, help=text
    )


_NEEDS = {
    "displaced_primitives": "displaced",
    "displacement_functions": "displaced",
    "variation_primitive": "variations",
    "num_variations": "variations",
}
_EXCLUDES = (
    ("displaced", "variations", "drop one"),
    ("primitives", "displaced", "name them with --displaced_primitives"),
    ("categories", "displaced", "name primitives with --displaced_primitives"),
    ("primitives", "variations", "name one with --variation_primitive"),
    ("categories", "variations", "name a primitive with --variation_primitive"),
    ("sdf_mappers", "3d", "surfaces have no intensities: drop one"),
    ("planes", "3d", "surfaces are not cut: drop one"),
)
_OPTIONS = (
    _names("--primitives", "all", "Primitives to show; `fdif list primitives` shows the names."),
    _names("--categories", "none", "Categories to show; they override --primitives."),
    _names("--unions", "none", "Smooth unions to show: primitives in pairs."),
    click.option("--displaced", is_flag=True, help="Show displaced solids beside plain ones."),
    _names("--displaced_primitives", " ".join(DEFAULT_PRIMITIVES), "Which, with --displaced."),
    _names("--displacement_functions", "all", "By what, with --displaced."),
    click.option("--variations", is_flag=True, help="Show several draws of one primitive's sizes."),
    click.option("--variation_primitive", show_default="sphere", help="Which, with --variations."),
    click.option("--num_variations", type=int, show_default=str(_DRAWS), help="How many draws."),
    click.option("--list_displacements", is_flag=True, help="Show their names, and draw nothing."),
    click.option(
        "--3d", "surfaces", is_flag=True, help="Surfaces, as a picture and as a page to turn them."
    ),
    _names("--sdf_mappers", "inverse_cube", "Intensities to show beside the distance; or `all`."),
    _names("--planes", "axial coronal", "Slices to show: axial, coronal, sagittal."),
    click.option("--grid", type=int, default=64, show_default=True, help="Voxels along each side."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the solids' sizes."),
    click.option(
        "--transform/--no-transform",
        default=False,
        show_default=True,
        help="Rotate and shear as the generator does.",
    ),
    click.option("--plugin", metavar="MODULE:CATALOG", help="A catalog of your own."),
    click.option(
        "--output_dir",
        "--out_dir",
        "out_dir",
        type=click.Path(path_type=Path),
        default=Path("visualizations"),
        show_default=True,
        help="Where to write.",
    ),
    click.option("--overwrite", is_flag=True, help="Replace files that are there."),
    click.option("--quiet", is_flag=True, help="Say nothing but errors."),
)


def _declared(function: Any) -> Any:
    return declare(_OPTIONS, function)


@click.command("visualize", cls=SeveralCommand)
@_declared
@click.pass_context
def command(context: click.Context, **options: Any) -> None:
    """Draw the solids that the generator makes, with their size and extent.

    Without options: all primitives, as slices of the signed distance, the black line being the
    surface, and of the intensity. With --3d: as shaded surfaces.
    """
    if options["list_displacements"]:
        context.invoke(displacements, plugin=options["plugin"], as_json=False)
        return
    _check(options)
    drawing.require("matplotlib", *(("skimage", "plotly") if options["surfaces"] else ()))
    gallery = _gallery(options)
    paths = _paths(gallery, options)
    from fdif_jax.viz.gallery import draw

    keep_programs()
    with Bar(unit="solid", quiet=options["quiet"]) as bar:
        contents = draw(gallery, bar)
    for ending, data in contents.items():
        _write(paths[ending], data)
        if not options["quiet"]:
            click.echo(f"wrote {paths[ending]}: {gallery.title} ({len(data) / 2**20:.1f} MiB)")


def _gallery(options: Options) -> "Gallery":
    """What to draw, checked."""
    from fdif_jax.viz.gallery import GalleryConfig, make_gallery

    request = _request(options)
    config = GalleryConfig(
        side=options["grid"],
        seed=options["seed"],
        transform=options["transform"],
        planes=options["planes"] or GalleryConfig().planes,
        surfaces=options["surfaces"],
        plugin=options["plugin"],
    )
    needed = limits.BASE_BYTES + math.prod(config.grid) * limits.BYTES_PER_VOXEL
    limits.refuse_too_large(config.grid, needed, "choose a smaller --grid.")
    return make_gallery(request, config, load_catalog(options["plugin"])[0])


def _request(options: Options) -> "Request":
    """Which solids the options ask for."""
    from fdif_jax.viz.tiles import ALL, Request

    named = options["primitives"] or options["displaced_primitives"]
    displacements: tuple[str, ...] = ()
    fewest: tuple[str, ...] = ()
    draws = 1
    if options["displaced"]:
        fewest = DEFAULT_PRIMITIVES
        displacements = options["displacement_functions"] or (ALL,)
    if options["variations"]:
        fewest = DEFAULT_PRIMITIVES[:1]
        one = options["variation_primitive"]
        named = () if one is None else (one,)
        draws = _DRAWS if options["num_variations"] is None else options["num_variations"]
    return Request(
        primitives=named or (() if options["unions"] else fewest),
        categories=options["categories"],
        unions=options["unions"],
        displacement_functions=displacements,
        sdf_mappers=options["sdf_mappers"] or ("inverse_cube",),
        draws=draws,
    )


def _check(options: Options) -> None:
    """Refuses options that do not go together; raises InputError."""
    absent = (None, (), False)
    # A number may be 0, which equals False.
    given = {name: type(value) is int or value not in absent for name, value in options.items()}
    for name, flag in _NEEDS.items():
        if given[name] and not given[flag]:
            raise InputError(f"--{name} is for --{flag}; add --{flag}, or drop --{name}.")
    for name, flag, remedy in _EXCLUDES:
        if given[name] and given["surfaces" if flag == "3d" else flag]:
            raise InputError(f"--{name} does not go with --{flag}; {remedy}.")


def _paths(gallery: "Gallery", options: Options) -> dict[str, Path]:
    """Ending to file, none of which is there yet."""
    stem = "primitives"
    if options["displaced"]:
        stem = "displaced"
    elif options["variations"]:
        solids = dict.fromkeys(tile.parts for tile in gallery.tiles)
        # A plugin's names may hold what divides folders.
        stem = re.sub(r"[^\w.+-]", "_", "_".join(["variations", *itertools.chain(*solids)]))
    out_dir = options["out_dir"].expanduser()
    paths = {ending: out_dir / f"{stem}{ending}" for ending in gallery.config.endings}
    _check_folder(out_dir)
    there = [path for path in paths.values() if path.exists()]
    if there and not options["overwrite"]:
        raise InputError(f"{there[0]} exists; choose another --output_dir, or pass --overwrite.")
    if folders := [path for path in there if path.is_dir()]:
        raise InputError(f"{folders[0]} is a folder; choose another --output_dir.")
    return paths


def _check_folder(out_dir: Path) -> None:
    """Before all is drawn; raises InputError or EnvironmentFault where nothing can be written."""
    there = next(path for path in (out_dir, *out_dir.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError(f"--output_dir {out_dir} is a file, or below one; choose a folder.")
    if not os.access(there, os.W_OK):
        raise EnvironmentFault(f"{there} is not writable; choose another --output_dir.")


def _write(path: Path, data: bytes) -> None:
    try:
        atomic.write(path, data)
    except OSError as error:
        raise EnvironmentFault(
            f"{path} cannot be written ({error.strerror or error}); make room, or choose another "
            "--output_dir."
        ) from error
