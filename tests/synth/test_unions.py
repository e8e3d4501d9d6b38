"""Smooth unions: crease, axis and shift of the second solid, against brute force."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draw_checks import assert_equally_often, assert_uniform, quick_jit

from fdif_jax.config import GenerateConfig
from fdif_jax.grid import Grid
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.labels import class_table
from fdif_jax.synth.params import Scene
from fdif_jax.synth.render import distances_dense
from fdif_jax.synth.scenes import SceneRules, choices_of, sample_scene

CATALOG = Catalog.default()
GRID = Grid.voxels((16, 20, 24))
OBJECTS = 600
NAMES = ("sphere", "octahedron", "onionedpentagonconeprism", "sixstarprism")


@functools.cache
def unions(transform):
    """One scene of OBJECTS objects, only those that are unions; numpy."""
    config = GenerateConfig(grid=GRID.shape, primitives=NAMES, num_combined_unions=16)
    choices = choices_of(class_table(config, CATALOG, 0), CATALOG)
    rules = SceneRules(OBJECTS, OBJECTS, transform)
    sample = quick_jit(lambda key: sample_scene(key, CATALOG, GRID, choices, rules)[0])
    scene = jax.tree.map(np.asarray, sample(jax.random.key(2)))
    assert set(scene.parts) == {1, 2}
    return jax.tree.map(lambda field: field[scene.parts == 2], scene)


def depths(scene):
    """(n, 2): how deep each solid is, over every voxel of the grid, at its centre and unturned."""

    def one(shape):
        alone = Scene(
            shape=jax.tree.map(lambda field: jnp.stack([field, field])[None], shape),
            local_from_world=jnp.eye(3, 4)[None],
            second_from_first=jnp.eye(3, 4)[None],
            parts=jnp.ones(1, jnp.int32),
            k=jnp.ones(1),
            displacement=jnp.zeros(1, jnp.int32),
            mapper=jnp.zeros(1, jnp.int32),
            label=jnp.ones((1, 1), jnp.int32),
        )
        return jnp.abs(jnp.min(distances_dense(CATALOG, GRID, alone)))

    parts = jax.tree.map(lambda field: field.reshape(-1, *field.shape[2:]), scene.shape)
    return np.asarray(jax.jit(lambda parts: jax.lax.map(one, parts))(parts)).reshape(-1, 2)


def test_crease_is_a_share_of_the_smallest_size():
    assert_uniform(unions(False).k / 16, 0.01, 0.15)


def test_second_solid_is_shifted_along_one_axis_by_a_share_of_both_depths():
    scene = unions(False)
    linear, shift = scene.second_from_first[:, :, :3], -scene.second_from_first[:, :, 3]
    np.testing.assert_array_equal(linear, np.tile(np.eye(3), (len(linear), 1, 1)))
    assert ((shift > 0).sum(axis=1) == 1).all()
    assert ((shift == 0).sum(axis=1) == 2).all()
    assert_equally_often(shift.argmax(axis=1), range(3))
    assert_uniform(shift.max(axis=1) / depths(scene).sum(axis=1), 0.07, 0.49)


def test_whole_is_placed_like_any_object():
    for axis, size in enumerate(GRID.shape[::-1]):
        moved = -unions(False).local_from_world[:, axis, 3]
        assert_uniform(moved / size, -0.35, 0.35)


@pytest.mark.slow
def test_turned_whole_is_placed_like_any_object():
    matrices = np.tile(np.eye(4), (len(unions(True).k), 1, 1))
    matrices[:, :3] = unions(True).local_from_world
    shift = np.linalg.inv(matrices)[:, :3, 3]
    for axis, size in enumerate(GRID.shape[::-1]):
        assert_uniform(shift[:, axis] / size, -0.35, 0.35)


@pytest.mark.slow
def test_parts_turn_apart_and_keep_their_form():
    """Between the solids lies a rotation without shear; the shear of the whole is before it."""
    scene = unions(True)
    between = scene.second_from_first[:, :, :3].astype(np.float64)
    identity = between @ between.transpose(0, 2, 1)
    np.testing.assert_allclose(identity, np.tile(np.eye(3), (len(between), 1, 1)), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(between), 1, atol=1e-5)
    # Two uniform turns: no direction is preferred, whatever the angle.
    assert np.abs(between.mean(axis=0)).max() < 5 / np.sqrt(3 * len(between)) * 1.5
    whole = np.linalg.inv(scene.local_from_world[:, :, :3].astype(np.float64))
    turned = whole.transpose(0, 2, 1) @ whole
    assert np.abs(np.einsum("nii->ni", turned) - 1).max() > 0.05


@pytest.mark.slow
def test_depth_of_turned_solids_decides_the_shift():
    """A sphere and an octahedron are as deep whichever way they are turned."""
    scene = unions(True)
    round_ones = np.isin(scene.shape.program, [CATALOG.programs.index(n) for n in NAMES[:2]])
    chosen = jax.tree.map(lambda field: field[round_ones.all(axis=1)], scene)
    assert len(chosen.k) > 50
    shift = np.linalg.norm(chosen.second_from_first[:, :, 3], axis=1)
    assert_uniform(shift / depths(chosen).sum(axis=1), 0.07, 0.49)
