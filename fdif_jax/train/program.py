"""The update of a job, compiled."""

import dataclasses
from typing import Any

from jax import Array
from jax.sharding import Mesh

from fdif_jax.compilation import compile_step
from fdif_jax.models.registry import family_of
from fdif_jax.train.job import Job
from fdif_jax.train.plan import Plan
from fdif_jax.train.step import Parts, Recipe, State, make_step


def recipe_of(plan: Plan) -> Recipe:
    """What the step needs of a plan for segmentation."""
    config = plan.config
    return Recipe(
        learning_rate=config.learning_rate,
        max_iterations=config.max_iterations,
        seed=config.seed % 2**32,
        loss=config.loss,
        tasks=plan.tasks,
        accumulation=config.accumulation,
        augment=config.augment,
    )


def compile_update(
    job: Job,
    parts: Parts,
    mesh: Mesh,
    state: State,
    images: Array,
    labels: Array,
    *,
    frozen: bool = False,
) -> Any:
    """A compiled ``Step`` for batches like this one; it takes its state over.

    Args:
      job: what is learnt.
      parts: of its network, from ``take_apart``.
      mesh: devices that share each batch.
      state: for its shapes; it is not used up.
      images: a batch, as ``device_batches`` gives it.
      labels: of the batch.
      frozen: the encoder stays as it is.
    """
    recipe = dataclasses.replace(job.recipe, frozen=frozen)
    lean = family_of(job.network) == "vnet"  # see compile_step
    return compile_step(make_step(parts, recipe, mesh), state, images, labels, lean=lean)
