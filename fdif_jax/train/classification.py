"""Classification as a job for the loop: whole images with a class or several, ranked by AUROC."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fdif_jax.data.class_inputs import Inputs
from fdif_jax.data.classified import LABEL, Example
from fdif_jax.data.crops import Crops
from fdif_jax.memory import memory_available
from fdif_jax.train.class_losses import class_cross_entropy
from fdif_jax.train.class_plan import ClassPlan
from fdif_jax.train.class_start import first_classifier
from fdif_jax.train.class_validate import MEASURE, ClassValidator
from fdif_jax.train.job import Job, Say, Words
from fdif_jax.train.sources import epoch_order
from fdif_jax.train.step import Parts, Recipe, State
from fdif_jax.train.validate import make_forward

_SHARE = 4
"""A fraction of the memory that is there may keep prepared images."""


@dataclasses.dataclass(frozen=True)
class Examples:
    """Batches of whole images. Every epoch goes through them in an order of its own.

    Args:
      examples: at least one.
      load: gives one as the network takes it.
      seed: of the orders.
      batch_size: images in a batch.
    """

    examples: Sequence[Example]
    load: Callable[[Example], np.ndarray]
    seed: int
    batch_size: int

    def crops(self, batch: int, slots: range) -> Crops:
        """Images (N, D, H, W, C) and class ids, (N,) or, of several labels, (N, labels)."""
        chosen = [self._example(batch, slot) for slot in slots]
        labels = np.array([example.label for example in chosen], np.int32)
        images = np.stack([self.load(example) for example in chosen])
        return Crops(images, labels[:, 0] if labels.shape[1] == 1 else labels)

    def name(self, batch: int, slot: int) -> str:
        """The example's."""
        return self._example(batch, slot).id

    def _example(self, batch: int, slot: int) -> Example:
        epoch, i = divmod(batch * self.batch_size + slot, len(self.examples))
        return self.examples[epoch_order(self.seed, epoch, len(self.examples))[i]]


def class_job(plan: ClassPlan) -> Job:
    """The job of a plan."""
    config, found = plan.config, plan.examples
    load = _loader(plan)
    names = {label: dict(enumerate(classes)) for label, classes in found.labels.items()}
    return Job(
        config=config,
        kind=plan.kind,
        network=plan.network,
        source=Examples(found.training, load, config.seed, config.batch_size),
        recipe=Recipe(
            learning_rate=config.learning_rate,
            max_iterations=config.max_iterations,
            seed=config.seed % 2**32,
            loss=partial(class_cross_entropy, smoothing=plan.smoothing),
            tasks=plan.tasks,
            accumulation=config.accumulation,
            augment=config.augment,
        ),
        words=_words(plan),
        start=partial(first_classifier, plan),
        validator=partial(_validator, plan, load),
        intensities=plan.preprocessing.to_json(),
        class_names=names if plan.tasks else names[LABEL],
        read_all=partial(_read_all, plan, load),
        draw=_draw_nothing,
        data=found.digest,
    )


def _words(plan: ClassPlan) -> Words:
    found = plan.examples
    sizes = [f"{name} {n}" for name, n in zip(found.labels, found.sizes, strict=True)]
    counts = f"{len(found.training)} training, {len(found.validation)} validation images"
    how = "" if found.prepared else f"intensities: {plan.preprocessing.intensity.kind}; "
    return Words(
        score=MEASURE,
        outputs=", ".join(sizes) if plan.tasks else str(found.sizes[0]),
        data=f"{found.path}: {counts}",
        sample="images",
        images=f"{how}label smoothing {plan.smoothing:g}; every image whole on the patch",
        notes=plan.notes,
        predict=f"{found.path}{' --split test' if found.test else ''}",
    )


def _loader(plan: ClassPlan) -> Callable[[Example], np.ndarray]:
    """Prepares an example, once where all of them fit well into memory."""
    config, found = plan.config, plan.examples
    inputs = Inputs(plan.preprocessing, config.patch, config.in_channels)
    count = len(found.training) + len(found.validation)
    size = count * math.prod(config.patch) * config.in_channels * np.float32().nbytes
    available = memory_available()
    if available is None or size > available // _SHARE:
        return inputs.load
    kept: dict[str, np.ndarray] = {}

    def load(example: Example) -> np.ndarray:
        if example.id not in kept:
            kept[example.id] = inputs.load(example)
        return kept[example.id]

    return load


def _validator(
    plan: ClassPlan, load: Callable[[Example], np.ndarray], parts: Parts
) -> ClassValidator | None:
    return ClassValidator(plan, load, make_forward(parts)) if plan.examples.validation else None


def _read_all(
    plan: ClassPlan, load: Callable[[Example], np.ndarray], say: Say, begun: bool
) -> None:
    """Reads every image before anything is compiled: what is wrong with one is said now."""
    began = time.monotonic()
    examples = [*plan.examples.training, *plan.examples.validation]
    for example in examples:
        load(example)
    seconds = time.monotonic() - began
    if seconds > 1:
        say(f"{len(examples)} images looked at, {seconds:.0f} s")


def _draw_nothing(folder: Path, state: State, validator: Any) -> None:
    """A class is not a picture; the curves say it all."""
