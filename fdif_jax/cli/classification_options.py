"""The options of commands that make volumes with a class each."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import click

from fdif_jax.classification import LABELS_STYLES, ClassificationConfig
from fdif_jax.cli.options import (
    CLASS_OPTIONS,
    GRID_OPTIONS,
    MAKING_OPTIONS,
    UNION_OPTIONS,
    Function,
    declare,
    given_fields,
    switch,
)

_DEFAULT = ClassificationConfig()


def _field(name: str, kind: type | click.ParamType, text: str) -> Callable[[Function], Function]:
    default = str(getattr(_DEFAULT, name))
    return click.option(f"--{name}", type=kind, show_default=default, help=text)


_OPTIONS = (
    *GRID_OPTIONS,
    _field("samples_per_class", int, "Training volumes of each class."),
    *CLASS_OPTIONS,
    switch("multilabel", "Three labels a volume: shape, displacement, mapper."),
    *UNION_OPTIONS,
    _field(
        "grid_scale",
        float,
        "Extent of the rendered grid over that which sizes are drawn for; less is closer.",
    ),
    _field(
        "n_splits",
        int,
        "Folds, all alike; validation has samples_per_class / (n_splits - 1) volumes of each "
        "class, rounded up.",
    ),
    _field(
        "labels_style",
        click.Choice(LABELS_STYLES),
        "pair: each label twice, as SSL3D's ABIDE loader wants it.",
    ),
    _field("dataset_name", str, "Of the Hydra configuration."),
    _field(
        "compression_level",
        int,
        "Of ZSTD, 1 to 9. Level 8 makes 8 % fewer bytes, and takes twenty times as long.",
    ),
    *MAKING_OPTIONS,
)


def classification_options(function: Function) -> Function:
    """The options that decide a classification data set."""
    return declare(_OPTIONS, function)


def classification_from(options: Mapping[str, Any]) -> ClassificationConfig:
    """The configuration with every given option in its place; raises InputError as it does."""
    return dataclasses.replace(_DEFAULT, **given_fields(_DEFAULT, options))
