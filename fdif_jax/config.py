"""What to generate: one frozen record, its presets, its validation, JSON in and out.

Numbers are checked here, before anything else is loaded; names are checked where the catalog is
known (``synth.labels``). The seed is not part of the configuration: a volume is a pure function of
(configuration, catalog, seed, split, index).
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from fdif_jax.errors import InputError

Config = TypeVar("Config")

Layout = Literal["monai", "nnunet"]

DEFAULT_PRIMITIVES = ("sphere", "cylinder", "torus", "cone")
MIN_GRID = 8
MAX_GRID = 2**15 - 1
"""What a NIfTI-1 header can say of an axis."""
MAX_SAMPLES = 10**6
MAX_SEED = 2**63 - 1


@dataclasses.dataclass(frozen=True, slots=True)
class GenerateConfig:
    """Everything about a data set but its seed and its place. Field names are option names.

    Args:
      grid: (D, H, W) in voxels, each at least 8.
      num_samples: training volumes.
      num_val_samples: validation volumes, numbered after the training files.
      min_objects: fewest objects in a volume, at least 1.
      max_objects: most objects in a volume.
      primitives: names or aliases, or ``("all",)``; empty means the default four, or all 109
        where ``num_classes`` is given.
      categories: category names; they override ``primitives``.
      num_classes: draw that many primitives at random from the chosen pool.
      sdf_mappers: distance-to-intensity functions.
      displacement_functions: surface displacements; empty means none.
      mapper_as_augmentation: mappers vary the image but make no classes.
      displacement_as_augmentation: displacements (and none) vary the image but make no classes.
      multi_task: one label per task: shape, displacement, mapper.
      num_combined_unions: how many smooth unions of two primitives become classes.
      transform: random rotation and shear of every object; translation is always drawn.
      layout: ``monai`` (Decathlon list) or ``nnunet`` (raw data set).
      dataset_id: nnU-Net number of the training set; the validation set takes the next one.
      dataset_name: nnU-Net name.
      recipe: what makes the volumes; ``fdif`` is the paper's generator.
      plugin: ``module:catalog`` that replaces the default catalog.

    Raises:
      InputError: a number is out of range or two options exclude each other.
    """

    grid: tuple[int, int, int] = (64, 64, 64)
    num_samples: int = 200
    num_val_samples: int = 0
    min_objects: int = 2
    max_objects: int = 5
    primitives: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    num_classes: int | None = None
    sdf_mappers: tuple[str, ...] = ("inverse_cube",)
    displacement_functions: tuple[str, ...] = ()
    mapper_as_augmentation: bool = False
    displacement_as_augmentation: bool = False
    multi_task: bool = False
    num_combined_unions: int = 0
    transform: bool = True
    layout: Layout = "monai"
    dataset_id: int = 999
    dataset_name: str = "SDFSynthetic"
    recipe: str = "fdif"
    plugin: str | None = None

    def __post_init__(self) -> None:
        """Checks every number; see the class for the ranges."""
        check_types(self)
        check_grid(self.grid)
        at_least("num_samples", self.num_samples, 1)
        at_least("num_val_samples", self.num_val_samples, 0)
        for name in ("num_samples", "num_val_samples"):
            check_count(name, getattr(self, name))
        at_least("min_objects", self.min_objects, 1)
        at_least("num_combined_unions", self.num_combined_unions, 0)
        if self.max_objects < self.min_objects:
            raise InputError(
                f"max_objects is {self.max_objects}, below min_objects {self.min_objects}; "
                "give max_objects >= min_objects."
            )
        if self.num_classes is not None:
            at_least("num_classes", self.num_classes, 1)
        check_mappers(self.sdf_mappers)
        if self.multi_task and (self.mapper_as_augmentation or self.displacement_as_augmentation):
            raise InputError(
                "multi_task cannot be combined with mapper_as_augmentation or "
                "displacement_as_augmentation: an augmentation makes no label to learn; drop one."
            )
        if self.layout not in ("monai", "nnunet"):
            raise InputError(f"layout is {self.layout!r}; allowed: monai, nnunet.")
        if not 1 <= self.dataset_id <= 999:
            raise InputError(f"dataset_id is {self.dataset_id}; allowed: 1 to 999.")
        check_dataset_name(self.dataset_name)

    def counts(self, classes: int) -> dict[str, int]:
        """Volumes of each split; here they do not depend on the number of classes."""
        return {"training": self.num_samples, "validation": self.num_val_samples}

    def to_json(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        return plain_values(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "GenerateConfig":
        """The inverse of ``to_json``; raises InputError as ``from_plain_values`` does."""
        return from_plain_values(cls, record)


def plain_values(config: Any) -> dict[str, Any]:
    """A frozen record as plain JSON values: tuples become lists."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_plain_values(kind: type[Config], record: Mapping[str, Any]) -> Config:
    """The inverse of ``plain_values`` for records of class ``kind``.

    Raises:
      InputError: an unknown key, or a value out of range.
    """
    fields = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(record) - fields):
        raise InputError(
            f"configuration has unknown keys {', '.join(unknown)}; "
            f"allowed: {', '.join(sorted(fields))}."
        )
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in record.items()})


def check_grid(grid: tuple[int, int, int]) -> None:
    """Refuses a grid that is not three sizes of at least ``MIN_GRID`` voxels.

    Raises:
      InputError: naming the axis and the value.
    """
    if len(grid) != 3:
        raise InputError(f"grid has {len(grid)} sizes; give three: D H W.")
    for axis, size in zip("DHW", grid, strict=True):
        at_least(axis, size, MIN_GRID)
        if size > MAX_GRID:
            raise InputError(f"{axis} is {size}; allowed: {MIN_GRID} to {MAX_GRID}.")


def check_seed(seed: int) -> None:
    """Refuses a seed outside 0 … 2^63 - 1.

    Raises:
      InputError: naming the value.
    """
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"seed is {seed}; allowed: 0 to {MAX_SEED}.")


def check_count(name: str, count: int) -> None:
    """Refuses more volumes than one data set is meant for.

    Raises:
      InputError: naming ``name`` and the number.
    """
    if count > MAX_SAMPLES:
        raise InputError(
            f"{name} is {count}; at most {MAX_SAMPLES} are allowed: write more than one data set, "
            "each with a seed of its own."
        )


def check_mappers(names: tuple[str, ...]) -> None:
    """Refuses to do without a mapper; raises InputError."""
    if not names:
        raise InputError("sdf_mappers is empty; give at least one, e.g. inverse_cube.")


def check_dataset_name(name: str) -> None:
    """Refuses a name that is no plain part of a file name; raises InputError."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}", name):
        raise InputError(
            f"dataset_name is {name!r}; allowed: up to 100 letters, digits, hyphens and "
            "underscores."
        )


def check_types(config: Any) -> None:
    """Refuses values of another type, which would be taken for something else later.

    Args:
      config: a dataclass whose fields are whole or floating-point numbers, strings, switches, or
        tuples of whole numbers or names.

    Raises:
      InputError: naming the field, its value and what it must be.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        kind = field.type.__name__ if isinstance(field.type, type) else str(field.type)
        if kind.startswith("tuple[int"):
            fits = isinstance(value, tuple) and all(type(size) is int for size in value)
            wanted = "a tuple of whole numbers"
        elif kind.startswith("tuple[str"):
            fits = isinstance(value, tuple) and all(isinstance(name, str) for name in value)
            wanted = "a tuple of names"
        elif kind == "bool":
            fits, wanted = isinstance(value, bool), "True or False"
        elif kind == "float":
            fits, wanted = type(value) in (int, float), "a number"
        elif kind.startswith("int"):
            fits = type(value) is int or (value is None and "None" in kind)
            wanted = "a whole number"
        else:
            fits = isinstance(value, str) or (value is None and "None" in kind)
            wanted = "a string"
        if not fits:
            raise InputError(f"{field.name} is {value!r}; give {wanted}.")


def at_least(name: str, value: int, low: int) -> None:
    """Refuses a number below ``low``; raises InputError."""
    if value < low:
        raise InputError(f"{name} is {value}; allowed: {low} or more.")


SMALL = GenerateConfig()

# arXiv:2603.23199, the pre-training set: 5000 volumes of 20 objects, 109 classes.
PAPER = GenerateConfig(
    grid=(96, 96, 96),
    num_samples=5000,
    min_objects=20,
    max_objects=20,
    num_classes=109,
    sdf_mappers=(
        "exponential_base_1.5",
        "exponential_base_2.0",
        "floor_width_0.5",
        "floor_width_1.0",
        "inverse_cube",
        "linear_slope_10.0",
        "modular_10",
        "modular_5",
        "sinusoidal_wavelength_1.0",
        "sinusoidal_wavelength_3.0",
    ),
    displacement_functions=(
        "perlin_more_fine",
        "perlin_fine",
        "turbulence",
        "ridge",
        "ridge_coarse",
        "sharpmax",
        "sharpmax_fine",
        "twisted_x",
        "sawtooth",
    ),
    mapper_as_augmentation=True,
    displacement_as_augmentation=True,
)

PRESETS = {"small": SMALL, "paper": PAPER}
