"""The paper's recipe: overlapping solids, displaced, mapped to intensity, labelled by class."""

from typing import Any, NamedTuple

import numpy as np
from jax import Array

from fdif_jax.config import GenerateConfig
from fdif_jax.grid import Grid
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.labels import ClassTable, class_table
from fdif_jax.synth.params import Scene
from fdif_jax.synth.recipe import Recipe
from fdif_jax.synth.renderer import compiled_volume, slots_for, volume_program
from fdif_jax.synth.replay import records_from_scene
from fdif_jax.synth.scenes import SceneRules, choices_of, sample_scene


class Drawn(NamedTuple):
    """One volume before it is rendered."""

    scene: Scene
    choice: Array
    """(N,): which of the class table's choices each object is."""


def make_recipe(config: GenerateConfig, seed: int, catalog: Catalog) -> Recipe:
    """The recipe of ``config``; raises InputError as ``labels.class_table`` does."""
    classes = class_table(config, catalog, seed)
    grid = Grid.voxels(config.grid)
    choices = choices_of(classes, catalog)
    slots = slots_for(config.max_objects)
    rules = SceneRules(config.min_objects, config.max_objects, config.transform, slots=slots)
    dtype, task_axis = classes.dtype, bool(classes.tasks)
    volume = volume_program(catalog, grid, dtype, task_axis=task_axis)
    compiled = compiled_volume(catalog, grid, dtype, task_axis=task_axis)

    def sample(key: Array) -> Drawn:
        return Drawn(*sample_scene(key, catalog, grid, choices, rules))

    def render(drawn: Drawn) -> tuple[Array, Array]:
        return volume(drawn.scene)

    def compiled_render(drawn: Drawn) -> tuple[Array, Array]:
        return compiled(drawn.scene)

    def describe(drawn: Drawn) -> dict[str, Any]:
        return scene_record(drawn, config, classes, catalog)

    return Recipe(classes, seed, sample, render, compiled_render, describe)


def scene_record(
    drawn: Drawn, config: GenerateConfig, classes: ClassTable, catalog: Catalog
) -> dict[str, Any]:
    """The content of a sample's scene file."""
    count = int(np.sum(np.asarray(drawn.scene.parts) > 0))
    chosen = [classes.choices[int(i)] for i in np.asarray(drawn.choice)[:count]]
    names = [classes.shapes[choice.shape].parts for choice in chosen]
    objects = records_from_scene(drawn.scene, names, catalog, task_list=bool(classes.tasks))
    record: dict[str, Any] = {"grid": list(config.grid), "label_dtype": classes.dtype.name}
    if classes.tasks:
        record["tasks"] = list(classes.tasks)
    return {**record, "objects": objects}
