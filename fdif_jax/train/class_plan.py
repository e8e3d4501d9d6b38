"""From the config of a classifier to everything that is known before anything is compiled."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
from flax import nnx

from fdif_jax.data.class_forms import read_classified
from fdif_jax.data.classified import LABEL, Classified, Example, check_examples
from fdif_jax.data.datalist import DataList
from fdif_jax.data.intensities import Intensity, choose
from fdif_jax.data.preprocess import Preprocessing
from fdif_jax.errors import InputError
from fdif_jax.infer.class_metrics import require_sklearn
from fdif_jax.models.heads import ClassifierConfig, Outputs
from fdif_jax.train.class_config import ClassifyConfig
from fdif_jax.train.config import Kind, RunOptions
from fdif_jax.train.network import network_config

_AIR = -200
"""Hounsfield units; CT has voxels below it, normalised images have not."""
_LOOKED_AT = 8
"""Images whose lowest voxel tells CT from others."""


@dataclasses.dataclass(frozen=True)
class ClassPlan:
    """A run whose options fit each other and the data.

    Attributes:
      config: the options.
      network: what to train.
      examples: on what.
      preprocessing: what predictions must repeat, before an image is put on the patch.
      smoothing: of the labels.
      notes: what a person should know before it starts.
    """

    config: ClassifyConfig
    network: ClassifierConfig
    examples: Classified
    preprocessing: Preprocessing
    smoothing: float
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """What the run folder is called after."""
        return "classification"

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the labels; none for one alone."""
        labels = tuple(self.examples.labels)
        return () if labels == (LABEL,) else labels


def make_class_plan(config: ClassifyConfig, options: RunOptions) -> ClassPlan:
    """Checks the options against the data and the network.

    Raises:
      InputError: whatever does not fit; nothing was written or compiled.
      EnvironmentFault: there is validation, and scikit-learn is not installed.
    """
    found = read_classified(
        Path(config.data).expanduser(), fold=config.fold, channels=config.in_channels
    )
    notes = check_examples(found)
    if found.validation:
        require_sklearn()
    for label in found.labels:
        if hasattr(nnx.Dict, label):  # of its own, which a label would hide
            raise InputError(f"{found.path} has a label {label!r}; give it another name.")
    outputs: Outputs = tuple(zip(found.labels, found.sizes, strict=True))
    if tuple(found.labels) == (LABEL,):
        outputs = found.sizes[0]
    encoder = network_config(config, 1, options.devices or jax.device_count())
    given = config.label_smoothing
    return ClassPlan(
        config,
        ClassifierConfig(encoder, outputs, config.dropout),
        found,
        _preprocessing(config, found),
        found.smoothing if given is None else given,
        notes,
    )


def _preprocessing(config: ClassifyConfig, found: Classified) -> Preprocessing:
    if not found.prepared:
        return Preprocessing(_rule(config.intensity, found), config.spacing)
    if config.intensity != "auto" or config.spacing is not None:
        raise InputError(
            f"--intensity and --spacing are about NIfTI files; {found.path} holds images as a "
            "network takes them: leave them out."
        )
    return Preprocessing(Intensity("none"), orient=False, crop=False)


def _rule(option: str, found: Classified) -> Intensity:
    """A table declares no modality: only what lies as low as air in CT is taken for CT."""
    if option == "auto" and (lowest := _lowest(found.training)) > _AIR:
        raise InputError(
            f"{found.path} does not say what its images are, and voxels of {lowest:g} and more are "
            "not those of CT; give --intensity ct, zscore, percentile or none."
        )
    return choose(option, DataList(found.path, ()), lambda: _AIR)


def _lowest(examples: Sequence[Example]) -> float:
    return min(float(e.read().voxels.min()) for e in examples[:_LOOKED_AT])
