"""A sheet of slices: each solid's distance field with its surface, and what mappers make of it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fdif_jax.viz import drawing, sheet
from fdif_jax.viz.fields import Shown
from fdif_jax.viz.sheet import FONT, Raster
from fdif_jax.viz.slices import IMAGE_MAX
from fdif_jax.viz.tiles import Tile

PLANES = {"axial": 0, "coronal": 1, "sagittal": 2}
"""Name to the array axis across which the volume is cut, through its middle."""
_PANEL, _GAP = 1.0, 0.05  # inches; the gap as a share of a panel
_COLOURS = "RdBu_r"
_RANGE = 0.4
"""Distances up to this share of the grid have colours of their own."""


def slices_png(
    every: Iterable[Shown],
    tiles: Sequence[Tile],
    title: str,
    *,
    planes: Sequence[str],
    mappers: Sequence[str],
    intensities: Callable[[np.ndarray], np.ndarray],
) -> bytes:
    """A PNG: a row of panels for each plane, the distance first, then each mapper's intensity.

    Args:
      every: the solids of ``tiles``, in their order.
      tiles: what they are.
      title: above the picture.
      planes: of ``PLANES``.
      mappers: names.
      intensities: from distances (…) to (mappers, …) uint8.

    Raises:
      EnvironmentFault: matplotlib is not installed.
    """
    columns = 1 + len(mappers)
    rows, gaps = len(planes), _PANEL * (1 + _GAP)
    raster = Raster(
        len(tiles),
        (columns * gaps + 2 * _GAP, rows * gaps),
        sheet.caption_height(tiles),
        sheet.row_of(tiles),
    )
    figure = sheet.begin(raster, title)
    shades = None
    for number, shown in enumerate(every):
        axes = sheet.add_tile(figure, raster, number, sheet.caption(shown))
        cuts = np.stack([middle(shown.distance, plane) for plane in planes])
        shades = _draw(axes, cuts, intensities(cuts))
        if number < raster.columns:
            _name(axes, ("distance", *mappers), cuts.shape[-1], rows, above=True)
        if number % raster.columns == 0:
            _name(axes, planes, cuts.shape[-1], rows, above=False)
    _scale(figure, raster, shades)
    return drawing.png(figure, raster.dpi)


def middle(distance: np.ndarray, plane: str) -> np.ndarray:
    """The slice of (D, H, W) through its middle: the higher of its axes upwards."""
    axis = PLANES[plane]
    return np.take(distance, distance.shape[axis] // 2, axis)


def _draw(axes: Any, cuts: np.ndarray, images: np.ndarray) -> Any:
    """The panels of a tile; returns what a scale of its distances can be drawn from."""
    most = _RANGE * cuts.shape[-1]
    distances = mosaic([cuts, *np.full_like(images, np.nan, np.float32)])
    greys = mosaic([np.full_like(cuts, np.nan), *images.astype(np.float32)])
    shades = axes.imshow(distances, origin="lower", cmap=_COLOURS, vmin=-most, vmax=most)
    if cuts.min() <= 0 < cuts.max():
        axes.contour(distances, [0.0], colors="black", linewidths=0.9)
    axes.imshow(greys, origin="lower", cmap="gray", vmin=0, vmax=IMAGE_MAX)
    return shades


def mosaic(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Panels (planes, S, S) of each column in one image, rows upwards: the last plane is lowest.

    Between them is nothing: not a number.
    """
    size = columns[0].shape[-1]
    gap = _gap(size)
    padded = [np.pad(c, ((0, 0), (0, gap), (0, gap)), constant_values=np.nan) for c in columns]
    upwards = np.concatenate([np.concatenate(column[::-1]) for column in padded], axis=1)
    return upwards[:-gap, :-gap]


def _gap(size: int) -> int:
    return max(1, round(_GAP * size))


def _name(axes: Any, names: Sequence[str], size: int, rows: int, *, above: bool) -> None:
    """Writes ``names`` above the columns of a tile, or left of its rows."""
    step = size + _gap(size)
    edge = rows * step - _gap(size) / 2
    for i, name in enumerate(names):
        text = name.replace("_", "\n", 1) if above else name
        along = i * step + size / 2 if above else (rows - 1 - i) * step + size / 2
        place = (along, edge) if above else (-_gap(size), along)
        axes.text(
            *place,
            text,
            fontsize=FONT - 1,
            ha="center" if above else "right",
            va="bottom" if above else "center",
            rotation="horizontal" if above else "vertical",
        )


def _scale(figure: Any, raster: Raster, shades: Any) -> None:
    """The colours of distances, in the upper right corner."""
    across, up = raster.size
    axes = figure.add_axes(((across - 1.85) / across, 1 - 0.2 / up, 1.6 / across, 0.08 / up))
    bar = figure.colorbar(shades, cax=axes, orientation="horizontal")
    bar.ax.tick_params(labelsize=FONT - 1, length=2, pad=1)
    bar.ax.text(
        -0.04,
        0.5,
        "distance, voxels",
        transform=bar.ax.transAxes,
        ha="right",
        va="center",
        fontsize=FONT,
    )
