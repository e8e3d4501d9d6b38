"""A block is skipped only where an object cannot paint; shells and depths are exact."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scenes_to_render import CATALOG, ODD, distances, drawn_scene, object_of

from fdif_jax.grid import Grid
from fdif_jax.sdf import ops
from fdif_jax.synth import bounds, measure, render
from fdif_jax.synth.blocks import Blocks
from fdif_jax.synth.render_blocks import displacement_minima

GRID = Grid.voxels(ODD)
BLOCKS = Blocks(GRID)
DRAWS = 5
# Two programs' float32 minima of fields of up to a hundred voxels.
ROUNDING = 2e-4


@functools.cache
def programs():
    """Of one solid: bounds by block, shell and depth by search, shell by brute force."""

    def measured(scene):
        thing = jax.tree.map(lambda field: field[0], scene)
        shape, matrix = render.part(thing, 0), thing.local_from_world
        thickness = measure.shell_thickness(CATALOG, BLOCKS, shape, matrix)
        local = ops.affine(matrix, *BLOCKS.middles())
        reach = bounds.extent(matrix, BLOCKS.half)
        low = bounds.lowest_distance(CATALOG, shape, thickness, local, reach)
        depth = measure.distance_minimum(CATALOG, BLOCKS, shape, matrix)
        brute = render.shell_thickness(CATALOG, thing, GRID.points())[0]
        return low, thickness, brute, depth

    return jax.jit(measured)


def by_block(field):
    """The lowest value in each block, with blocks in their order."""
    padding = [(0, c * 8 - n) for c, n in zip(BLOCKS.counts, field.shape, strict=True)]
    padded = np.pad(field, padding, constant_values=np.inf)
    d, h, w = BLOCKS.counts
    return padded.reshape(d, 8, h, 8, w, 8).min(axis=(1, 3, 5)).reshape(-1)


@pytest.mark.parametrize("name", list(CATALOG.primitives))
def test_bounds_shells_and_depths_of_a_class(name):
    row = list(CATALOG.primitives).index(name)
    scene = drawn_scene(ODD, row, rows=np.full(DRAWS, row))
    for i in range(DRAWS):
        low, thickness, brute, depth = map(np.asarray, programs()(object_of(scene, i)))
        field = distances(ODD)(object_of(scene, i))
        true = by_block(field)
        assert np.all(low <= true), (name, i, (low - true).max())
        # And near enough to skip by: a block is 12 voxels across its corners.
        assert np.median(true - low) < 30
        assert thickness == pytest.approx(brute, abs=ROUNDING)
        assert (thickness > 0) == ("onioned" in name)
        assert depth == pytest.approx(field.min(), abs=ROUNDING)


def test_bounds_skip_most_of_what_an_object_leaves_empty():
    """For spheres, known by hand: most blocks that hold no part of it are passed over."""
    scene = drawn_scene(ODD, 0, rows=np.zeros(DRAWS, int))
    empty = skipped = 0
    for i in range(DRAWS):
        low = np.asarray(programs()(object_of(scene, i))[0])
        clear = by_block(distances(ODD)(object_of(scene, i))) > 0
        empty, skipped = empty + clear.sum(), skipped + (clear & (low > 0)).sum()
    assert skipped > 0.6 * empty


def test_lowest_values_of_displacements():
    minima = np.asarray(jax.jit(lambda: displacement_minima(CATALOG, BLOCKS))())
    assert minima.shape == (len(CATALOG.displacement_rows), BLOCKS.total)
    field_of = jax.jit(
        lambda i: render.displace(CATALOG, GRID, i, GRID.points(), jnp.zeros(ODD, jnp.float32))
    )
    for i in range(len(CATALOG.displacement_rows)):
        true = by_block(np.asarray(field_of(i)))
        assert np.all(minima[i] <= true)
        # Blocks that overhang may ask for what lies beyond the grid.
        assert np.mean(np.abs(minima[i] - true) <= 2e-3) > 0.3


def test_blocks_cover_every_voxel_once():
    index = BLOCKS.voxels(jnp.arange(BLOCKS.total))
    flat = jnp.broadcast_arrays(*index)
    where = np.stack([np.asarray(axis) for axis in flat], axis=-1).reshape(-1, 3)
    held = (where < np.asarray(ODD)).all(axis=1)
    np.testing.assert_array_equal(held, np.asarray(BLOCKS.within(jnp.arange(BLOCKS.total))).ravel())
    assert len(np.unique(where[held], axis=0)) == held.sum() == np.prod(ODD)
    volume = jnp.asarray(where[:, 0] * 10_000 + where[:, 1] * 100 + where[:, 2])
    whole = np.asarray(BLOCKS.volume(volume.reshape(BLOCKS.total, 8, 8, 8)))
    z, y, x = np.meshgrid(*map(np.arange, ODD), indexing="ij")
    np.testing.assert_array_equal(whole, z * 10_000 + y * 100 + x)
