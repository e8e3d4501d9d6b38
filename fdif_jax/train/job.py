"""The seam between the loop and what is learnt: a network, its batches, its score."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from fdif_jax.models.registry import AnyConfig
from fdif_jax.train.class_config import RunConfig
from fdif_jax.train.config import Kind
from fdif_jax.train.log import Validation, key_of
from fdif_jax.train.sources import Source
from fdif_jax.train.start import Start
from fdif_jax.train.step import Parts, Recipe, State

Say = Callable[[str], None]


class Validator(Protocol):
    """Measures a state."""

    def __call__(self, state: State) -> Validation:
        """The score and its parts; every process of a job calls it at the same update."""


@dataclasses.dataclass(frozen=True)
class Words:
    """What a job is called in front of a person.

    Attributes:
      score: what validations are ranked by; larger is better.
      outputs: of the network.
      data: what is trained on.
      sample: plural of what a batch is made of.
      images: how they are prepared.
      notes: what a person should know before it starts.
      predict: the input of the prediction that is recommended at the end.
    """

    score: str
    outputs: str
    data: str
    sample: str
    images: str
    notes: tuple[str, ...] = ()
    predict: str = "IMAGES"

    @property
    def key(self) -> str:
        """The score's name in files."""
        return key_of(self.score)


@dataclasses.dataclass(frozen=True)
class Job:
    """All that is particular to what is learnt; the loop and its files know no more.

    Attributes:
      config: what defines the run.
      kind: what the run folder is called after.
      network: its config.
      source: of the batches.
      recipe: of the update.
      words: for logs and messages.
      start: makes the network before the first update; what it refuses is an ``InputError``.
      validator: makes what measures the network, or None where there is nothing to measure with.
      intensities: what a model folder says of the preparation of its images.
      class_names: by output, or by task.
      read_all: reads every case once, before anything is compiled; told whether the run has a
        checkpoint.
      draw: writes pictures of a state's predictions into a folder.
      data: a digest of the cases and classes, empty where there are none to change.
    """

    config: RunConfig
    kind: Kind
    network: AnyConfig
    source: Source
    recipe: Recipe
    words: Words
    start: Callable[[], Start]
    validator: Callable[[Parts], Validator | None]
    intensities: Mapping[str, Any]
    class_names: Any
    read_all: Callable[[Say, bool], None]
    draw: Callable[[Path, State, Any], None]
    data: str = ""
