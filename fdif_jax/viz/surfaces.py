"""Surfaces of solids as triangles, and a sheet of them, shaded, seen from above."""

import colorsys
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from fdif_jax.viz import drawing, sheet
from fdif_jax.viz.fields import Shown
from fdif_jax.viz.sheet import Raster
from fdif_jax.viz.tiles import Tile

PAGE_TRIANGLES = 2_000_000
"""Of a page, which then has 30 MB; meshes are of coarser fields where there would be more."""
PICTURE_TRIANGLES = 8_000_000
"""Of a picture: more would not be seen."""
_TRIANGLES = 4.0
"""Of a solid's surface, times the square of the grid's side: displaced ones, roughly."""
_TILE = (1.75, 1.6)
_WINDOW = 0.58
"""Half of what a tile shows, as a share of the grid: a cube that fills it stands out a little."""
AZIMUTH, ELEVATION = math.radians(40), math.radians(28)
_LIGHT = np.array([-0.35, 0.65, 0.68])
"""To the right, upwards, towards the viewer."""
_AMBIENT = 0.3


class Mesh(NamedTuple):
    """A closed surface; what the volume cuts off is capped. Empty where nothing is inside."""

    vertices: np.ndarray
    """(V, 3) x, y, z, voxels from the middle of the volume."""
    faces: np.ndarray
    """(F, 3) vertex numbers, anticlockwise as seen from outside."""
    normals: np.ndarray
    """(V, 3), outwards, of length 1."""


class Surface(NamedTuple):
    """A tile as it is drawn in space."""

    tile: Tile
    mesh: Mesh
    caption: str


def surface_of(shown: Shown, side: int) -> Surface:
    """The mesh of a solid with what is said of it; see ``mesh_of``."""
    return Surface(shown.tile, mesh_of(shown.distance, side), sheet.caption(shown))


def mesh_side(count: int, side: int, most: int) -> int:
    """Samples a side for ``count`` meshes of at most ``most`` triangles together."""
    return min(side, max(8, math.isqrt(int(most / (_TRIANGLES * count)))))


def mesh_of(distance: np.ndarray, side: int) -> Mesh:
    """Where a field (D, D, D) is zero, by marching cubes.

    Args:
      distance: negative inside.
      side: how many samples a side the field is looked at, at most its own; what vanishes is
        looked at as it is.
    """
    from skimage.measure import marching_cubes

    own = len(distance)
    field = distance if side >= own else ndimage.zoom(distance, side / own, order=1)
    if not field.min() < 0:
        if side < own:
            return mesh_of(distance, own)
        return Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32), np.zeros((0, 3)))
    # One sample of outside all around closes what the border cuts.
    places, faces, normals, _ = marching_cubes(np.pad(field, 1, constant_values=1.0), 0.0)
    places = (places - 1) * ((own - 1) / (len(field) - 1)) - own / 2
    # The order of axes is turned round, and so are the triangles; normals point to lower values.
    return Mesh(places[:, ::-1], faces[:, ::-1], _unit(-normals[:, ::-1]))


def surfaces_png(
    every: Iterable[Surface], tiles: Sequence[Tile], title: str, *, side: int
) -> bytes:
    """A PNG of shaded surfaces, a colour for each group.

    Args:
      every: the surfaces of ``tiles``, in their order.
      tiles: what they are.
      title: above the picture.
      side: of the grid, voxels.

    Raises:
      EnvironmentFault: matplotlib is not installed.
    """
    raster = Raster(len(tiles), _TILE, sheet.caption_height(tiles), sheet.row_of(tiles))
    figure = sheet.begin(raster, title)
    groups = list(dict.fromkeys(tile.group for tile in tiles))
    for number, surface in enumerate(every):
        axes = sheet.add_tile(figure, raster, number, surface.caption)
        width, height = _TILE
        reach = _WINDOW * side
        axes.set_xlim(-reach * width / height, reach * width / height)
        axes.set_ylim(-reach, reach)
        if len(surface.mesh.faces):
            _draw(axes, surface.mesh, group_colour(groups.index(surface.tile.group)))
    return drawing.png(figure, raster.dpi)


def group_colour(number: int) -> tuple[float, float, float]:
    """RGB, 0 to 1: a soft colour, unlike that of the groups before."""
    return colorsys.hsv_to_rgb((0.58 + number * drawing.GOLDEN_TURN) % 1.0, 0.45, 0.88)


def _draw(axes: Any, mesh: Mesh, colour: tuple[float, float, float]) -> None:
    """Triangles that face the viewer, the farthest first."""
    from matplotlib.colors import LinearSegmentedColormap

    seen, normals = mesh.vertices @ _VIEW.T, mesh.normals @ _VIEW.T
    a, b, c = (seen[mesh.faces[:, i], :2] for i in range(3))
    (u, v), (s, t) = (b - a).T, (c - a).T
    faces = mesh.faces[u * t - v * s > 0]
    faces = faces[np.argsort(seen[faces, 2].sum(1), kind="stable")]
    light = _AMBIENT + (1 - _AMBIENT) * (normals @ _unit(_LIGHT)).clip(0, 1)
    full = np.array(colour)
    shades = LinearSegmentedColormap.from_list("shades", np.stack([0.3 * full, full, _pale(full)]))
    axes.tripcolor(
        *seen[:, :2].T, faces, light, shading="gouraud", cmap=shades, vmin=0, vmax=1, clip_on=False
    )


def _pale(colour: np.ndarray) -> np.ndarray:
    return 0.6 * colour + 0.4


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _view() -> np.ndarray:
    """(3, 3): from x, y, z to right, up and towards the viewer; z is up."""
    ca, sa, ce, se = (f(a) for a in (AZIMUTH, ELEVATION) for f in (math.cos, math.sin))
    return np.array([[-sa, ca, 0.0], [-ca * se, -sa * se, ce], [ca * ce, sa * ce, se]])


_VIEW = _view()
