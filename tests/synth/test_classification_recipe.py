"""Volumes with a class each: which class, one centred solid, the formula of the image."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draw_checks import quick_jit

from fdif_jax.classification import ClassificationConfig
from fdif_jax.errors import InputError
from fdif_jax.grid import Grid
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.params import Scene
from fdif_jax.synth.recipe import Recipe
from fdif_jax.synth.recipes import make_recipe
from fdif_jax.synth.recipes.classification import standardise
from fdif_jax.synth.render import distances_dense, map_intensity
from fdif_jax.synth.renderer import jit, make_renderer

SHAPE = (16, 18, 20)
SPHERES = ClassificationConfig(
    grid=SHAPE,
    samples_per_class=3,
    n_splits=3,
    primitives=("sphere", "cone"),
    sdf_mappers=("inverse_cube", "linear_slope_10.0"),
)
SEVERAL = dataclasses.replace(
    SPHERES,
    primitives=("torus", "sphere", "onionedfivestarconcaveprism"),
    displacement_functions=("ridge", "sawtooth"),
    multilabel=True,
)
EVERYTHING = dataclasses.replace(SEVERAL, num_combined_unions=2)
# Drawing unions takes ten seconds to compile.
KINDS = [
    pytest.param(SEVERAL, id="several"),
    pytest.param(EVERYTHING, id="everything", marks=pytest.mark.slow),
]
SEED = 5
CATALOG = Catalog.default()
# float32 against float64, of intensities that change by up to 230 a voxel; deviations are about 40.
ROUNDING = 2e-4


@functools.cache
def recipe(config=SPHERES) -> Recipe:
    return make_recipe(config, SEED)


def drawn(config, split) -> list:
    """What each volume of a split draws, compiled quickly."""
    made = recipe(config)
    count = config.counts(len(made.classes.choices))[split]
    program = quick_jit(made._sample_at)
    per_class = np.uint32(config.per_class[split])
    return [program(made._split_key(split), np.uint32(i), per_class) for i in range(count)]


@pytest.mark.parametrize("split", ["training", "validation"])
def test_the_index_decides_the_class(split):
    classes = recipe().classes
    assert classes.names == (
        "Sphere + inverse_cube",
        "Sphere + linear_slope_10.0",
        "Cone + inverse_cube",
        "Cone + linear_slope_10.0",
    )
    volumes = drawn(SPHERES, split)
    repeats = SPHERES.per_class[split]
    assert [int(volume.choice) for volume in volumes] == np.repeat(range(4), repeats).tolist()
    for volume in volumes:
        scene = volume.scene
        assert int(scene.label[0, 0]) == int(volume.choice)
        assert int(scene.mapper[0]) == (0, 3)[int(volume.choice) % 2]
        assert int(scene.parts[0]) == 1
        assert not np.asarray(scene.local_from_world)[0, :, 3].any()
    first = [np.asarray(volume.scene.local_from_world).tobytes() for volume in volumes]
    assert len(set(first)) == len(volumes)


def test_sizes_are_drawn_for_the_unscaled_grid():
    radii = [float(v.scene.shape.radius[0, 0]) for v in drawn(SPHERES, "training")[:6]]
    assert all(0.15 * 16 <= radius <= 0.40 * 16 for radius in radii)


@pytest.mark.parametrize("config", KINDS)
def test_three_labels_have_the_ids_of_the_sorted_names(config):
    classes = recipe(config).classes
    assert classes.out_channel == 3 + config.num_combined_unions + 3 + 2
    assert list(classes.tasks) == ["shape", "displacement", "mapper"]
    assert all(sorted(ids.values()) == list(range(len(ids))) for ids in classes.tasks.values())
    assert next(iter(classes.tasks["displacement"])) == "none"
    for volume in drawn(config, "validation"):
        number = int(volume.choice)
        choice = classes.choices[number]
        names = (
            classes.shapes[choice.shape].task_name,
            CATALOG.displacements[classes.displacements[choice.displacement]].long_name,
            classes.mappers[choice.mapper],
        )
        wanted = [
            classes.tasks[task][name] for task, name in zip(classes.tasks, names, strict=True)
        ]
        assert np.asarray(volume.scene.label)[0].tolist() == wanted
        assert int(volume.scene.parts[0]) == len(classes.shapes[choice.shape].parts)
        assert classes.volume_ids[number] == tuple(wanted)


def test_one_mapper_and_no_displacement_are_labels_too():
    """All three labels are always there, so that readers need not ask."""
    config = dataclasses.replace(SPHERES, sdf_mappers=("modular_5",), multilabel=True)
    tasks = recipe(config).classes.tasks
    assert tasks == {
        "shape": {"Cone": 0, "Sphere": 1},
        "displacement": {"none": 0},
        "mapper": {"modular_5": 0},
    }


def test_augmentations_vary_volumes_of_one_class():
    config = dataclasses.replace(
        SPHERES,
        samples_per_class=12,
        displacement_functions=("ridge",),
        mapper_as_augmentation=True,
        displacement_as_augmentation=True,
    )
    assert len(recipe(config).classes.names) == 2
    scenes = [volume.scene for volume in drawn(config, "training")[:12]]
    assert {int(scene.label[0, 0]) for scene in scenes} == {0}
    assert len({int(scene.mapper[0]) for scene in scenes}) == 2
    assert len({int(scene.displacement[0]) for scene in scenes}) == 2


@pytest.mark.parametrize("config", KINDS)
def test_both_splits_have_one_class_table(config):
    """Drawn primitives and unions are drawn once: validation names what training names."""
    for split in ("training", "validation"):
        names = {int(volume.choice) for volume in drawn(config, split)}
        assert names == set(range(len(recipe(config).classes.names)))


def expected(intensity: np.ndarray) -> np.ndarray:
    image = np.clip(intensity.astype(np.float64), 0, 128)
    return (image - image.mean()) / max(image.std(), 1e-8)


def sphere_image(scene: Scene, scale: float) -> np.ndarray:
    """The definition, in float64."""
    z, y, x = np.meshgrid(
        *(np.linspace(-n / 2 * scale, n / 2 * scale, n) for n in SHAPE), indexing="ij"
    )
    matrix = np.asarray(scene.local_from_world[0], np.float64)
    local = np.einsum("ij,jdhw->idhw", matrix, np.stack([x, y, z, np.ones_like(x)]))
    d = np.linalg.norm(local, axis=0) - float(scene.shape.radius[0, 0])
    return expected(128 / (np.abs(d) ** 3 + 1))


def test_an_image_is_the_formula():
    made = recipe()
    image, label = made.volume("training", 1)
    assert (image.shape, image.dtype) == (SHAPE, np.float32)
    assert (int(label), label.dtype) == (0, np.int32)
    scene = jax.device_get(made.draw("training", 1)).scene
    np.testing.assert_allclose(image, sphere_image(scene, 0.4), atol=ROUNDING)
    assert np.abs(sphere_image(scene, 0.4) - sphere_image(scene, 0.5)).max() > 100 * ROUNDING
    record = made.produce("training", 1).scene()
    assert record["class"] == "Sphere + inverse_cube"
    assert record["objects"][0]["params"] == {"radius": float(scene.shape.radius[0, 0])}


def test_standardised_images_have_mean_0_and_deviation_1():
    rng = np.random.default_rng(0)
    image = rng.uniform(-50, 200, (40, 50, 60)).astype(np.float32)
    found = np.asarray(standardise(jnp.asarray(image)), np.float64)
    assert abs(found.mean()) < 1e-6
    assert abs(found.std() - 1) < 1e-6
    np.testing.assert_allclose(found, expected(image), atol=2e-6)


@pytest.mark.parametrize("value", [0.0, 37.7, 128.0, 500.0])
def test_a_constant_image_becomes_zeros(value):
    assert not np.asarray(standardise(jnp.full((9, 10, 11), value, jnp.float32))).any()


def test_one_class_is_refused():
    with pytest.raises(InputError, match="make 1 class"):
        make_recipe(
            dataclasses.replace(SPHERES, primitives=("cone",), sdf_mappers=("modular_5",)), 0
        )


@pytest.mark.slow
def test_blocks_and_every_voxel_on_a_scaled_grid_agree():
    """With shells, unions and displacements, whose sizes follow the grid."""
    config = EVERYTHING
    grid = Grid.centred(SHAPE, config.grid_scale)
    dense = jit(make_renderer(CATALOG, grid, np.dtype(np.uint8), path="dense"))
    field = jit(lambda scene: distances_dense(CATALOG, grid, scene)[0])
    for volume in drawn(config, "validation"):
        image, _ = recipe(config).compiled_render(volume)
        found = expected(np.asarray(dense(volume.scene).intensity))
        near = np.abs(image - found) <= 0.02  # steps of mappers fall to either side
        assert near.mean() >= 0.999
        d = field(volume.scene)
        direct = np.asarray(map_intensity(CATALOG, volume.scene.mapper[0], d))
        np.testing.assert_allclose(found, expected(direct), atol=1e-3)


@pytest.mark.slow
def test_a_program_over_a_batch_gives_the_same_volumes():
    made = recipe()
    images, labels = made.batch("validation", np.asarray([3, 0, 7]))
    assert labels.tolist() == [1, 0, 3]
    for image, index in zip(images, (3, 0, 7), strict=True):
        # Two programs may round a sum of floats in two ways.
        np.testing.assert_allclose(image, made.produce("validation", index).image, atol=1e-5)
