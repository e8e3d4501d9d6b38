"""Flips, turns and shifts against numpy's, and how often they come."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdif_jax.data import augment

apply = jax.jit(augment.apply)


def crop(shape, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.random((*shape, channels), np.float32)
    return image, rng.integers(0, 200, shape).astype(np.uint8)


def drawn(flips=(False,) * 3, plane=0, turns=0, shift=0.0):
    return augment.Draw(jnp.array(flips), jnp.int32(plane), jnp.int32(turns), jnp.float32(shift))


@pytest.mark.parametrize("shape", [(4, 4, 4), (4, 6, 4), (3, 5, 5), (2, 3, 4)])
def test_every_turn_and_flip_is_numpys(shape):
    image, label = crop(shape)
    planes = augment.planes(shape)
    assert planes == [p for p in ((0, 1), (0, 2), (1, 2)) if shape[p[0]] == shape[p[1]]]
    for plane, turns in itertools.product(range(len(planes)), range(4)):
        for flips in itertools.product([False, True], repeat=3):
            axes = tuple(np.flatnonzero(flips))
            expected = [np.flip(np.rot90(a, turns, planes[plane]), axes) for a in (image, label)]
            found = apply(drawn(flips, plane, turns), image, label)
            np.testing.assert_array_equal(found[0], expected[0])
            np.testing.assert_array_equal(found[1], expected[1])


def test_a_shift_moves_the_image_alone():
    image, label = crop((3, 4, 5))
    found = apply(drawn(shift=0.07), image, label)
    np.testing.assert_allclose(found[0], image + np.float32(0.07), rtol=1e-6)
    np.testing.assert_array_equal(found[1], label)


def test_labels_of_several_tasks_stay_together():
    image, _ = crop((4, 4, 4))
    label = np.stack([image[..., 0] > 0.5, image[..., 1] > 0.5], -1)
    found = apply(drawn((True, False, True), 1, 3), image, label)
    np.testing.assert_array_equal(found[1], np.asarray(found[0]) > 0.5)


def test_how_often_things_happen():
    n = 4000
    keys = jax.random.split(jax.random.key(0), n)
    draws = jax.jit(jax.vmap(lambda k: augment.draw(k, (4, 4, 4))))(keys)
    four_sigma = 4 * np.sqrt(0.1 * 0.9 / n)
    for axis in range(3):
        assert abs(float(draws.flips[:, axis].mean()) - augment.FLIP) < four_sigma
    turned = np.asarray(draws.turns)
    assert abs((turned > 0).mean() - augment.TURN) < four_sigma
    assert set(turned) == {0, 1, 2, 3}
    assert set(np.asarray(draws.plane)) == {0, 1, 2}
    shift = np.asarray(draws.shift)
    assert abs((shift != 0).mean() - augment.SHIFT) < 4 * np.sqrt(0.25 / n)
    moved = shift[shift != 0]
    assert abs(moved).max() <= augment.LARGEST_SHIFT
    assert abs(moved.mean()) < 4 * augment.LARGEST_SHIFT / np.sqrt(3 * len(moved))
    assert moved.min() < -0.09
    assert moved.max() > 0.09


def test_no_plane_with_equal_sides_means_no_turn():
    keys = jax.random.split(jax.random.key(1), 200)
    draws = jax.jit(jax.vmap(lambda k: augment.draw(k, (2, 3, 4))))(keys)
    assert not np.asarray(draws.turns).any()


def test_a_crop_depends_on_its_own_key_alone():
    keys = jax.random.split(jax.random.key(2), 3)
    images = np.stack([crop((4, 4, 4), seed=i)[0] for i in range(3)])
    labels = np.stack([crop((4, 4, 4), seed=i)[1] for i in range(3)])
    run = jax.jit(augment.augment)
    whole = run(keys, images, labels)
    alone = run(keys[1:2], images[1:2], labels[1:2])
    np.testing.assert_array_equal(whole[0][1], alone[0][0])
    np.testing.assert_array_equal(whole[1][1], alone[1][0])
