"""Which combination of shape, displacement and mapper is which class.

Everything here is decided on the host, from (config, catalog, seed), before any volume is drawn.
"""

import dataclasses
import itertools
from typing import Any

import numpy as np

from fdif_jax.classification import ClassificationConfig, DataSetConfig
from fdif_jax.config import DEFAULT_PRIMITIVES, check_count, check_seed
from fdif_jax.errors import InputError, lookup
from fdif_jax.synth.catalog import Catalog

BACKGROUND = "background"
MAX_CLASSES = 2**16 - 1
_AUGMENTED_MAPPER = "inverse_cube"
"""What class labels read where the mapper is an augmentation."""


@dataclasses.dataclass(frozen=True, slots=True)
class ShapeChoice:
    """One primitive, or the smooth union of two, that classes are made of."""

    name: str
    display_name: str
    task_name: str
    parts: tuple[str, ...]
    """Canonical names of its solids."""


@dataclasses.dataclass(frozen=True, slots=True)
class ClassChoice:
    """What one class draws: indices into the table's shapes, displacements and mappers."""

    shape: int
    displacement: int
    mapper: int


@dataclasses.dataclass(frozen=True, slots=True)
class ClassTable:
    """The classes of a data set, in the order of their ids."""

    shapes: tuple[ShapeChoice, ...]
    displacements: tuple[str, ...]
    """``none`` first, then those in use."""
    mappers: tuple[str, ...]
    choices: tuple[ClassChoice, ...]
    """What an object is drawn from, uniformly; its index + 1 is its id in a single task."""
    names: tuple[str, ...]
    """The full label of each choice."""
    any_mapper: bool
    """Whether an object's mapper is drawn anew, instead of its choice's."""
    any_displacement: bool
    """Whether an object's displacement is drawn anew, ``none`` included."""
    tasks: dict[str, dict[str, int]]
    """Empty for a single task; else task to class name to id, background 0 included."""
    task_ids: tuple[tuple[int, ...], ...]
    """The ids of each choice, one per task."""
    of_volumes: bool = False
    """Whether a volume as a whole has a class: ids start at 0, and there is no background."""

    @property
    def labels(self) -> dict[int, str]:
        """Id to name, with background; of the first task where voxels have several.

        Where volumes have classes, number to name of each choice, whatever the tasks.
        """
        if self.of_volumes:
            return dict(enumerate(self.names))
        if self.tasks:
            return {i: name for name, i in next(iter(self.tasks.values())).items()}
        return dict(enumerate((BACKGROUND, *self.names)))

    @property
    def out_channel(self) -> int:
        """Classes and background; of the first task where voxels have several.

        Where volumes have classes, those of all tasks.
        """
        if self.of_volumes and self.tasks:
            return sum(map(len, self.tasks.values()))
        return len(self.labels)

    @property
    def volume_ids(self) -> tuple[tuple[int, ...], ...]:
        """``task_ids`` where volumes have classes, else empty."""
        return self.task_ids if self.of_volumes else ()

    @property
    def dtype(self) -> np.dtype:
        """The smallest unsigned type that holds every id."""
        return np.min_scalar_type(max(max(ids) for ids in self.task_ids))

    def to_json(self) -> dict[str, Any]:
        """The table as plain JSON values."""
        record: dict[str, Any] = {
            "labels": {str(i): name for i, name in self.labels.items()},
            "out_channel": self.out_channel,
            "shapes": [shape.name for shape in self.shapes],
            "displacements": list(self.displacements),
            "mappers": list(self.mappers),
        }
        return {**record, "tasks": self.tasks} if self.tasks else record


def class_table(config: DataSetConfig, catalog: Catalog, seed: int) -> ClassTable:
    """The classes that ``config`` asks for: of voxels, or of volumes where it is of that kind.

    Raises:
      InputError: an unknown name (with the nearest), a pool smaller than ``num_classes`` or
        ``num_combined_unions`` ask for, more than 65,535 classes, fewer than two classes of
        volumes or more than a million volumes.
    """
    check_seed(seed)
    primitives = _primitives(config, catalog, seed)
    shapes = [_single(catalog, name) for name in primitives]
    unions = [
        union_choice(catalog, pair, i)
        for i, pair in enumerate(_pairs(primitives, config.num_combined_unions, seed))
    ]
    mappers = tuple(
        lookup(catalog.mappers, name, kind="mapper", remedy="`fdif list mappers` shows them.").name
        for name in dict.fromkeys(config.sdf_mappers)
    )
    displacements = _displacements(config, catalog)
    choices = _choices(config, len(shapes), len(unions), len(displacements), len(mappers))
    if len(choices) > MAX_CLASSES:
        raise InputError(
            f"these options make {len(choices)} classes; at most {MAX_CLASSES} are allowed: name "
            "fewer primitives, mappers or displacements, or make them augmentations."
        )
    if of_volumes := isinstance(config, ClassificationConfig):
        _check_volumes(config, len(choices))
    every = (*shapes, *unions)
    tasks = _tasks(config, catalog, every, displacements, mappers)
    first = 0 if of_volumes else 1
    names = tuple(_label(config, catalog, every, displacements, mappers, c) for c in choices)
    return ClassTable(
        shapes=every,
        displacements=displacements,
        mappers=mappers,
        choices=choices,
        names=names,
        any_mapper=config.mapper_as_augmentation,
        any_displacement=config.displacement_as_augmentation,
        tasks=tasks,
        task_ids=tuple(
            _task_ids(tasks, catalog, every, displacements, mappers, c) if tasks else (i,)
            for i, c in enumerate(choices, start=first)
        ),
        of_volumes=of_volumes,
    )


def _check_volumes(config: ClassificationConfig, classes: int) -> None:
    if classes < 2:
        raise InputError(
            "these options make 1 class, and one class is nothing to tell apart; name more "
            "primitives, mappers or displacements."
        )
    check_count("samples_per_class times classes", sum(config.counts(classes).values()))


def _primitives(config: DataSetConfig, catalog: Catalog, seed: int) -> tuple[str, ...]:
    """Canonical names, in the person's order where they were named one by one."""
    table = tuple(catalog.primitives)
    remedy = "`fdif list categories` shows them."
    if config.categories:
        wanted = {
            name
            for category in config.categories
            for name in lookup(catalog.categories, category, kind="category", remedy=remedy)
        }
        pool = tuple(name for name in table if name in wanted)
    elif config.primitives and any(name.casefold() == "all" for name in config.primitives):
        pool = table
    elif config.primitives:
        pool = tuple(dict.fromkeys(catalog.find_primitive(n).name for n in config.primitives))
    else:
        pool = table if config.num_classes is not None else DEFAULT_PRIMITIVES
    if config.num_classes is None:
        return pool
    if config.num_classes > len(pool):
        raise InputError(
            f"num_classes is {config.num_classes}, but the pool holds {len(pool)} primitives; "
            f"allowed: 1 to {len(pool)}."
        )
    rng = np.random.default_rng([seed, 1])
    drawn = set(rng.choice(len(pool), config.num_classes, replace=False).tolist())
    order = {name: i for i, name in enumerate(table)}
    return tuple(sorted((pool[i] for i in drawn), key=order.__getitem__))


def _pairs(primitives: tuple[str, ...], count: int, seed: int) -> list[tuple[str, str]]:
    possible = len(primitives) ** 2
    if count > possible:
        raise InputError(
            f"num_combined_unions is {count}, but {len(primitives)} primitives make "
            f"{possible} ordered pairs; allowed: 0 to {possible}."
        )
    drawn = np.random.default_rng([seed, 2]).choice(possible, count, replace=False).tolist()
    return [(primitives[i // len(primitives)], primitives[i % len(primitives)]) for i in drawn]


def _single(catalog: Catalog, name: str) -> ShapeChoice:
    display = catalog.primitives[name].display_name
    return ShapeChoice(name, display, display, (name,))


def union_choice(catalog: Catalog, pair: tuple[str, str], index: int) -> ShapeChoice:
    """The smooth union number ``index``, of two primitives by their canonical names."""
    first, second = (catalog.primitives[name].display_name for name in pair)
    return ShapeChoice(
        f"Union_{pair[0]}_{pair[1]}_{index:03d}",
        f"({first} ∪ {second})",
        f"{first}_union_{second}",
        pair,
    )


def _displacements(config: DataSetConfig, catalog: Catalog) -> tuple[str, ...]:
    remedy = "`fdif list displacements` shows them."
    named = (
        lookup(catalog.displacements, name, kind="displacement", remedy=remedy).name
        for name in dict.fromkeys(config.displacement_functions)
    )
    return ("none", *(name for name in named if name != "none"))


def _choices(
    config: DataSetConfig, shapes: int, unions: int, displacements: int, mappers: int
) -> tuple[ClassChoice, ...]:
    mapper_ids = range(1 if config.mapper_as_augmentation else mappers)
    displaced = () if config.displacement_as_augmentation else range(1, displacements)
    return tuple(
        itertools.starmap(
            ClassChoice,
            itertools.chain(
                itertools.product(range(shapes), (0,), mapper_ids),
                itertools.product(range(shapes), displaced, mapper_ids),
                itertools.product(range(shapes, shapes + unions), (0,), mapper_ids),
            ),
        )
    )


def _label(config, catalog, shapes, displacements, mappers, choice: ClassChoice) -> str:
    words = [shapes[choice.shape].display_name]
    if choice.displacement:
        long_name = catalog.displacements[displacements[choice.displacement]].long_name
        words.append(f"displacement({long_name})")
    words.append(_AUGMENTED_MAPPER if config.mapper_as_augmentation else mappers[choice.mapper])
    return " + ".join(words)


def _long_names(catalog: Catalog, displacements: tuple[str, ...]) -> list[str]:
    return [catalog.displacements[name].long_name for name in displacements]


def _tasks(config, catalog, shapes, displacements, mappers) -> dict[str, dict[str, int]]:
    none, *named = _long_names(catalog, displacements)
    tasks = {
        "shape": sorted(shape.task_name for shape in shapes),
        "displacement": [none, *sorted(named)],
        "mapper": sorted(mappers),
    }
    if isinstance(config, ClassificationConfig):  # all three, whatever there is to choose from
        if not config.multilabel:
            return {}
        return {task: {name: i for i, name in enumerate(names)} for task, names in tasks.items()}
    if not config.multi_task:
        return {}
    if not named:
        del tasks["displacement"]
    if len(mappers) < 2:
        del tasks["mapper"]
    return {
        task: {name: i for i, name in enumerate((BACKGROUND, *names))}
        for task, names in tasks.items()
    }


def _task_ids(tasks, catalog, shapes, displacements, mappers, choice) -> tuple[int, ...]:
    names = {
        "shape": shapes[choice.shape].task_name,
        "displacement": _long_names(catalog, displacements)[choice.displacement],
        "mapper": mappers[choice.mapper],
    }
    return tuple(ids[names[task]] for task, ids in tasks.items())
