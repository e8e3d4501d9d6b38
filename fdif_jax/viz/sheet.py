"""Where the tiles of a picture stand, and what is written under each."""

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from fdif_jax.viz import drawing
from fdif_jax.viz.fields import Shown, statistics
from fdif_jax.viz.tiles import Tile

FONT = 7
_LINE = 1.3 * FONT / 72
_HEAD = 0.62
_MARGIN = 0.25
_NARROWEST = 5.5
_DPI = 128
_MOST_PIXELS = 60e6
_LONGEST_SIDE = 60_000
"""Pixels; matplotlib's own limit is 65536."""


@dataclasses.dataclass(frozen=True, slots=True)
class Raster:
    """Tiles from left to right and top to bottom, a caption below each. Lengths are inches.

    Args:
      count: how many tiles.
      tile: width and height.
      caption: height of the text below a tile.
      row: tiles that belong side by side; rows hold a multiple of it.
    """

    count: int
    tile: tuple[float, float]
    caption: float
    row: int = 1

    @property
    def columns(self) -> int:
        """As many as make the picture about square, with few places left empty."""
        width, height = self.tile
        wanted = math.sqrt(self.count * (height + self.caption) / width) / self.row
        near = range(max(1, round(0.7 * wanted)), round(1.5 * wanted) + 1) or [1]
        rows = self.count // self.row
        return self.row * min(near, key=lambda n: (-rows % n, abs(n - wanted)))

    @property
    def size(self) -> tuple[float, float]:
        """Of the picture."""
        (width, height), columns = self.tile, self.columns
        rows = math.ceil(self.count / columns)
        across = max(_NARROWEST, columns * width + 2 * _MARGIN)
        return across, rows * (height + self.caption) + _HEAD + _MARGIN

    @property
    def dpi(self) -> float:
        """Pixels an inch, fewer where the picture would become too large."""
        width, height = self.size
        most = math.sqrt(_MOST_PIXELS / (width * height)), _LONGEST_SIDE / max(width, height)
        return min(_DPI, *most)

    def place(self, number: int) -> tuple[float, float, float, float]:
        """Left, bottom, width and height of a tile, as shares of the picture."""
        row, column = divmod(number, self.columns)
        (width, height), (across, up) = self.tile, self.size
        left = _MARGIN + column * width
        bottom = up - _HEAD - row * (height + self.caption) - height
        return left / across, bottom / up, width / across, height / up


def begin(raster: Raster, title: str) -> Any:
    """An empty picture with its title.

    Raises:
      EnvironmentFault: matplotlib is not installed.
    """
    figure = drawing.figure(raster.size, arrange=False)
    across, up = raster.size
    figure.text(_MARGIN / across, 1 - 0.12 / up, title, va="top", fontsize=FONT + 2)
    return figure


def add_tile(figure: Any, raster: Raster, number: int, caption: str) -> Any:
    """Axes for tile ``number``, without ticks, the caption below them."""
    axes = figure.add_axes(raster.place(number))
    axes.set_axis_off()
    axes.text(
        0.5,
        -0.03 / raster.tile[1],
        caption,
        transform=axes.transAxes,
        ha="center",
        va="top",
        fontsize=FONT,
        linespacing=1.25,
    )
    return axes


def caption(shown: Shown) -> str:
    """What is said of a solid: name, voxels inside, extent, and its sizes where they vary."""
    return "\n".join([shown.tile.title, *numbers(shown)])


def numbers(shown: Shown) -> list[str]:
    """The lines under a solid's name."""
    found = statistics(shown.distance)
    extent = " \N{MULTIPLICATION SIGN} ".join(map(str, found.extent))
    lines = [f"{found.inside:,} voxels, {found.share:.1%}", f"{extent}{', cut' * found.cut}"]
    if not found.inside:
        lines[1] = "nothing inside"
    if shown.tile.sizes:
        sizes = [f"{name} {value:.3g}" for name, value in shown.sizes.items()]
        lines += [", ".join(sizes[i : i + 2]) for i in range(0, len(sizes), 2)]
    return lines


def caption_height(tiles: Sequence[Tile]) -> float:
    """Inches that the longest caption of ``tiles`` takes, with a gap below."""
    lines = max(tile.title.count("\n") + 3 + math.ceil(tile.sizes / 2) for tile in tiles)
    return lines * _LINE + 0.12


def row_of(tiles: Sequence[Tile]) -> int:
    """How many tiles belong side by side: a group's, where there are several of one size."""
    sizes = Counter(tile.group for tile in tiles)
    alike = len(set(sizes.values())) == 1 and len(sizes) > 1
    return min(sizes.values()) if alike else 1
