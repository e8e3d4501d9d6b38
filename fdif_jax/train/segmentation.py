"""Segmentation as a job for the loop: crops with a label for each voxel, ranked by Dice."""

import time
from functools import partial
from pathlib import Path

import jax

from fdif_jax.train.job import Job, Say, Words
from fdif_jax.train.plan import Plan
from fdif_jax.train.program import recipe_of
from fdif_jax.train.sources import make_source
from fdif_jax.train.start import first_network
from fdif_jax.train.step import State
from fdif_jax.train.validate import Validator, make_validator
from fdif_jax.viz import training as pictures

_DRAWN = 4
"""Validation cases in the pictures."""


def segmentation_job(plan: Plan) -> Job:
    """The job of a plan."""
    return Job(
        config=plan.config,
        kind=plan.kind,
        network=plan.network,
        source=make_source(plan),
        recipe=recipe_of(plan),
        words=_words(plan),
        start=partial(first_network, plan),
        validator=partial(make_validator, plan),
        intensities=plan.preprocessing.to_json(),
        class_names=plan.class_names,
        read_all=partial(_read_all, plan),
        draw=partial(_draw, plan),
    )


def _words(plan: Plan) -> Words:
    if plan.datalist is None:
        data = "volumes rendered on the fly"
    else:
        counts = f"{len(plan.datalist.training)} training, {len(plan.datalist.validation)}"
        data = f"{plan.datalist.path}: {counts} validation cases"
    classes = ", ".join(f"{t} {n}" for t, n in zip(plan.tasks, plan.channels, strict=False))
    return Words(
        score="Dice",
        outputs=classes or str(plan.channels[0]),
        data=data,
        sample="crops",
        images=f"intensities: {plan.preprocessing.intensity.kind}; spacing: {_spacing(plan)}",
        notes=plan.notes,
    )


def _spacing(plan: Plan) -> str:
    spacing = plan.preprocessing.spacing
    return "as it is" if spacing is None else f"{' x '.join(f'{mm:g}' for mm in spacing)} mm"


def _read_all(plan: Plan, say: Say, begun: bool) -> None:
    """Reads every case before anything is compiled: what is wrong with a file is said now.

    That fills the cache. Where there is none it is done once, at the beginning of a run, and left
    out for files of ``fdif generate``, which ``fdif validate`` checks.

    Args:
      plan: of the run.
      say: takes a sentence.
      begun: the run has a checkpoint.

    Raises:
      InputError: a file cannot be read or holds what it should not.
    """
    if plan.datalist is None or plan.volumes is None:
        return
    cached = plan.volumes.folder is not None
    if not cached and (begun or plan.datalist.synthetic):
        return
    cases = [*plan.datalist.training, *plan.datalist.validation[: plan.config.eval_max_cases]]
    own = cases[jax.process_index() :: jax.process_count()]
    began = time.monotonic()
    for case in own:
        plan.volumes.load(case)
    seconds = time.monotonic() - began
    if seconds > 1:
        done = f"prepared in {plan.volumes.folder}" if cached else "looked at"
        say(f"{len(own)} cases {done}, {seconds:.0f} s")


def _draw(plan: Plan, folder: Path, state: State, validator: Validator | None) -> None:
    if validator is None:
        return
    cases = []
    spacing = plan.preprocessing.spacing or (1.0, 1.0, 1.0)
    for i in range(min(_DRAWN, validator.count)):
        image, label = validator.load(i)
        found = validator.predict(state, image)
        cases.append(pictures.Drawn(validator.name(i), image[..., 0], label, found, spacing))
    pictures.write_predictions(folder, cases)
