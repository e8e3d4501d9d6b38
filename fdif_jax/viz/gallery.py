"""From a request to the files of its sheet: slices, or surfaces and a page to turn them on."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from fdif_jax.config import MIN_GRID, at_least, check_grid, check_seed
from fdif_jax.errors import InputError, lookup
from fdif_jax.grid import Grid
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.plugins import blamed
from fdif_jax.viz.fields import Shown, mapped, shown
from fdif_jax.viz.page import html_page
from fdif_jax.viz.slice_sheet import PLANES, slices_png
from fdif_jax.viz.surfaces import (
    PAGE_TRIANGLES,
    PICTURE_TRIANGLES,
    Surface,
    mesh_side,
    surface_of,
    surfaces_png,
)
from fdif_jax.viz.tiles import Request, Tile, tiles_of

Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class GalleryConfig:
    """How to show what a request asks for.

    Args:
      side: of the cube that the volume is, voxels.
      seed: of the solids' sizes.
      transform: rotate and shear as the generator does, instead of the solids' own axes.
      planes: of the slices: axial, coronal, sagittal.
      surfaces: show surfaces instead of slices.
      plugin: the catalog's name, for messages.

    Raises:
      InputError: a number out of range, an unknown plane.
    """

    side: int = 64
    seed: int = 0
    transform: bool = False
    planes: tuple[str, ...] = ("axial", "coronal")
    surfaces: bool = False
    plugin: str | None = None

    def __post_init__(self) -> None:
        """Checks numbers and names."""
        at_least("grid", self.side, MIN_GRID)
        check_grid(self.grid)
        check_seed(self.seed)
        for plane in self.planes:
            lookup(PLANES, plane, kind="plane")
        if not self.planes:
            raise InputError("planes is empty; give at least one of axial, coronal, sagittal.")

    @property
    def grid(self) -> tuple[int, int, int]:
        """(D, H, W)."""
        return self.side, self.side, self.side

    @property
    def endings(self) -> tuple[str, ...]:
        """What the names of the files end with."""
        return ("_3d.png", "_3d.html") if self.surfaces else (".png",)


@dataclasses.dataclass(frozen=True, slots=True)
class Gallery:
    """A checked request: what to draw, before anything is drawn."""

    config: GalleryConfig
    catalog: Catalog
    tiles: tuple[Tile, ...]
    mappers: tuple[str, ...]

    @property
    def title(self) -> str:
        """Above pictures."""
        side, count = self.config.side, len(self.tiles)
        return f"{count} solid{'s' * (count > 1)}, {side}³ voxels, seed {self.config.seed}"


def make_gallery(request: Request, config: GalleryConfig, catalog: Catalog) -> Gallery:
    """The gallery of ``request``; raises InputError as ``tiles.tiles_of`` does."""
    return Gallery(config, catalog, *tiles_of(request, catalog))


def draw(gallery: Gallery, progress: Progress) -> dict[str, bytes]:
    """Ending of its name to content, for each file.

    Args:
      gallery: what to draw.
      progress: called with (drawn, all).

    Raises:
      InputError: what a plugin adds does not run, or gives what is not a number.
      EnvironmentFault: a package for pictures is not installed.
    """
    make = _surfaces if gallery.config.surfaces else _slices
    return dict(zip(gallery.config.endings, make(gallery, progress), strict=True))


def _slices(gallery: Gallery, progress: Progress) -> tuple[bytes, ...]:
    picture = slices_png(
        _shown(gallery, progress),
        gallery.tiles,
        gallery.title,
        planes=tuple(dict.fromkeys(gallery.config.planes)),
        mappers=gallery.mappers,
        intensities=blamed(gallery.config.plugin)(mapped(gallery.catalog, gallery.mappers)),
    )
    return (picture,)


def _surfaces(gallery: Gallery, progress: Progress) -> tuple[bytes, ...]:
    kept: list[Surface] = []
    side = gallery.config.side

    budgets = PICTURE_TRIANGLES, PAGE_TRIANGLES
    fine, coarse = (mesh_side(len(gallery.tiles), side, most) for most in budgets)

    def kept_by_the_way() -> Iterator[Surface]:
        for solid in _shown(gallery, progress):
            surface = surface_of(solid, fine)
            kept.append(surface if coarse == fine else surface_of(solid, coarse))
            yield surface

    picture = surfaces_png(kept_by_the_way(), gallery.tiles, gallery.title, side=side)
    return picture, html_page(kept, gallery.title, side=side).encode()


def _shown(gallery: Gallery, progress: Progress) -> Iterator[Shown]:
    config, tiles = gallery.config, gallery.tiles
    grid = Grid.voxels(config.grid)
    with blamed(config.plugin):
        every = shown(tiles, gallery.catalog, grid, config.seed, transform=config.transform)
        for number, solid in enumerate(every, 1):
            if np.isnan(solid.distance).any():
                name = solid.tile.title.replace("\n", ", ")
                raise InputError(f"the distance of {name} is not a number; mend its formula.")
            yield solid
            progress(number, len(tiles))
