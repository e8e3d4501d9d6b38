"""A scene that was written renders to the same bytes when it is read back."""

import dataclasses
import json
import types

import jax
import numpy as np
import pytest
from golden_files import as_scene, records
from scenes_to_render import CATALOG, UPRIGHT, renderer, scene_of, sphere

from fdif_jax.config import PAPER, GenerateConfig
from fdif_jax.grid import Grid
from fdif_jax.synth.recipes import make_recipe
from fdif_jax.synth.replay import records_from_scene, render_scene, scene_from_records


def assert_same_arrays(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def as_file(record):
    return types.SimpleNamespace(
        objects=record["objects"],
        label_dtype=record.get("label_dtype", "uint8"),
        tasks=record.get("tasks", ()),
    )


# As in the tests of determinism, whose programs these are.
CONFIG = dataclasses.replace(PAPER, grid=(16, 16, 16), min_objects=2, max_objects=4)
UNIONS = GenerateConfig(
    grid=(16, 20, 24),
    num_classes=20,
    num_combined_unions=6,
    sdf_mappers=("inverse_cube", "modular_5"),
    displacement_functions=("ridge", "sawtooth"),
    multi_task=True,
)


def test_golden_records_survive_the_way_there_and_back():
    """Every class's parameters, to arrays and to records and to arrays."""
    goldens = records("primitives_48.json")
    scene = as_scene(goldens)
    names = [(CATALOG.find_primitive(g["class_name"]).name,) for g in goldens]
    again = json.loads(json.dumps(records_from_scene(scene, names, CATALOG, task_list=False)))
    assert_same_arrays(scene, scene_from_records(again, CATALOG))
    for golden, record in zip(goldens, again, strict=True):
        for key, value in record["params"].items():
            np.testing.assert_allclose(value, golden["params"][key], rtol=1e-6, err_msg=key)


def test_golden_unions_survive_too():
    goldens = records("unions.json")
    scene = as_scene(goldens)
    names = [
        tuple(
            CATALOG.find_primitive(g[part]["reference_name"]).name for part in ("first", "second")
        )
        for g in goldens
    ]
    again = records_from_scene(scene, names, CATALOG, task_list=True)
    assert again[0]["class_id"] == [1]
    assert_same_arrays(scene, scene_from_records(json.loads(json.dumps(again)), CATALOG))


@pytest.fixture(scope="module")
def recipe():
    return make_recipe(CONFIG, 7)


def assert_replays(sample):
    record = json.loads(json.dumps(sample.scene()))
    assert record["grid"] == [16, 16, 16]
    assert record["label_dtype"] == "uint8"
    image, label, nothing = render_scene(as_file(record), CONFIG.grid, CATALOG)
    assert nothing is None
    assert image.tobytes() == sample.image.tobytes()
    assert label.tobytes() == sample.label.tobytes()
    assert (image.dtype, label.dtype) == (sample.image.dtype, sample.label.dtype)


def test_saved_scene_gives_the_sample_s_bytes(recipe):
    """Two objects: the sample was drawn with empty slots, the file has none."""
    samples = (recipe.produce("training", index) for index in range(20))
    assert_replays(next(s for s in samples if len(s.scene()["objects"]) == 2))


@pytest.mark.slow
def test_saved_scenes_of_any_length_give_the_samples_bytes(recipe):
    for index in range(12):
        assert_replays(recipe.produce("training", index))


@pytest.mark.slow
def test_saved_scenes_of_unions_and_tasks_give_the_sample_s_bytes():
    recipe = make_recipe(UNIONS, 7)
    assert any(len(s.parts) == 2 for s in recipe.classes.shapes)
    kinds = set()
    for index in range(8):
        sample = recipe.produce("training", index)
        record = json.loads(json.dumps(sample.scene()))
        kinds |= {"union" if "first" in o else "solid" for o in record["objects"]}
        assert record["tasks"] == ["shape", "displacement", "mapper"]
        image, label, _ = render_scene(as_file(record), UNIONS.grid, CATALOG)
        assert image.tobytes() == sample.image.tobytes()
        assert label.tobytes() == sample.label.tobytes()
        assert label.shape == (*UNIONS.grid, 3)
    assert kinds == {"union", "solid"}


def test_fields_of_a_scene():
    """One field an object, displacement included."""
    size = CONFIG.grid
    objects = [sphere(5.0), sphere(4.0, (3, -2, 1), label=2, displacement="ridge")]
    file = as_file({"objects": objects})
    image, label, fields = render_scene(file, size, CATALOG, sdf=True)
    assert fields.shape == (2, *size)
    assert fields.dtype == np.float32
    assert image.shape == label.shape == size
    for i, field in enumerate(fields):
        x, y, z = Grid.voxels(size).points()
        a, b, c = ((0, 0, 0), (3, -2, 1))[i]
        round_ = np.sqrt((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) - (5, 4)[i]
        # A ridge is not negative, and at most three times 0.03 of the largest x.
        assert np.all(field >= round_ - 1e-4)
        assert np.max(field - round_) == pytest.approx((0, 3 * 0.03 * 7)[i], rel=0.1, abs=1e-4)
        assert (label[field <= 0] > 0).all()


def test_padding_of_empty_slots_is_harmless():
    scene = scene_of(sphere(5.0), slots=4)
    assert scene.parts.tolist() == [1, 0, 0, 0]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(scene))
    assert records_from_scene(scene, [("sphere",)], CATALOG, task_list=False) == [sphere(5.0)]


def test_records_read_as_the_golden_ones_do():
    """Half heights, full heights, which radius is called what."""
    shapes = {
        "cone": {"radius": 4.0, "height": 6.0},
        "torus": {"R": 5.0, "r": 2.0},
        "octahedron": {"size": 3.0},
        "cylinder": {"h": 2.0, "radius": 3.0},
        "fivestarrevolution": {"distance": 1.0, "star_n": 5, "star_w": 0.5, "star_radius": 4.0},
    }
    scene = scene_of(
        *({**sphere(1.0), "primitive": n, "params": p} for n, p in shapes.items()), slots=None
    )
    assert scene.shape.half_height[0, 0] == 3.0
    assert (scene.shape.offset[1, 0], scene.shape.radius[1, 0]) == (5.0, 2.0)
    assert scene.shape.radius[2, 0] == 3.0
    assert (scene.shape.half_height[3, 0], scene.shape.radius[3, 0]) == (2.0, 3.0)
    assert (scene.shape.offset[4, 0], scene.shape.points[4, 0]) == (1.0, 5.0)
    assert scene.local_from_world[0].tolist() == UPRIGHT


@pytest.mark.parametrize("path", ["dense", pytest.param("blocks", marks=pytest.mark.slow)])
def test_a_scene_may_have_more_objects_than_a_byte_counts(path):
    """300 objects and ids beyond 255."""
    rng = np.random.default_rng(0)
    places = rng.permutation(np.stack(np.meshgrid(*[np.arange(-14, 14, 4)] * 3), -1).reshape(-1, 3))
    objects = [sphere(1.1, p, label=i + 1) for i, p in enumerate(places[:300].tolist())]
    scene = scene_of(*objects, slots=300)
    label = renderer((32, 32, 32), path, dtype="uint16")(scene).label[0]
    assert label.dtype == np.uint16
    np.testing.assert_array_equal(np.unique(label), np.arange(301))
    x, y, z = places[299]
    assert label[z + 16, y + 16, x + 16] == 300
