"""Runs of classifiers that take a second."""

from class_sets import write_folder
from tiny_runs import LOG_ALL, PATCH, QUIET, TINY

from fdif_jax.train.class_config import ClassifyConfig
from fdif_jax.train.devices import make_mesh
from fdif_jax.train.jobs import plan_of
from fdif_jax.train.loop import Trainer
from fdif_jax.train.run_folder import RunFolder, open_run

__all__ = ["class_config", "class_trainer", "write_folder"]


def class_config(data, **changes):
    """Four updates of four images."""
    values = {
        "model_name": "primus_s",
        "data": str(data),
        "patch": PATCH,
        "model_options": tuple(sorted(TINY.items())),
        "max_iterations": 4,
        "learning_rate": 1e-2,
        "eval_every": 2,
    }
    return ClassifyConfig(**(values | changes))


def class_trainer(path, settings, options=LOG_ALL, devices=1):
    """A run that is ready to begin, or to go on, in ``path``."""
    plan = plan_of(settings, options)
    made = Trainer(plan, options, RunFolder(path), make_mesh(devices), **QUIET)
    open_run(path, settings, overwrite=False)
    return made
