"""The Dice of the network as it is now, on whole validation volumes."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.experimental import multihost_utils

from fdif_jax.data.cache import Volumes
from fdif_jax.data.datalist import Case
from fdif_jax.infer.metrics import dice_by_class, mean_dice
from fdif_jax.infer.predictor import default_batch
from fdif_jax.infer.sliding_window import Windows, predict_labels
from fdif_jax.models.heads import as_one
from fdif_jax.synth.recipe import Recipe as Generator
from fdif_jax.train.config import GENERATED_CASES
from fdif_jax.train.log import Validation
from fdif_jax.train.plan import Plan
from fdif_jax.train.step import Parts, State, on_one_device, to_float

Labelled = tuple[np.ndarray, np.ndarray]
"""Image (D, H, W, C) and label (D, H, W) or (D, H, W, T)."""


@dataclasses.dataclass(frozen=True)
class Validator:
    """Measures a state; the cases are shared out to the processes of a job.

    Args:
      plan: network, tasks, classes.
      load: gives case i.
      name: of case i.
      count: of cases.
      forward: what ``make_forward`` gave.
    """

    plan: Plan
    load: Callable[[int], Labelled]
    name: Callable[[int], str]
    count: int
    forward: Callable[[State, Any], Any]

    def __call__(self, state: State) -> Validation:
        """Sliding windows over every case, Dice without background."""
        began = time.monotonic()
        local = on_one_device(state._replace(optimizer=()))
        width = sum(n - 1 for n in self.plan.channels)
        rows = np.full((self.count, width), np.nan)
        for i in range(jax.process_index(), self.count, jax.process_count()):
            image, label = self.load(i)
            rows[i] = self._row(self.predict(local, image), label)
        if jax.process_count() > 1:
            found = multihost_utils.process_allgather(np.nan_to_num(rows, nan=-1.0))
            rows = found.max(0)
            rows[rows < 0] = np.nan
        return self._summary(rows, time.monotonic() - began)

    def predict(self, state: State, image: np.ndarray) -> np.ndarray:
        """Labels of one volume, (D, H, W) or (D, H, W, T)."""
        channels = self.plan.channels if self.plan.tasks else self.plan.channels[0]
        windows = Windows(
            self.plan.config.patch, batch=min(default_batch(), self.plan.config.crops)
        )
        return predict_labels(lambda x: self.forward(state, x), image, windows, channels)

    def _row(self, found: np.ndarray, label: np.ndarray) -> np.ndarray:
        if not self.plan.tasks:
            return dice_by_class(found, label, self.plan.channels[0])
        each = [
            dice_by_class(found[..., t], label[..., t], n) for t, n in enumerate(self.plan.channels)
        ]
        return np.concatenate(each)

    def _summary(self, rows: np.ndarray, seconds: float) -> Validation:
        ends = np.cumsum([n - 1 for n in self.plan.channels])[:-1]
        by_task = [mean_dice(part)[0] for part in np.split(rows, ends, axis=1)]
        there = ~np.isnan(rows)
        sums, counts = np.where(there, rows, 0).sum(0), there.sum(0)
        means = [s / c if c else math.nan for s, c in zip(sums, counts, strict=True)]
        names = class_names(self.plan)
        cases = int(there.any(1).sum())
        return Validation(
            float(np.mean(by_task)), dict(zip(names, means, strict=True)), cases, seconds
        )


def make_validator(plan: Plan, parts: Parts) -> Validator | None:
    """None where there is nothing to validate with."""
    most = plan.config.eval_max_cases
    forward = make_forward(parts)
    if plan.generator is not None:
        count = GENERATED_CASES if most is None else most
        generated = plan.generator
        return Validator(
            plan, lambda i: _generated(generated, i), "validation volume {}".format, count, forward
        )
    assert plan.datalist is not None
    assert plan.volumes is not None
    cases: Sequence[Case] = plan.datalist.validation[:most]
    if not cases:
        return None
    volumes = plan.volumes
    return Validator(
        plan, lambda i: _stored(volumes, cases[i]), lambda i: cases[i].id, len(cases), forward
    )


def make_forward(parts: Parts) -> Callable[[State, Any], Any]:
    """The network in evaluation mode, compiled: (state, (n, D, H, W, C)) to logits.

    The logits of several tasks come one behind the other.
    """

    @jax.jit
    def forward(params: nnx.State, stats: nnx.State, x: jax.Array) -> jax.Array:
        model = nnx.merge(parts.eval_graph, params, stats, parts.random, copy=True)
        return as_one(model(to_float(x)), model.config.out_channels)

    return lambda state, x: forward(state.params, state.stats, x)


def class_names(plan: Plan) -> list[str]:
    """Of every output but the backgrounds, ``task/class`` where there are several tasks."""
    if not plan.tasks:
        return _names(plan.class_names, plan.channels[0])
    return [
        f"{task}/{name}"
        for task, n in zip(plan.tasks, plan.channels, strict=True)
        for name in _names(plan.class_names.get(task, {}), n)
    ]


def _names(known: Any, count: int) -> list[str]:
    names = [str(known.get(i, f"class {i}")) for i in range(1, count)]
    if len(set(names)) < len(names):
        return [f"{i} {name}" for i, name in enumerate(names, 1)]
    return names


def _generated(generator: Generator, index: int) -> Labelled:
    image, label = generator.volume("validation", index)
    return np.asarray(image)[..., None], np.asarray(label)


def _stored(volumes: Volumes, case: Case) -> Labelled:
    volume = volumes.load(case)
    return np.asarray(volume.image), np.asarray(volume.label)
