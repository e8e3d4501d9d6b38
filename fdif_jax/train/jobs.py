"""Which plan a config asks for, and which job a plan is."""

from typing import TypeAlias

from fdif_jax.train.class_config import ClassifyConfig, RunConfig
from fdif_jax.train.class_plan import ClassPlan, make_class_plan
from fdif_jax.train.classification import class_job
from fdif_jax.train.config import RunOptions
from fdif_jax.train.job import Job
from fdif_jax.train.plan import Plan, make_plan
from fdif_jax.train.segmentation import segmentation_job

AnyPlan: TypeAlias = Plan | ClassPlan


def plan_of(config: RunConfig, options: RunOptions) -> AnyPlan:
    """Checks the options against the data and the network.

    Raises:
      InputError: whatever does not fit; nothing was written or compiled.
    """
    if isinstance(config, ClassifyConfig):
        return make_class_plan(config, options)
    return make_plan(config, options)


def job_of(plan: AnyPlan) -> Job:
    """What the loop does with a plan."""
    return class_job(plan) if isinstance(plan, ClassPlan) else segmentation_job(plan)
