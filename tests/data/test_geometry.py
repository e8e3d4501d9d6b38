"""Laws of the geometry: what lies where in the world stays there, whatever the affine."""

import numpy as np
import pytest
from tiny_volumes import oblique, orientations, sheared

from fdif_jax.data import geometry
from fdif_jax.errors import InputError

SHAPE = (7, 9, 5)
SLOPE = np.array([0.3, -0.2, 0.5])  # of a field that is linear in the world, per mm
AFFINES = [*orientations(), oblique(), sheared()]
PRECISION = 1e-5  # float32 at values up to 30


def world(affine, shape):
    points = np.moveaxis(np.indices(shape), 0, -1)
    return points @ affine[:3, :3].T + affine[:3, 3]


def field(affine, shape):
    return (world(affine, shape) @ SLOPE).astype(np.float32)


@pytest.mark.parametrize("spacing", [None, (1.0, 1.3, 0.7)], ids=["native", "respaced"])
def test_every_voxel_stays_where_it_was(spacing):
    box = (slice(1, 6), slice(2, 9), slice(0, 4))
    for affine in AFFINES:
        place = geometry.plan(SHAPE, affine, box=box, spacing=spacing, pad_to=(8, 3, 12))
        grid = geometry.to_grid(field(affine, SHAPE), place)
        assert grid.shape == place.prepared
        inside = grid[place.inner]
        expected = field(place.prepared_affine, place.prepared)[place.inner]
        within = tuple(  # the last sample may lie half a step behind the last voxel
            slice(0, int((n - 1) / step + 1e-9) + 1)
            for n, step in zip(place.oriented, place.steps, strict=True)
        )
        np.testing.assert_allclose(inside[within], expected[within], rtol=0, atol=PRECISION)
        assert np.count_nonzero(grid) == np.count_nonzero(inside), "padding is zero"


def test_axes_run_to_the_right_the_front_and_up():
    for affine in AFFINES:
        turned = geometry.plan(SHAPE, affine).prepared_affine[:3, :3]
        assert (np.argmax(np.abs(turned), axis=0) == range(3)).all()
        assert (np.diag(turned) > 0).all()


def test_spacing_is_what_was_asked_for():
    for affine in AFFINES:
        place = geometry.plan(SHAPE, affine, spacing=(1.0, 1.3, 0.7))
        sides = np.linalg.norm(place.prepared_affine[:3, :3], axis=0)
        np.testing.assert_allclose(sides, (1.0, 1.3, 0.7))


def test_nearly_the_spacing_keeps_the_voxels():
    voxels = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    place = geometry.plan(SHAPE, np.diag([1.5009, 0.7, 2.0, 1]), spacing=(1.5, 1.5, 2.0))
    assert place.steps == (1.0, 1.5 / 0.7, 1.0)
    assert place.resampled == (7, 5, 5)  # (9 - 1) * 0.7 / 1.5 + 1 = 4.73
    np.testing.assert_array_equal(geometry.to_grid(voxels, place)[:, 0], voxels[:, 0])


def test_labels_take_the_nearest_voxel():
    line = np.arange(6, dtype=np.uint8)[:, None, None]
    place = geometry.plan((6, 1, 1), np.diag([1.0, 1, 1, 1]), spacing=(1.6, 1, 1))
    assert geometry.to_grid(line, place, nearest=True).ravel().tolist() == [0, 2, 3, 5]


def test_linear_sampling_of_large_volumes_in_slabs(monkeypatch):
    voxels = np.random.default_rng(0).normal(size=(9, 8, 7, 2)).astype(np.float32)
    place = geometry.plan((9, 8, 7), oblique(), spacing=(1.0, 1.0, 1.0))
    whole = geometry.to_grid(voxels, place)
    monkeypatch.setattr(geometry.resample, "_BLOCK", 1)
    np.testing.assert_array_equal(geometry.to_grid(voxels, place), whole)


def test_padding_puts_the_odd_voxel_behind():
    place = geometry.plan((4, 5, 6), np.eye(4), pad_to=(7, 7, 5))
    assert place.before == (1, 1, 0)
    assert place.prepared == (7, 7, 6)


def test_bounding_box():
    inside = np.zeros((5, 6, 7), bool)
    assert geometry.bounding_box(inside) is None
    inside[1, 2, 3] = inside[3, 4, 3] = True
    assert geometry.bounding_box(inside) == (slice(1, 4), slice(2, 5), slice(3, 4))


@pytest.mark.parametrize(
    "affine",
    [
        pytest.param(np.diag([1.0, 0, 1, 1]), id="no-voxel-size"),
        pytest.param(np.diag([1.0, np.nan, 1, 1]), id="nan"),
        pytest.param(
            np.array([[1.0, 1, 0, 0], [0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]), id="flat"
        ),
    ],
)
def test_affines_that_place_nothing_are_refused(affine):
    with pytest.raises(InputError, match="has an affine"):
        geometry.plan(SHAPE, affine)
