"""What a gallery draws, and what it refuses to draw."""

import numpy as np
import pytest

from fdif_jax.errors import InputError
from fdif_jax.synth.catalog import Catalog
from fdif_jax.viz import drawing, gallery
from fdif_jax.viz.fields import Shown
from fdif_jax.viz.gallery import GalleryConfig
from fdif_jax.viz.tiles import Request


@pytest.mark.parametrize("surfaces", [False, True])
def test_what_is_no_number_is_no_empty_picture(monkeypatch, surfaces):
    def no_numbers(tiles, catalog, grid, seed, *, transform):
        yield Shown(tiles[0], np.full((8, 8, 8), np.nan, np.float32), {})

    monkeypatch.setattr(gallery, "shown", no_numbers)
    config = GalleryConfig(side=8, surfaces=surfaces)
    wanted = gallery.make_gallery(Request(primitives=("sphere",)), config, Catalog.default())
    with pytest.raises(InputError, match="the distance of Sphere is not a number"):
        gallery.draw(wanted, lambda done, of: None)


def test_dollars_in_names_are_dollars():
    figure = drawing.figure((2, 2))
    axes = figure.add_subplot()
    axes.plot([0, 1], label=r"$\frac{$")
    axes.legend()
    axes.set_title("$x$")
    assert drawing.png(figure)[:4] == b"\x89PNG"
