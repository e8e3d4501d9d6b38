"""What a classification data set holds: one frozen record, like ``config.GenerateConfig``.

Every volume shows one centred object and has one class. Volumes of a class follow one another, so
that a volume's class is a function of its index, for training and validation alike.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

from fdif_jax.config import (
    GenerateConfig,
    at_least,
    check_count,
    check_dataset_name,
    check_grid,
    check_mappers,
    check_types,
    from_plain_values,
    plain_values,
)
from fdif_jax.errors import InputError

LABELS_STYLES = ("plain", "pair")
MAX_SPLITS = 100
GRID_SCALES = (0.01, 2.0)
COMPRESSION_LEVELS = (1, 9)


@dataclasses.dataclass(frozen=True, slots=True)
class ClassificationConfig:
    """Everything about a data set but its seed and its place. Field names are option names.

    Args:
      grid: (D, H, W) in voxels, each at least 8.
      samples_per_class: training volumes of each class.
      primitives: as in ``GenerateConfig``; so are the next seven.
      categories: category names; they override ``primitives``.
      num_classes: draw that many primitives at random from the chosen pool.
      sdf_mappers: distance-to-intensity functions.
      displacement_functions: surface displacements; empty means none.
      mapper_as_augmentation: mappers vary the image but make no classes.
      displacement_as_augmentation: displacements (and none) vary the image but make no classes.
      num_combined_unions: how many smooth unions of two primitives become classes.
      transform: random rotation and shear of the object.
      grid_scale: extent of the rendered grid over that which sizes are drawn for; 0.01 to 2.
      n_splits: folds of the split file, 2 to 100, which all hold the same lists; validation has
        ``ceil(samples_per_class / (n_splits - 1))`` volumes of each class.
      multilabel: three labels a volume, shape, displacement and mapper, instead of one.
      labels_style: ``plain``, or ``pair`` for readers that want each label twice.
      dataset_name: of the Hydra configuration that goes with the data.
      compression_level: of ZSTD in Blosc2's count, 1 to 9; the voxels do not depend on it.
      plugin: ``module:catalog`` that replaces the default catalog.
      layout: ``ssl3d`` is the only one.

    Raises:
      InputError: a number is out of range or two options exclude each other.
    """

    grid: tuple[int, int, int] = (64, 64, 64)
    samples_per_class: int = 25
    primitives: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    num_classes: int | None = None
    sdf_mappers: tuple[str, ...] = ("inverse_cube",)
    displacement_functions: tuple[str, ...] = ()
    mapper_as_augmentation: bool = False
    displacement_as_augmentation: bool = False
    num_combined_unions: int = 0
    transform: bool = True
    grid_scale: float = 0.4
    n_splits: int = 5
    multilabel: bool = False
    labels_style: Literal["plain", "pair"] = "plain"
    dataset_name: str = "sdf_classification"
    compression_level: int = 1
    plugin: str | None = None
    layout: Literal["ssl3d"] = "ssl3d"

    def __post_init__(self) -> None:
        """Checks every number; see the class for the ranges."""
        check_types(self)
        check_grid(self.grid)
        at_least("samples_per_class", self.samples_per_class, 1)
        check_count("samples_per_class", self.samples_per_class)
        at_least("num_combined_unions", self.num_combined_unions, 0)
        if self.num_classes is not None:
            at_least("num_classes", self.num_classes, 1)
        check_mappers(self.sdf_mappers)
        _within("n_splits", self.n_splits, (2, MAX_SPLITS))
        _within("grid_scale", self.grid_scale, GRID_SCALES)
        _within("compression_level", self.compression_level, COMPRESSION_LEVELS)
        if self.multilabel and (self.mapper_as_augmentation or self.displacement_as_augmentation):
            raise InputError(
                "multilabel cannot be combined with mapper_as_augmentation or "
                "displacement_as_augmentation: an augmentation makes no label to learn; drop one."
            )
        if self.labels_style not in LABELS_STYLES:
            raise InputError(
                f"labels_style is {self.labels_style!r}; allowed: {', '.join(LABELS_STYLES)}."
            )
        if self.multilabel and self.labels_style == "pair":
            raise InputError(
                "labels_style pair writes one label twice, multilabel has three; drop one."
            )
        check_dataset_name(self.dataset_name)
        if self.layout != "ssl3d":
            raise InputError(f"layout is {self.layout!r}; allowed: ssl3d.")

    @property
    def per_class(self) -> dict[str, int]:
        """Volumes of each class, by split."""
        validation = math.ceil(self.samples_per_class / (self.n_splits - 1))
        return {"training": self.samples_per_class, "validation": validation}

    def counts(self, classes: int) -> dict[str, int]:
        """Volumes of each split."""
        return {split: count * classes for split, count in self.per_class.items()}

    def class_of(self, split: str, index: int) -> int:
        """The number of a volume's class."""
        return index // self.per_class[split]

    def to_json(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        return plain_values(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "ClassificationConfig":
        """The inverse of ``to_json``; raises InputError as ``from_plain_values`` does."""
        return from_plain_values(cls, record)


DataSetConfig = GenerateConfig | ClassificationConfig
"""Either kind: of voxels with classes, or of volumes with classes."""


def _within(name: str, value: float, bounds: tuple[float, float]) -> None:
    low, high = bounds
    if not low <= value <= high:
        raise InputError(f"{name} is {value}; allowed: {low} to {high}.")
