"""Scene files: the objects of one volume, with their drawn numbers, as JSON.

A scene is a list of objects, or ``{"grid", "label_dtype", "tasks", "source", "objects"}``, the
form that --save_scenes writes and that renders to the same bytes again. Everything is checked
here, so that a renderer can take each object as it comes: names are canonical, every required
parameter is a finite float, every object has a displacement (or None), a mapper and a class id.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from fdif_jax.config import check_grid
from fdif_jax.errors import InputError, lookup, nearest
from fdif_jax.io import scene_values as values
from fdif_jax.io.scene_values import Place

_TOP_KEYS = ("grid", "label_dtype", "tasks", "source", "objects")
_NAME_KEYS = ("primitive", "class_name", "reference_name", "name")
_COMMON_KEYS = ("local_from_world", "displacement", "mapper", "class_id")
_SOLID_KEYS = (*_NAME_KEYS, "params")
_UNION_KEYS = ("first", "second", "k", "second_local_from_union")
_DTYPES = ("uint8", "uint16")
DEFAULT_MAPPER = "inverse_cube"


class Row(Protocol):
    """One primitive of a catalog."""

    @property
    def name(self) -> str:
        """The canonical name."""

    @property
    def params(self) -> tuple[str, ...]:
        """The parameters that a scene file must give."""


class Names(Protocol):
    """What a scene may refer to; ``synth.catalog.Catalog`` is one."""

    @property
    def primitives(self) -> Mapping[str, Any]:
        """Canonical names in class order."""

    @property
    def mappers(self) -> Mapping[str, Any]:
        """By name."""

    @property
    def displacements(self) -> Mapping[str, Any]:
        """By name."""

    def find_primitive(self, name: str) -> Any:
        """The ``Row`` behind any spelling; raises InputError."""


@dataclasses.dataclass(frozen=True, slots=True)
class SceneFile:
    """A checked scene.

    Args:
      objects: dicts with ``primitive`` and ``params``, or ``first``, ``second``, ``k`` and
        ``second_local_from_union``; and with ``local_from_world``, ``displacement``, ``mapper``
        and ``class_id`` (an id, or a list with one per task).
      label_dtype: of the label volume.
      tasks: task names; empty where the label has no task axis.
      grid: (D, H, W), where the file says.
      source: the sample that the scene was saved from, where the file says.
    """

    objects: tuple[dict[str, Any], ...]
    label_dtype: str
    tasks: tuple[str, ...] = ()
    grid: tuple[int, int, int] | None = None
    source: dict[str, Any] | None = None


def parse(text: str | bytes, names: Names, *, file: str = "scene") -> SceneFile:
    """Reads a scene file.

    Args:
      text: the file's content.
      names: the catalog.
      file: how messages call the file.

    Raises:
      InputError: naming the file, the object by number, the key, and what is allowed.
    """
    place = Place(file)
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise place.error(f"is no JSON ({error})") from error
    if isinstance(record, list):
        record = {"objects": record}
    if not isinstance(record, dict):
        raise place.error("holds neither a list of objects nor an object with 'objects'")
    _refuse_typos(place, record, _TOP_KEYS)
    objects = _objects(place, record.get("objects"), names)
    tasks = _tasks(place, record.get("tasks"), objects)
    return SceneFile(
        objects=objects,
        label_dtype=_label_dtype(place, record.get("label_dtype"), objects),
        tasks=tasks,
        grid=_grid(place, record.get("grid")),
        source=_source(place, record.get("source")),
    )


def _objects(place: Place, records: Any, names: Names) -> tuple[dict[str, Any], ...]:
    if not isinstance(records, list):
        raise place.error("has no list 'objects'")
    if not records:
        raise place.error("has no objects; give at least one")
    objects, unions = [], 0
    for i, record in enumerate(records, start=1):
        here = place.at(f"object {i} of {len(records)}")
        if not isinstance(record, dict):
            raise here.error(f"is {values.shown(record)}; give an object with keys")
        union = "first" in record or "second" in record
        unions += union
        default_id = len(names.primitives) + unions if union else None
        objects.append(_object(here, record, names, default_id))
    return tuple(objects)


def _object(
    place: Place, record: dict[str, Any], names: Names, union_id: int | None
) -> dict[str, Any]:
    if union_id is None:
        _refuse_typos(place, record, (*_SOLID_KEYS, *_COMMON_KEYS))
        shape = _solid(place, record, names)
        default_id = list(names.primitives).index(shape["primitive"]) + 1
    else:
        _refuse_typos(place, record, (*_UNION_KEYS, *_COMMON_KEYS, *_NAME_KEYS))
        shape = _union(place, record, names)
        default_id = union_id
    return {
        **shape,
        "local_from_world": values.matrix(place, record, "local_from_world"),
        "displacement": _displacement(place, record, names),
        "mapper": _named(place, names.mappers, record.get("mapper"), "mapper") or DEFAULT_MAPPER,
        "class_id": values.class_id(place, record.get("class_id"), default_id),
    }


def _union(place: Place, record: dict[str, Any], names: Names) -> dict[str, Any]:
    parts = {}
    for key in ("first", "second"):
        here = place.at(key)
        if not isinstance(record.get(key), dict):
            raise here.error("is missing or no object; a union has first and second")
        _refuse_typos(here, record[key], _SOLID_KEYS)
        parts[key] = _solid(here, record[key], names)
    return {
        **parts,
        "k": values.number(place, record, "k", values.POSITIVE),
        "second_local_from_union": values.matrix(place, record, "second_local_from_union"),
    }


def _solid(place: Place, record: dict[str, Any], names: Names) -> dict[str, Any]:
    row = _row(place, record, names)
    params = record.get("params")
    here = place.at(row.name)
    if not isinstance(params, dict):
        raise here.error(f"has no 'params'; give {{{', '.join(row.params)}}}")
    if missing := [name for name in row.params if name not in params]:
        raise here.error(f"params lack {', '.join(missing)}; needed: {', '.join(row.params)}")
    allowed = {*row.params, *values.UNUSED}
    if unknown := [name for name in params if name not in allowed]:
        raise here.error(f"params has unknown key {unknown[0]!r}; allowed: {', '.join(row.params)}")
    sides = getattr(row, "sides", 0)
    checked = {name: values.parameter(here, params, name, sides) for name in row.params}
    return {"primitive": row.name, "params": checked}


def _row(place: Place, record: dict[str, Any], names: Names) -> Row:
    """The primitive that the first of the name keys names; the others must agree."""
    given = {key: record[key] for key in _NAME_KEYS if record.get(key) is not None}
    if not given:
        raise place.error(f"names no primitive; give one of {', '.join(_NAME_KEYS)}")
    rows = {}
    for key, name in given.items():
        if not isinstance(name, str):
            raise place.error(f"{key} is {values.shown(name)}; give a name")
        try:
            rows[key] = names.find_primitive(name)
        except InputError as error:
            raise place.error(f"{key}: {error}") from error
    (first_key, first), *others = rows.items()
    for key, row in others:
        if row.name != first.name:
            raise place.error(f"{first_key} is {first.name} but {key} is {row.name}; give one")
    return first


def _displacement(place: Place, record: dict[str, Any], names: Names) -> str | None:
    given = record.get("displacement")
    if given == "none":
        return None
    return _named(place, names.displacements, given, "displacement")


def _named(place: Place, table: Mapping[str, Any], name: Any, key: str) -> str | None:
    if name is None:
        return None
    if not isinstance(name, str):
        raise place.error(f"{key} is {values.shown(name)}; give a name")
    try:
        lookup(table, name, kind=key)
    except InputError as error:
        raise place.error(str(error)) from error
    return name


def _tasks(place: Place, given: Any, objects: tuple[dict[str, Any], ...]) -> tuple[str, ...]:
    """Task names; class ids must be one per task in every object, or single in every object."""
    counts = [len(o["class_id"]) if isinstance(o["class_id"], list) else 0 for o in objects]
    for i, count in enumerate(counts, start=1):
        if count != counts[0]:
            raise place.at(f"object {i} of {len(objects)}").error(
                f"class_id has {count or 1} values, object 1 has {counts[0] or 1}; "
                "give the same number everywhere"
            )
    if not given:
        return tuple(f"task_{i}" for i in range(counts[0]))
    if not isinstance(given, list | dict) or not all(isinstance(task, str) for task in given):
        raise place.error(f"tasks is {values.shown(given)}; give a list of names")
    plain = all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", task) for task in given)
    if not plain or len(set(given)) != len(given):
        raise place.error(
            f"tasks is {values.shown(given)}; give different names of letters, digits, hyphens "
            "and underscores"
        )
    if len(given) != counts[0]:
        raise place.error(
            f"names {len(given)} tasks, but object 1 has {counts[0] or 'no'} class ids per task; "
            "give class_id as a list with one id for each task"
        )
    return tuple(given)


def _label_dtype(place: Place, given: Any, objects: tuple[dict[str, Any], ...]) -> str:
    largest = int(max(np.max(item["class_id"]) for item in objects))
    if given is None:
        return np.min_scalar_type(largest).name
    if given not in _DTYPES:
        raise place.error(f"label_dtype is {values.shown(given)}; allowed: {', '.join(_DTYPES)}")
    if largest > np.iinfo(given).max:
        raise place.error(f"label_dtype is {given}, which does not hold class_id {largest}")
    return given


def _grid(place: Place, given: Any) -> tuple[int, int, int] | None:
    if given is None:
        return None
    if not isinstance(given, list) or not all(type(size) is int for size in given):
        raise place.error(f"grid is {values.shown(given)}; give [D, H, W]")
    try:
        check_grid(tuple(given))  # type: ignore[arg-type]
    except InputError as error:
        raise place.error(f"grid: {error}") from error
    return given[0], given[1], given[2]


def _source(place: Place, given: Any) -> dict[str, Any] | None:
    if given is None:
        return None
    kinds = {"layout": str, "config_hash": str, "split": str, "index": int}
    if not isinstance(given, dict) or any(type(given.get(k)) is not t for k, t in kinds.items()):
        raise place.error(f"source is {values.shown(given)}; it must name {', '.join(kinds)}")
    return given


def _refuse_typos(place: Place, record: dict[str, Any], allowed: tuple[str, ...]) -> None:
    """Refuses a key that looks like a known one; other keys are remarks and ignored."""
    for key in record:
        if key not in allowed and key != "inside":
            close = nearest(key, allowed)
            if close is not None and values.alike(key, close):
                raise place.error(f"has unknown key {key!r}; did you mean {close!r}?")
