"""Recipes by name: what a data set is made of. A new one is a module here and a row below."""

import importlib

from fdif_jax.classification import ClassificationConfig, DataSetConfig
from fdif_jax.errors import lookup
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.recipe import Recipe

RECIPES = {"fdif": "fdif_jax.synth.recipes.fdif"}
"""Of volumes whose voxels have classes, by the name that a configuration gives."""
OF_VOLUMES = "fdif_jax.synth.recipes.classification"


def make_recipe(config: DataSetConfig, seed: int, catalog: Catalog | None = None) -> Recipe:
    """The recipe that ``config`` names, or that its kind means.

    Args:
      config: what to generate.
      seed: 0 to 2^63 - 1.
      catalog: the default one if omitted.

    Raises:
      InputError: an unknown recipe or name, or options that contradict each other.
    """
    if isinstance(config, ClassificationConfig):
        name = OF_VOLUMES
    else:
        name = lookup(RECIPES, config.recipe, kind="recipe")
    module = importlib.import_module(name)
    return module.make_recipe(config, seed, catalog or Catalog.default())
