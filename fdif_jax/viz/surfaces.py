"""Surfaces of solids as triangles, and a sheet of them, shaded, seen from above."""

import colorsys
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdif_jax.viz import drawing, sheet
from fdif_jax.viz.fields import Shown
from fdif_jax.viz.sheet import Raster
from fdif_jax.viz.tiles import Tile

MOST_TRIANGLES = 2_000_000
"""Of a sheet; beyond, meshes become coarser. A web page of them then has 30 MB."""
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


def surface_of(shown: Shown, step: int) -> Surface:
    """The mesh of a solid with what is said of it; see ``mesh_of``."""
    return Surface(shown.tile, mesh_of(shown.distance, step), sheet.caption(shown))


def mesh_of(distance: np.ndarray, step: int = 1) -> Mesh:
    """Where a field (D, H, W) is zero, by marching cubes.

    Args:
      distance: negative inside.
      step: every how many voxels the field is looked at; a solid too thin for it is looked at
        everywhere.
    """
    from skimage.measure import marching_cubes

    if not distance.min() < 0:
        return Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32), np.zeros((0, 3)))
    # One voxel of outside all around closes what the border cuts.
    padded = np.pad(distance, 1, constant_values=1.0)
    try:
        places, faces, normals, _ = marching_cubes(padded, 0.0, step_size=step)
    except RuntimeError:
        return mesh_of(distance)
    middle = np.array(distance.shape) / 2 + 1
    # The order of axes is turned round, and so are the triangles; normals point to lower values.
    return Mesh((places - middle)[:, ::-1], faces[:, ::-1], _unit(-normals[:, ::-1]))


def mesh_step(count: int, side: int) -> int:
    """The finest step with which ``count`` meshes of a ``side``³ grid stay within bounds."""
    return math.ceil(math.sqrt(count * _TRIANGLES * side * side / MOST_TRIANGLES))


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
