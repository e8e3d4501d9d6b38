"""Sheets of slices: where tiles stand, which way slices lie, what is written."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from fdif_jax.viz import drawing, sheet, slice_sheet
from fdif_jax.viz.fields import Shown
from fdif_jax.viz.sheet import Raster
from fdif_jax.viz.tiles import Tile

SIDE = 16


def box(title="Box", group="boxes", sizes=0):
    """Inside is small x, small y, large z."""
    z, y, x = np.mgrid[:SIDE, :SIDE, :SIDE]
    distance = np.where((x < 6) & (y < 4) & (z > 10), -2.0, 3.0).astype(np.float32)
    return Shown(Tile(title, group, ("box",), sizes=sizes), distance, {"radius": 2.5})


@pytest.fixture
def figure(monkeypatch):
    """Draws solids, and gives the figure instead of a file."""
    monkeypatch.setattr(drawing, "png", lambda figure, dpi: figure)

    def draw(solids, planes=("axial",), mappers=("modular_5",)):
        return slice_sheet.slices_png(
            solids,
            [solid.tile for solid in solids],
            "title",
            planes=planes,
            mappers=mappers,
            intensities=lambda d: np.stack([128 * (d <= 0)] * len(mappers)).astype(np.uint8),
        )

    return draw


@pytest.mark.parametrize(
    ("count", "row", "columns"), [(1, 1, 1), (9, 1, 3), (109, 1, 11), (22, 11, 11)]
)
def test_tiles_stand_in_rows_and_do_not_overlap(count, row, columns):
    raster = Raster(count, (2.15, 2.1), 0.5, row)
    assert raster.columns == columns
    places = np.array([raster.place(i) for i in range(count)])
    left, bottom, width, height = places.T
    assert (places[:, :2] > 0).all()
    assert (left + width < 1).all()
    assert (bottom + height < 1).all()
    caption = 0.5 / raster.size[1]
    for i in range(1, count):
        beside = left[i] >= left[i - 1] + width[i] - 1e-9
        below = bottom[i] + height[i] <= bottom[i - 1] - caption + 1e-9
        assert beside or below


def test_a_large_sheet_has_fewer_pixels_an_inch():
    assert Raster(9, (2, 2), 0.5).dpi == 128
    for raster in (Raster(2000, (2, 2), 0.5), Raster(1999, (900, 0.1), 0.5)):
        pixels = np.array(raster.size) * raster.dpi
        assert pixels.prod() <= 6.1e7
        assert pixels.max() < 2**16


def test_slices_go_through_the_middle_with_the_higher_axis_upwards():
    distance = np.arange(16**3, dtype=np.float32).reshape(16, 16, 16)
    np.testing.assert_array_equal(slice_sheet.middle(distance, "axial"), distance[8])
    np.testing.assert_array_equal(slice_sheet.middle(distance, "coronal"), distance[:, 8])
    np.testing.assert_array_equal(slice_sheet.middle(distance, "sagittal"), distance[:, :, 8])


def test_a_mosaic_holds_the_first_plane_on_top_and_nothing_between():
    first, second = np.zeros((20, 20)), np.ones((20, 20))
    image = slice_sheet.mosaic([np.stack([first, second]), 5 + np.stack([first, second])])
    assert image.shape == (41, 41)
    assert (image[21:, :20] == 0).all()  # rows run upwards
    assert (image[:20, :20] == 1).all()
    assert (image[21:, 21:] == 5).all()
    assert np.isnan(image[20]).all()
    assert np.isnan(image[:, 20]).all()


def test_a_tile_shows_distance_surface_and_intensity(figure):
    (axes, _) = figure([box()], planes=("coronal",)).axes
    # The middle plane across y shows nothing inside: y is 8 there. So no surface either.
    assert len(axes.images) == 2
    assert len(axes.collections) == 0
    solid = box()
    solid.distance[:, 8] = solid.distance[:, 0]
    (axes, bar) = figure([solid], planes=("coronal",)).axes
    distances, greys = (image.get_array().filled(np.nan) for image in axes.images)
    assert (distances[11:, :6] == -2).all()  # x to the right, z upwards
    assert np.isnan(distances[:, SIDE:]).all()
    assert np.nanmax(greys) == 128
    assert np.isnan(greys[:, :SIDE]).all()
    assert (greys[11:, SIDE + 1 : SIDE + 7] == 128).all()
    (line,) = axes.collections
    assert line.levels == [0.0]
    assert bar.texts[0].get_text() == "distance, voxels"


def test_captions_tell_voxels_and_extent(figure):
    found = figure([box(sizes=1), box("Other")])
    texts = [text.get_text() for axes in found.axes for text in axes.texts]
    assert "Box\n120 voxels, 2.9%\n6 × 4 × 5, cut\nradius 2.5" in texts  # noqa: RUF001
    assert "Other\n120 voxels, 2.9%\n6 × 4 × 5, cut" in texts  # noqa: RUF001
    # The second stands below the first: columns are named once, rows each time.
    assert [text for text in texts if text in ("distance", "modular\n5", "axial")] == [
        *("distance", "modular\n5", "axial", "axial")
    ]
    nothing = Shown(Tile("None", "", ("a",)), np.ones((16, 16, 16), np.float32), {})
    assert sheet.caption(nothing) == "None\n0 voxels, 0.0%\nnothing inside"


def test_displaced_solids_of_each_primitive_share_a_row():
    tiles = [Tile(str(i), str(i // 5), ("a",)) for i in range(20)]
    assert sheet.row_of(tiles) == 5
    assert sheet.row_of(tiles[:19]) == sheet.row_of(tiles[:5]) == 1


def test_the_sheet_is_a_picture():
    solids = [box(), box("Other")]
    png = slice_sheet.slices_png(
        solids,
        [solid.tile for solid in solids],
        "title",
        planes=("axial", "sagittal"),
        mappers=("modular_5",),
        intensities=lambda d: (128 * (d <= 0)).astype(np.uint8)[None],
    )
    pixels = imread(io.BytesIO(png), format="png")[..., :3]
    assert pixels.shape[1] >= 2 * 2 * 128
    assert (pixels[-1] == 1).all()  # the paper is white
