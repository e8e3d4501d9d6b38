"""The solids of sheets are the generator's: formulas, sizes, intensities; statistics by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from fdif_jax import Catalog
from fdif_jax.grid import Grid
from fdif_jax.viz.fields import mapped, shown, statistics
from fdif_jax.viz.tiles import Request, tiles_of

CATALOG, GRID = Catalog.default(), Grid.voxels((16, 16, 16))


def drawn(seed=0, transform=False, **fields):
    tiles, _ = tiles_of(Request(**fields), CATALOG)
    return list(shown(tiles, CATALOG, GRID, seed, transform=transform))


def test_a_sphere_is_the_distance_to_its_radius():
    (sphere,) = drawn(primitives=("sphere",))
    z, y, x = np.mgrid[-8:8, -8:8, -8:8]
    expected = np.sqrt(x**2 + y**2 + z**2) - sphere.sizes["radius"]
    np.testing.assert_allclose(sphere.distance, expected, atol=1e-5)
    assert 0.15 * 16 <= sphere.sizes["radius"] <= 0.40 * 16


def test_prisms_stand_upright_and_rotation_is_asked_for():
    """A cylinder's every plane is the same one, up to its ends."""
    upright, turned = (
        drawn(primitives=("cylinder",), transform=transform)[0] for transform in (False, True)
    )
    assert upright.sizes == turned.sizes
    inside = upright.distance <= 0
    assert len(np.unique(inside[inside.any((1, 2))], axis=0)) == 1
    assert not np.array_equal(upright.distance, turned.distance)


def test_a_solid_is_the_same_on_every_sheet():
    alone = drawn(primitives=("cone",))[0].distance
    among = drawn(primitives=("sphere", "torus", "cone"))[2].distance
    displaced = drawn(primitives=("cone",), displacement_functions=("ridge",))
    np.testing.assert_array_equal(alone, among)
    np.testing.assert_array_equal(alone, displaced[0].distance)
    ridges = displaced[1].distance - alone
    assert ridges.min() >= 0
    assert 0.1 < ridges.max() < 3 * 0.03 * 7.001


def test_draws_and_seeds_have_sizes_of_their_own():
    sizes = [solid.sizes["radius"] for solid in drawn(primitives=("cone",), draws=4)]
    sizes += [drawn(primitives=("cone",), seed=1)[0].sizes["radius"]]
    assert len(set(sizes)) == 5
    assert sizes == [
        *(solid.sizes["radius"] for solid in drawn(primitives=("cone",), draws=4)),
        drawn(primitives=("cone",), seed=1)[0].sizes["radius"],
    ]


@pytest.mark.slow  # joining solids takes long to compile
def test_a_union_holds_its_two_solids_and_rounds_the_crease():
    catalog = CATALOG.with_primitive(
        "ball", lambda x, y, z, *, r: jnp.sqrt(x**2 + y**2 + z**2) - r, ranges={"r": (0.2, 0.2)}
    )
    tiles, _ = tiles_of(Request(unions=("ball", "ball")), catalog)
    (union,) = shown(tiles, catalog, GRID, 0, transform=False)
    z, y, x = np.mgrid[-8:8, -8:8, -8:8]
    first = np.sqrt(x**2 + y**2 + z**2) - 0.2 * 16
    assert (union.distance <= first + 1e-5).all()
    x, y, z = statistics(union.distance).extent
    assert sorted((x, y, z))[:2] == [7, 7]
    assert max(x, y, z) > 7
    assert union.sizes == {}


def test_intensities_are_those_of_the_generator():
    distance = np.linspace(-6, 6, 97, dtype=np.float32).reshape(1, -1)
    names = ("inverse_cube", "linear_slope_10.0")
    cube, slope = mapped(CATALOG, names)(distance)
    assert cube.dtype == np.uint8
    np.testing.assert_array_equal(cube, (128 / (np.abs(distance) ** 3 + 1)).astype(np.uint8))
    expected = np.where(distance <= 0, np.clip(128 + 10 * distance, 0, 128), 0)
    np.testing.assert_array_equal(slope, expected.astype(np.uint8))


def test_statistics_are_counted():
    distance = np.ones((10, 12, 14), np.float32)
    distance[2:5, 3:7, 4:9] = -1  # 3 along z, 4 along y, 5 along x
    distance[2, 3, 4] = 0  # the surface is inside
    found = statistics(distance)
    assert found == (60, 60 / 1680, (5, 4, 3), False)
    distance[9, 3, 4] = -1
    assert statistics(distance)[2:] == ((5, 4, 8), True)
    assert statistics(np.abs(distance) + 1) == (0, 0.0, (0, 0, 0), False)
