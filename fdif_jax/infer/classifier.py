"""A classifier and all that belongs around it: from images to probabilities of their classes."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from fdif_jax.data.class_inputs import Inputs
from fdif_jax.data.classified import LABEL, Example
from fdif_jax.errors import InputError
from fdif_jax.faults import enough_memory
from fdif_jax.infer.predictor import on_devices, softmax
from fdif_jax.infer.sliding_window import Apply, Progress
from fdif_jax.models.heads import Classifier

Labels = Mapping[str, tuple[str, ...]]
"""Label to the names of its classes, in the order of a network's outputs."""


@dataclasses.dataclass(frozen=True, eq=False)
class ImageClassifier:
    """What classifies one batch of images after another; compiled with the first one.

    Attributes:
      apply: a batch to logits, those of several labels one behind the other.
      inputs: what is done to an image before.
      labels: their names.
      batch: images at once.
    """

    apply: Apply
    inputs: Inputs
    labels: Labels
    batch: int

    def __call__(
        self, examples: Sequence[Example], progress: Progress | None = None
    ) -> dict[str, np.ndarray]:
        """Probabilities (N, C) of each label.

        While the network works on one batch, the next one is read and prepared.

        Args:
          examples: their own labels do not matter.
          progress: told after every batch: images done, all images.

        Raises:
          InputError: an image cannot be read, holds NaN, or has other channels.
          EnvironmentFault: there is not enough memory.
        """
        sizes = [len(names) for names in self.labels.values()]
        logits = np.zeros((len(examples), sum(sizes)), np.float32)
        with enough_memory("there is not enough memory; lower --batch."):
            for first, images in self._batches(examples):
                part = examples[first : first + self.batch]
                found = np.asarray(self.apply(images))[: len(part)]
                for example, row in zip(part, found, strict=True):
                    if not np.isfinite(row).all():
                        raise InputError(
                            f"{example.id} gives no finite logits; its voxels are far from what "
                            "the network was trained on, or its weights are not finite."
                        )
                logits[first : first + len(part)] = found
                if progress is not None:
                    progress(first + len(part), len(examples))
        return dict(zip(self.labels, probabilities(logits, sizes), strict=True))

    def _batches(self, examples: Sequence[Example]) -> Iterator[tuple[int, np.ndarray]]:
        """All of one shape, for one program: the last image fills the last batch."""
        starts = range(0, len(examples), self.batch)

        def load(first: int) -> np.ndarray:
            images = [self.inputs.load(e) for e in examples[first : first + self.batch]]
            return np.stack(images + images[-1:] * (self.batch - len(images)))

        with ThreadPoolExecutor(1) as pool:
            ahead = [pool.submit(load, first) for first in starts[:1]]
            for first, following in itertools.zip_longest(starts, starts[1:]):
                images = ahead.pop().result()
                if following is not None:
                    ahead.append(pool.submit(load, following))
                yield first, images


def make_classifier(
    model: Classifier, inputs: Inputs, labels: Labels, batch: int, devices: int = 1
) -> ImageClassifier:
    """What classifies with this network; its weights go to the devices now, and only once.

    Args:
      model: in any mode; it is left alone.
      inputs: as in its training.
      labels: their names, see ``label_names``.
      batch: images at once, spread over the devices.
      devices: how many to use.

    Raises:
      InputError: a patch that the network does not take, more devices than there are.
    """
    if batch < 1:
        raise InputError(f"batch is {batch}; allowed: 1 or more.")
    model.check_size(inputs.patch)
    apply = on_devices(model, devices)
    return ImageClassifier(apply, inputs, labels, -(-batch // devices) * devices)


def label_names(config: Any, class_names: Any) -> dict[str, tuple[str, ...]]:
    """Labels and classes by name; numbers, where a model folder has no names for them.

    Args:
      config: of the classifier.
      class_names: what its folder says of them.
    """
    outputs = config.out_channels
    pairs = ((LABEL, outputs),) if isinstance(outputs, int) else outputs
    return {
        label: tuple(_name(class_names, outputs, label, i) for i in range(n)) for label, n in pairs
    }


def _name(class_names: Any, outputs: Any, label: str, i: int) -> str:
    own = class_names
    if not isinstance(outputs, int):
        own = own.get(label) if isinstance(own, Mapping) else None
    name = own.get(str(i)) if isinstance(own, Mapping) else None
    return name if isinstance(name, str) else str(i)


def probabilities(logits: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """(N, C of all labels) to (N, C) float64 for each label, every row with the sum 1."""
    parts = np.split(logits.astype(np.float64), np.cumsum(sizes)[:-1], axis=1)
    return [softmax(part) for part in parts]
