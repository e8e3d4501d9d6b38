"""How many objects, of which class, mapper and displacement: each equally often."""

import dataclasses
import functools

import jax
import numpy as np
from draw_checks import assert_equally_often, assert_independent, quick_jit

from fdif_jax.config import PAPER, GenerateConfig
from fdif_jax.grid import Grid
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.labels import class_table
from fdif_jax.synth.scenes import SceneRules, choices_of, sample_scene

CATALOG = Catalog.default()
SCENES = 1500


@functools.cache
def scenes(config):
    """(SCENES, slots) of every field, with what each object was drawn as."""
    classes = class_table(config, CATALOG, 5)
    choices = choices_of(classes, CATALOG)
    rules = SceneRules(config.min_objects, config.max_objects, config.transform)
    grid = Grid.voxels(config.grid)
    sample = jax.vmap(lambda key: sample_scene(key, CATALOG, grid, choices, rules))
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(1), i))(np.arange(SCENES))
    return classes, *jax.tree.map(np.asarray, quick_jit(sample)(keys))


@functools.cache
def paper():
    """The paper's options; 20 objects a scene."""
    _, scene, chosen = scenes(dataclasses.replace(PAPER, grid=(16, 16, 16)))
    return scene, chosen


def test_all_109_classes_are_drawn_equally_often():
    scene, chosen = paper()
    assert scene.label.shape == (SCENES, 20, 1)
    assert_equally_often(scene.label, range(1, 110))
    np.testing.assert_array_equal(scene.label[..., 0], chosen + 1)
    assert (scene.parts == 1).all()


def test_mappers_and_displacements_are_drawn_equally_often_none_included():
    scene, chosen = paper()
    mappers = list(CATALOG.mappers)
    assert_equally_often(scene.mapper, [mappers.index(name) for name in PAPER.sdf_mappers])
    fields = [list(CATALOG.displacements).index(n) for n in PAPER.displacement_functions]
    assert len(fields) == 9
    assert_equally_often(scene.displacement, [0, *fields])
    assert_independent(scene.mapper, scene.displacement)
    assert_independent(chosen, scene.mapper)
    assert_independent(scene.mapper[:, 0], scene.mapper[:, 1])
    assert_independent(chosen[:, 0] // 10, chosen[:, 1] // 10)


def test_shapes_are_those_of_the_class():
    """What a class is drawn as and the formula and sides it is rendered with belong together."""
    scene, chosen = paper()
    rows = CATALOG.primitive_rows
    programs = np.asarray([CATALOG.programs.index(row.program) for row in rows])
    np.testing.assert_array_equal(scene.shape.program[:, :, 0], programs[chosen])
    sides = np.asarray([row.sides or 5 for row in rows])
    np.testing.assert_array_equal(scene.shape.points[:, :, 0], sides[chosen])
    shells = np.asarray([row.shell for row in rows])
    np.testing.assert_array_equal(scene.shape.onion_ratio[:, :, 0] > 0, shells[chosen])


@functools.cache
def several_tasks():
    """Two to five objects; the class decides mapper and displacement."""
    return scenes(
        GenerateConfig(
            grid=(16, 16, 16),
            primitives=("torus", "onionedsquareprism"),
            sdf_mappers=("modular_10", "inverse_cube"),
            displacement_functions=("sawtooth", "ridge"),
            multi_task=True,
        )
    )


def test_number_of_objects_is_uniform_and_empty_slots_come_last():
    _, scene, _ = several_tasks()
    present = scene.parts > 0
    assert present.shape == (SCENES, 5)
    assert_equally_often(present.sum(axis=1), range(2, 6))
    assert (np.diff(present.astype(int), axis=1) <= 0).all()


def test_without_augmentation_the_class_decides_mapper_and_displacement():
    classes, scene, chosen = several_tasks()
    assert_equally_often(chosen, range(12))
    mappers, fields = list(CATALOG.mappers), list(CATALOG.displacements)
    for i, choice in enumerate(classes.choices):
        of_class = chosen == i
        assert set(scene.mapper[of_class]) == {mappers.index(classes.mappers[choice.mapper])}
        name = classes.displacements[choice.displacement]
        assert set(scene.displacement[of_class]) == {fields.index(name)}


def test_objects_carry_one_id_per_task():
    classes, scene, chosen = several_tasks()
    assert scene.label.shape == (SCENES, 5, 3)
    np.testing.assert_array_equal(scene.label, np.asarray(classes.task_ids)[chosen])
