"""Recipes by name: what a data set is made of. A new one is a module here and a row below."""

import importlib

from fdif_jax.config import GenerateConfig
from fdif_jax.errors import lookup
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.recipe import Recipe

RECIPES = {"fdif": "fdif_jax.synth.recipes.fdif"}


def make_recipe(config: GenerateConfig, seed: int, catalog: Catalog | None = None) -> Recipe:
    """The recipe that ``config`` names.

    Args:
      config: what to generate.
      seed: 0 to 2^63 - 1.
      catalog: the default one if omitted.

    Raises:
      InputError: an unknown recipe or name, or options that contradict each other.
    """
    module = importlib.import_module(lookup(RECIPES, config.recipe, kind="recipe"))
    return module.make_recipe(config, seed, catalog or Catalog.default())
