"""Predictions back on the file's grid: exact where nothing is resampled, and in little memory."""

import tracemalloc

import numpy as np
import pytest
from tiny_volumes import oblique, orientations, sheared

from fdif_jax.data import geometry, restore
from fdif_jax.data.restore import restore_labels, restore_probabilities

SHAPE = (7, 9, 5)
BOX = (slice(1, 6), slice(2, 9), slice(0, 4))
CLEAR = 1e-5  # labels may differ only where the two largest are closer than float32 tells apart


def chunks(grid, size=3):
    for z in range(0, len(grid), size):
        yield z, grid[z : z + size]


def one_hot(label, classes=4):
    return np.eye(classes, dtype=np.float32)[label]


def labels_in_box():
    label = np.zeros(SHAPE, np.uint8)
    label[BOX] = np.random.default_rng(3).integers(0, 4, label[BOX].shape)
    return label


def test_every_orientation_comes_back_exactly():
    label = labels_in_box()
    for affine in [*orientations(), oblique(), sheared()]:
        place = geometry.plan(SHAPE, affine, box=BOX, pad_to=(8, 3, 12))
        grid = geometry.to_grid(label, place, nearest=True)
        restored = restore_labels(chunks(one_hot(grid)), place)
        np.testing.assert_array_equal(restored, label)
        assert restored.dtype == np.uint8
        probabilities = restore_probabilities(chunks(one_hot(grid)), place)
        assert probabilities.dtype == np.float16
        np.testing.assert_array_equal(probabilities, one_hot(label))


def test_a_label_without_crop_or_turn_is_the_argmax():
    values = np.random.default_rng(3).normal(size=(6, 5, 4, 3)).astype(np.float32)
    place = geometry.plan((6, 5, 4), np.eye(4))
    np.testing.assert_array_equal(restore_labels(chunks(values, 4), place), values.argmax(-1))


def exact(grid, place):
    """Probabilities on the file's grid, by the eight corners of every voxel in float64."""
    result = np.zeros((*place.shape, grid.shape[-1]))
    result[..., 0] = 1
    view = geometry.oriented(result, place)
    inner = grid[place.inner].astype(np.float64)
    for index in np.ndindex(view.shape[:3]):
        value = 0.0
        position = [
            min(i / step, n - 1)
            for i, step, n in zip(index, place.steps, place.resampled, strict=True)
        ]
        for corner in np.ndindex(2, 2, 2):
            at = [int(p) + c for p, c in zip(position, corner, strict=True)]
            weight = np.prod([1 - abs(p - a) for p, a in zip(position, at, strict=True)])
            if weight > 0:
                value = value + weight * inner[tuple(at)]
        view[index] = value
    return result


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("spacing", [(1.5, 0.8, 2.3), (0.6, 2.0, 3.5)], ids=["mixed", "other"])
def test_labels_are_the_largest_of_what_is_interpolated(spacing, classes):
    """Noise: nearly every voxel lies between classes. With shortcuts, and in small blocks."""
    for affine in (oblique(), sheared(), list(orientations())[37]):
        place = geometry.plan(SHAPE, affine, box=BOX, spacing=spacing, pad_to=(6, 6, 6))
        grid = np.random.default_rng(3).random((*place.prepared, classes)).astype(np.float32)
        wanted = exact(grid, place)
        two = np.sort(wanted, axis=-1)[..., -2:]
        clear = two[..., 1] - two[..., 0] > CLEAR
        label = restore_labels(chunks(grid), place)
        np.testing.assert_array_equal(label[clear], wanted.argmax(-1)[clear])
        assert clear.mean() > 0.99
        probabilities = restore_probabilities(chunks(grid), place, np.float32)
        np.testing.assert_allclose(probabilities, wanted, rtol=0, atol=1e-6)


def test_blocks_change_nothing(monkeypatch):
    place = geometry.plan(SHAPE, oblique(), box=BOX, spacing=(1.5, 0.8, 2.3))
    grid = np.random.default_rng(3).random((*place.prepared, 3)).astype(np.float32)
    label = restore_labels(chunks(grid), place)
    probabilities = restore_probabilities(chunks(grid), place)
    monkeypatch.setattr(restore, "_BLOCK", 1)
    np.testing.assert_array_equal(restore_labels(chunks(grid, 1), place), label)
    np.testing.assert_array_equal(restore_probabilities(chunks(grid, 99), place), probabilities)


def test_a_smooth_field_comes_back_within_the_error_of_interpolation():
    """Twice interpolated: at most h^2 / 8 of the second derivative for each axis, both ways."""
    shape, wave, spacing = (24, 20, 22), 2 * np.pi / 20, (1.5, 1.4, 1.3)
    i, j, k = np.indices(shape)
    field = (0.5 + 0.5 * np.sin(wave * i) * np.cos(wave * j) * np.sin(wave * k)).astype(np.float32)
    place = geometry.plan(shape, np.eye(4), spacing=spacing)
    grid = geometry.to_grid(np.stack([1 - field, field], -1), place)
    back = restore_probabilities(chunks(grid), place, np.float32)
    bound = sum((h**2 + 1) / 8 * wave**2 / 2 for h in spacing)
    within = tuple(slice(0, n - 2) for n in shape)  # behind the last sample it is held constant
    assert np.abs(back[..., 1] - field)[within].max() < bound
    np.testing.assert_allclose(back.sum(-1), 1, atol=1e-6)


def test_each_task_has_its_own_largest_class():
    place = geometry.plan(SHAPE, oblique(), box=BOX, spacing=(1.0, 1.0, 1.0))
    grid = np.random.default_rng(3).random((*place.prepared, 7)).astype(np.float32)
    both = restore_labels(chunks(grid), place, classes=(3, 4))
    assert both.shape == (*SHAPE, 2)
    np.testing.assert_array_equal(both[..., 0], restore_labels(chunks(grid[..., :3]), place))
    np.testing.assert_array_equal(both[..., 1], restore_labels(chunks(grid[..., 3:]), place))
    probabilities = restore_probabilities(chunks(grid), place, classes=(3, 4))
    assert (probabilities[0, 0, 0] == [1, 0, 0, 1, 0, 0, 0]).all(), "background outside the crop"


def test_more_classes_than_a_byte_holds():
    place = geometry.plan((1, 1, 2), np.eye(4))
    grid = np.zeros((1, 1, 2, 300), np.float32)
    grid[..., 299] = 1
    label = restore_labels(chunks(grid), place)
    assert label.dtype == np.uint16
    assert (label == 299).all()


def test_planes_are_taken_to_the_end_and_a_gap_is_noticed():
    place = geometry.plan((2, 3, 4), np.eye(4), pad_to=(8, 3, 4))
    grid = np.zeros((8, 3, 4, 2), np.float32)
    source = chunks(grid)
    restore_labels(source, place)
    assert next(source, None) is None
    with pytest.raises(AssertionError, match="plane 3 was to come, not 6"):
        restore_labels(iter([(0, grid[:3]), (6, grid[6:])]), place)


def test_classes_times_volume_is_never_in_memory():
    shape, classes = (64, 48, 48), 64
    place = geometry.plan(shape, np.diag([1.0, 0.7, 0.8, 1]), spacing=(1.1, 1.0, 1.0))
    plane = np.random.default_rng(3).random((1, *place.prepared[1:], classes), dtype=np.float32)

    def planes():
        for z in range(place.prepared[0]):
            yield z, plane + np.float32(0)

    def peak(run):
        tracemalloc.start()
        run()
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    whole = np.prod(place.prepared) * classes * 4
    assert peak(lambda: restore_labels(planes(), place)) < whole / 4
