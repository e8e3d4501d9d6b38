"""The AUROC, and other scores, of the classifier as it is now."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from fdif_jax.data.classified import Example
from fdif_jax.infer.class_metrics import NAMES, by_class, class_scores
from fdif_jax.infer.classifier import probabilities
from fdif_jax.train.class_plan import ClassPlan
from fdif_jax.train.log import Validation
from fdif_jax.train.readings import NotANumber
from fdif_jax.train.step import State, on_one_device

MEASURE = "AUROC"


@dataclasses.dataclass(frozen=True)
class ClassValidator:
    """Measures a state; the images are shared out to the processes of a job.

    Args:
      plan: labels and classes.
      load: gives an example as the network takes it.
      forward: what ``make_forward`` gave.
    """

    plan: ClassPlan
    load: Callable[[Example], np.ndarray]
    forward: Callable[[State, Any], Any]

    def __call__(self, state: State) -> Validation:
        """Scores of the validation examples; of several labels their means."""
        began = time.monotonic()
        examples = self.plan.examples.validation
        logits = self._logits(on_one_device(state._replace(optimizer=())), examples)
        labels = np.array([example.label for example in examples])
        parts = probabilities(logits, self.plan.examples.sizes)
        found = [(part, labels[:, i]) for i, part in enumerate(parts)]
        each = [class_scores(*one) for one in found]
        means = {name: _mean([scores[name] for scores in each]) for name in NAMES}
        return Validation(
            means.pop("auroc"),
            self._by_class(found),
            len(examples),
            time.monotonic() - began,
            MEASURE,
            means,
        )

    def _logits(self, state: State, examples: Sequence[Example]) -> np.ndarray:
        """(N, classes of all labels), in every process."""
        size, width = self.plan.config.crops, sum(self.plan.examples.sizes)
        result = np.zeros((len(examples), width), np.float32)
        own = range(jax.process_index(), len(examples), jax.process_count())
        for first in range(0, len(own), size):
            part = own[first : first + size]
            images = [self.load(examples[i]) for i in part]
            images += images[-1:] * (size - len(images))  # one shape, one program
            found = np.asarray(self.forward(state, np.stack(images)))[: len(part)]
            for i, row in zip(part, found, strict=True):
                if not np.isfinite(row).all():
                    raise NotANumber(
                        f"the logits of {examples[i].id}, in validation, are no numbers"
                    )
            result[list(part)] = found
        if jax.process_count() > 1:
            result = multihost_utils.process_allgather(result).sum(0)
        return result

    def _by_class(self, found: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
        """AUROC of each class; the label's name stands before it where there are several."""
        result: dict[str, float] = {}
        for (label, names), one in zip(self.plan.examples.labels.items(), found, strict=True):
            before = f"{label}/" if self.plan.tasks else ""
            called = [f"class {name}" if name.isdecimal() else name for name in names]
            result |= {before + called[c]: auroc for c, (auroc, _) in by_class(*one).items()}
        return result


def _mean(values: Sequence[float]) -> float:
    """Without those that are NaN, as of labels with one class."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
