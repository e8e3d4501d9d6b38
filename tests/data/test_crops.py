"""Where windows lie."""

import numpy as np
import pytest

from fdif_jax.data.crops import crop_start, cut, foreground_of

SHAPE, PATCH = (12, 10, 8), (4, 4, 4)


def label_with(*places):
    label = np.zeros(SHAPE, np.uint8)
    for place in places:
        label[place] = 3
    return label


def starts(label, count=400, patch=PATCH):
    foreground = foreground_of(label)
    return [
        crop_start(np.random.default_rng([7, i]), label, foreground, patch) for i in range(count)
    ]


def test_windows_lie_inside():
    found = np.array(starts(label_with((0, 0, 0), (11, 9, 7))))
    assert found.min() == 0
    assert (found <= np.subtract(SHAPE, PATCH)).all()
    assert (found.max(0) == np.subtract(SHAPE, PATCH)).all()


def test_half_of_them_are_centred_on_the_foreground():
    centred = [s == (4, 3, 2) for s in starts(label_with((6, 5, 4)), 2000)]
    # By chance a window around a background voxel lies there too.
    assert abs(np.mean(centred) - 0.5 - 0.5 / 960) < 4 * np.sqrt(0.25 / 2000)


def test_near_the_border_a_window_is_moved_back():
    assert (0, 0, 0) in starts(label_with((0, 1, 1)))


@pytest.mark.parametrize("value", [0, 1])
def test_a_volume_of_one_kind_is_cut_too(value):
    label = np.full(SHAPE, value, np.uint8)
    assert len(set(starts(label, 100))) > 20


def test_a_rare_background_is_found():
    label = np.ones(SHAPE, np.uint8)
    label[5, 5, 5] = 0
    assert np.mean([s == (3, 3, 3) for s in starts(label)]) > 0.4


def test_a_voxel_is_foreground_in_any_task():
    label = np.zeros((*SHAPE, 2), np.uint8)
    label[2, 3, 4, 1] = 1
    assert foreground_of(label).tolist() == [np.ravel_multi_index((2, 3, 4), SHAPE)]


def test_a_patch_as_large_as_the_volume_is_the_volume():
    label = label_with((3, 3, 3))
    assert set(starts(label, patch=SHAPE)) == {(0, 0, 0)}
    np.testing.assert_array_equal(cut(label, (0, 0, 0), SHAPE), label)
