"""Where objects lie: translation, rotation, shear, and the frames of a union."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draw_checks import assert_uniform, assert_unrelated

from fdif_jax.grid import Grid
from fdif_jax.synth import sampling

GRID = Grid.voxels((24, 40, 64))
DRAWS = 4000
KEYS = jax.random.split(jax.random.key(3), DRAWS)
# Inverse and root of float32 matrices, taken in float64.
ROUNDING = 2e-6


@functools.cache
def world_from_local(transform=True, centred=False):
    """(DRAWS, 4, 4) in float64."""
    place = jax.vmap(
        lambda key: sampling.draw_placement(key, GRID, transform=transform, centred=centred)
    )
    matrices = np.tile(np.eye(4), (DRAWS, 1, 1))
    matrices[:, :3] = place(KEYS)
    return np.linalg.inv(matrices)


def turn_and_shear(matrices):
    """Polar decomposition A = R S: S is the root of A^T A."""
    linear = matrices[:, :3, :3]
    values, vectors = np.linalg.eigh(linear.transpose(0, 2, 1) @ linear)
    shear = vectors * np.sqrt(values)[:, None, :] @ vectors.transpose(0, 2, 1)
    return linear @ np.linalg.inv(shear), shear


def angles(turn):
    """a, b, c of Rz(c) Ry(b) Rx(a), with b within a quarter turn: the same rotation."""
    a = np.arctan2(turn[:, 2, 1], turn[:, 2, 2])
    c = np.arctan2(turn[:, 1, 0], turn[:, 0, 0])
    return a, np.arcsin(np.clip(-turn[:, 2, 0], -1, 1)), c


@pytest.mark.parametrize("transform", [True, False])
def test_translation_is_a_share_of_each_axis(transform):
    """x goes with W, y with H, z with D."""
    shift = world_from_local(transform)[:, :3, 3]
    for axis, size in enumerate((64, 40, 24)):
        assert_uniform(shift[:, axis] / size, -0.35, 0.35, "xyz"[axis])
    assert_unrelated(shift.T)


def test_shear_is_symmetric_and_acts_before_the_rotation():
    turn, shear = turn_and_shear(world_from_local())
    diagonal = np.einsum("nii->ni", shear)
    np.testing.assert_allclose(diagonal, 1, atol=ROUNDING)
    sides = shear[:, 0, 1], shear[:, 0, 2], shear[:, 1, 2]
    for side in sides:
        assert_uniform(side, -0.1, 0.1, "shear")
    assert_unrelated([*sides, *angles(turn)])


def test_rotation_is_one_and_each_angle_uniform():
    """(a, b, c) and (a + pi, pi - b, c + pi) are one rotation: uniform b folds to a quarter."""
    turn, _ = turn_and_shear(world_from_local())
    identity = turn @ turn.transpose(0, 2, 1)
    np.testing.assert_allclose(identity, np.tile(np.eye(3), (DRAWS, 1, 1)), atol=ROUNDING)
    np.testing.assert_allclose(np.linalg.det(turn), 1, atol=ROUNDING)
    a, b, c = angles(turn)
    assert_uniform(a, -np.pi, np.pi, "a")
    assert_uniform(b, -np.pi / 2, np.pi / 2, "b")
    assert_uniform(c, -np.pi, np.pi, "c")


def test_rotation_is_z_after_y_after_x():
    key = jax.random.key(11)
    a, b, c = np.asarray(jax.random.uniform(key, (3,), minval=-jnp.pi, maxval=jnp.pi))
    about_x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    about_y = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    about_z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    expected = np.asarray(about_z) @ about_y @ about_x
    np.testing.assert_allclose(sampling.draw_rotation(key), expected, atol=ROUNDING)


def test_without_transform_only_the_place_is_drawn():
    linear = world_from_local(transform=False)[:, :3, :3]
    np.testing.assert_array_equal(linear, np.tile(np.eye(3), (DRAWS, 1, 1)))
    moved, still = world_from_local(), world_from_local(transform=False)
    np.testing.assert_allclose(moved[:, :3, 3], still[:, :3, 3], atol=1e-4)


def test_centred_objects_turn_but_do_not_move():
    centred = world_from_local(centred=True)
    assert not centred[:, :3, 3].any()
    np.testing.assert_allclose(centred[:, :3, :3], world_from_local()[:, :3, :3], atol=ROUNDING)
