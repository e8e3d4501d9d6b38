"""Volumes with a class each: one centred solid, its intensity with mean 0 and deviation 1."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fdif_jax.classification import ClassificationConfig
from fdif_jax.grid import Grid
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.labels import class_table
from fdif_jax.synth.mappers import BRIGHTEST
from fdif_jax.synth.params import Scene
from fdif_jax.synth.recipe import Recipe
from fdif_jax.synth.renderer import jit, make_renderer
from fdif_jax.synth.replay import records_from_scene
from fdif_jax.synth.scenes import SceneRules, choices_of, sample_scene

_SMALLEST_DEVIATION = 1e-8


class Drawn(NamedTuple):
    """One volume before it is rendered."""

    scene: Scene
    """One object; its label holds the volume's ids."""
    choice: Array
    """Which of the class table's choices it is."""


def make_recipe(config: ClassificationConfig, seed: int, catalog: Catalog) -> Recipe:
    """The recipe of ``config``; raises InputError as ``labels.class_table`` does.

    Images are (D, H, W) float32. A label is an id, or (3,) ids with ``multilabel``.
    """
    classes = class_table(config, catalog, seed)
    grid = Grid.centred(config.grid, config.grid_scale)
    choices = choices_of(classes, catalog)
    rules = SceneRules(1, 1, transform=config.transform, centred=True)
    image, compiled_image = image_program(catalog, grid), compiled_image_program(catalog, grid)

    def sample(key: Array, number: Array) -> Drawn:
        scene, _ = sample_scene(key, catalog, grid, choices, rules, chosen=number[None])
        return Drawn(scene, number)

    def label(drawn: Drawn) -> Array:
        return drawn.scene.label[0] if config.multilabel else drawn.scene.label[0, 0]

    def render(drawn: Drawn) -> tuple[Array, Array]:
        return image(drawn.scene), label(drawn)

    def compiled_render(drawn: Drawn) -> tuple[Array, Array]:
        return compiled_image(drawn.scene), label(drawn)

    def describe(drawn: Drawn) -> dict[str, Any]:
        number = int(drawn.choice)
        names = [classes.shapes[classes.choices[number].shape].parts]
        objects = records_from_scene(drawn.scene, names, catalog, task_list=config.multilabel)
        place = {"grid": list(config.grid), "grid_scale": config.grid_scale}
        return {**place, "class": classes.names[number], "objects": objects}

    per_class = config.per_class
    return Recipe(classes, seed, sample, render, compiled_render, describe, per_class)


def image_program(catalog: Catalog, grid: Grid) -> Callable[[Scene], Array]:
    """The traceable function from a scene to its image, (D, H, W) float32."""
    render = make_renderer(catalog, grid, np.dtype(np.uint8))

    def image(scene: Scene) -> Array:
        # Put together once, not once for the mean, the deviation and the result.
        return standardise(lax.optimization_barrier(render(scene).intensity))

    return image


@functools.lru_cache(maxsize=16)
def compiled_image_program(catalog: Catalog, grid: Grid) -> Callable[[Scene], Array]:
    """``image_program``, compiled; the same for all configurations that differ in classes only."""
    return jit(image_program(catalog, grid))


def standardise(intensity: Array) -> Array:
    """Clamped to 0 … 128, then with mean 0 and standard deviation 1; all 0 where it is constant."""
    image = jnp.clip(intensity, 0.0, BRIGHTEST)
    image = image - image[0, 0, 0]  # what is constant becomes 0, however its mean is rounded
    image = image - _mean(image)
    deviation = jnp.sqrt(_mean(jnp.square(image)))
    return image / jnp.maximum(deviation, _SMALLEST_DEVIATION)


def _mean(image: Array) -> Array:
    """Line by line, then plane by plane: one long float32 sum would lose digits."""
    for _ in range(image.ndim):
        image = jnp.mean(image, axis=-1)
    return image
