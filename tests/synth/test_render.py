"""Both render paths: equal to each other, and to the rules of a volume."""

import numpy as np
import pytest
from scenes_to_render import (
    CATALOG,
    CUBE,
    ODD,
    SLOTS,
    distances,
    drawn_scene,
    object_of,
    renderer,
    scene_of,
    sphere,
)

from fdif_jax.synth.render import map_intensity, to_image

# Two programs round differently: a voxel on a surface or on a mapper's step may change sides.
DIFFERING_LABELS = 2e-4
DIFFERING_INTENSITIES = 1e-3
INTENSITY = 0.1
"""Sums of up to 20 intensities that each change by up to 230 a voxel."""

ROWS = list(CATALOG.primitives)
SHELLS = [i for i, name in enumerate(ROWS) if "onioned" in name]
EVERY_DISPLACEMENT = len(CATALOG.displacement_rows)
EVERY_MAPPER = len(CATALOG.mapper_rows)


def random_scene(kind, size, seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 109, SLOTS)
    mapper, displacement = rng.integers(0, EVERY_MAPPER, SLOTS), 0
    second = None
    if kind == "shells":
        rows = rng.choice(SHELLS, SLOTS)
    if kind in ("displaced", "all"):
        displacement = np.arange(SLOTS) % EVERY_DISPLACEMENT
    if kind in ("unions", "all"):
        second = rng.integers(0, 109, SLOTS)
    if kind == "mappers":
        mapper = np.arange(SLOTS) % EVERY_MAPPER
    if kind == "far-shining":
        mapper = 0
    return drawn_scene(
        size, seed, rows=rows, second_rows=second, displacement=displacement, mapper=mapper
    )


@pytest.mark.parametrize("size", [CUBE, ODD], ids=str)
@pytest.mark.parametrize(
    "kind", ["plain", "shells", "displaced", "unions", "mappers", "far-shining", "all"]
)
def test_blocks_render_what_the_plain_path_renders(kind, size):
    for seed in range(3):
        scene = random_scene(kind, size, seed)
        plain, blocks = renderer(size, "dense")(scene), renderer(size, "blocks")(scene)
        assert plain.intensity.shape == blocks.intensity.shape == size
        assert np.mean(plain.label != blocks.label) <= DIFFERING_LABELS
        apart = np.abs(plain.intensity - blocks.intensity) > INTENSITY
        assert apart.mean() <= DIFFERING_INTENSITIES
        assert len(np.unique(plain.label)) > 5


@pytest.mark.parametrize("path", ["dense", "blocks"])
def test_volume_follows_from_the_distances_of_its_objects(path):
    """The rules once more, object by object in numpy."""
    scene = random_scene("all", ODD, 4)
    intensity, label, owner = np.zeros(ODD), np.zeros(ODD, int), np.full(ODD, np.inf)
    for i in range(SLOTS):
        d = distances(ODD)(object_of(scene, i))
        inside = d <= 0
        wins = inside & (inside.sum() <= owner)
        label[wins], owner[wins] = scene.label[i, 0], inside.sum()
        intensity += np.asarray(map_intensity(CATALOG, scene.mapper[i], d))
    out = renderer(ODD, path)(scene)
    assert np.mean(out.label[0] != label) <= DIFFERING_LABELS
    assert np.mean(np.abs(out.intensity - intensity) > INTENSITY) <= DIFFERING_INTENSITIES


@pytest.mark.parametrize("path", ["dense", "blocks"])
@pytest.mark.parametrize("small_first", [True, False])
def test_smaller_object_owns_the_overlap(path, small_first):
    small, large = sphere(4, (2, 0, 0), label=1), sphere(9, label=2)
    pair = (small, large) if small_first else (large, small)
    label = renderer(CUBE, path)(scene_of(*pair)).label[0]
    alone = renderer(CUBE, path)(scene_of(small)).label[0]
    np.testing.assert_array_equal(label == 1, alone == 1)
    assert (label == 2).any()


@pytest.mark.parametrize("path", ["dense", "blocks"])
def test_later_object_owns_the_overlap_of_equals(path):
    """Equal voxel counts: moved by whole voxels, mirrored, or the same object again."""
    first, second = sphere(6, label=1), sphere(6, (4, 0, 0), label=2)
    label = renderer(CUBE, path)(scene_of(first, second)).label[0]
    alone = renderer(CUBE, path)(scene_of(second)).label[0]
    np.testing.assert_array_equal(label == 2, alone == 2)
    again = renderer(CUBE, path)(scene_of(first, sphere(6, label=7), sphere(6, label=3)))
    assert set(np.unique(again.label)) == {0, 3}


@pytest.mark.parametrize("path", ["dense", "blocks"])
def test_ownership_counts_only_what_lies_in_the_volume(path):
    """A large sphere that mostly lies outside is the smaller object."""
    cut, whole = sphere(12, (22, 0, 0), label=1), sphere(8, (8, 0, 0), label=2)
    label = renderer(CUBE, path)(scene_of(cut, whole)).label[0]
    alone = renderer(CUBE, path)(scene_of(cut)).label[0]
    assert (alone == 1).sum() < (renderer(CUBE, path)(scene_of(whole)).label[0] == 2).sum()
    np.testing.assert_array_equal(label == 1, alone == 1)


@pytest.mark.parametrize("path", ["dense", "blocks"])
def test_three_in_one_place_in_any_order(path):
    """The smallest of all wins, though it is not compared with each in turn."""
    objects = [sphere(radius, label=radius) for radius in (8, 4, 6)]
    labels = [
        renderer(CUBE, path)(scene_of(*(objects[i] for i in order))).label[0]
        for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2))
    ]
    np.testing.assert_array_equal(labels[0], labels[1])
    np.testing.assert_array_equal(labels[0], labels[2])
    assert set(np.unique(labels[0])) == {0, 4, 6, 8}
    assert labels[0][16, 16, 16] == 4


@pytest.mark.parametrize("path", ["dense", "blocks"])
def test_empty_slots_paint_nothing(path):
    nothing = renderer(CUBE, path)(scene_of())
    assert not nothing.intensity.any()
    assert not nothing.label.any()


@pytest.mark.parametrize("path", ["dense", "blocks"])
def test_object_outside_the_volume_shines_in_but_owns_nothing(path):
    """Only inverse_cube reaches beyond its surface."""
    away = (16 + 6, 0, 0)
    shining = renderer(CUBE, path)(scene_of(sphere(5, away, mapper="inverse_cube")))
    assert not shining.label.any()
    # The voxel at (15, 0, 0) is 2 voxels from the surface.
    assert shining.intensity[16, 16, 31] == pytest.approx(128 / 9, rel=1e-4)
    dark = renderer(CUBE, path)(scene_of(sphere(5, away, mapper="exponential_base_1.5")))
    assert not dark.intensity.any()


@pytest.mark.parametrize("path", ["dense", "blocks"])
def test_axes_of_points_are_those_of_the_array(path):
    """A point (x, y, z) is the element [z, y, x] of a volume that is no cube."""
    label = renderer(ODD, path)(scene_of(sphere(1.2, (10.5, -6.5, 4)))).label[0]
    where = np.argwhere(label)
    np.testing.assert_allclose(where.mean(axis=0), [4 + 10, -6.5 + 16.5, 10.5 + 23.5])


def test_image_is_clamped_and_truncated():
    values = np.asarray([-3.0, 0.0, 0.99, 1.0, 127.999, 128.0, 128.5, 900.0], np.float32)
    image = to_image(values)
    assert image.dtype == np.uint8
    assert image.tolist() == [0, 0, 0, 1, 127, 128, 128, 128]


def test_mappers_other_than_inverse_cube_are_dark_outside():
    outside = np.asarray([1e-3, 0.5, 1, 30], np.float32)
    for i, mapper in enumerate(CATALOG.mapper_rows):
        values = np.asarray(map_intensity(CATALOG, np.int32(i), outside))
        inside = np.asarray(map_intensity(CATALOG, np.int32(i), -np.abs(outside)))
        assert np.all((inside >= 0) & (inside <= 128.001))
        if mapper.name == "inverse_cube":
            np.testing.assert_allclose(values, 128 / (outside**3 + 1), rtol=1e-5)
        else:
            assert not values.any()
