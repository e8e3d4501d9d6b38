"""The numbers of a scene file: ranges, matrices, class ids, and messages that say where."""

import dataclasses
import difflib
import json
import math
from typing import Any

import numpy as np

from fdif_jax.errors import InputError

MAX_CLASS_ID = 2**16 - 1
UNUSED = ("axis", "r")  # the golden records carry them where nothing uses them
_SHOWN = 40


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where in a file we are, for messages."""

    path: str

    def at(self, step: str) -> "Place":
        """A place inside this one."""
        return Place(f"{self.path}: {step}")

    def error(self, what: str) -> InputError:
        """An error whose message begins with the place."""
        return InputError(f"{self.path}: {what}".rstrip(".?") + ("?" if what[-1] == "?" else "."))


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """The allowed values of one number."""

    low: float
    high: float
    words: str

    def holds(self, value: float) -> bool:
        """Whether the value is allowed."""
        return self.low <= value <= self.high


_TINY = 1e-9
_LARGEST = float(np.finfo(np.float32).max)
ANY = Range(-math.inf, math.inf, "a finite number")
POSITIVE = Range(_TINY, math.inf, "a number above 0")
NOT_NEGATIVE = Range(0.0, math.inf, "a number of at least 0")
_RANGES = {
    **dict.fromkeys(("radius", "R", "r", "size", "height", "h", "star_radius"), POSITIVE),
    **dict.fromkeys(("distance", "second_scale"), NOT_NEGATIVE),
    "onion_ratio": Range(_TINY, 1.0, "a number above 0, at most 1"),
    "star_n": Range(3, 8, "3 to 8"),
    "star_w": Range(0.0, 1.0, "0 to 1"),
}


def parameter(place: Place, params: dict[str, Any], name: str, sides: int) -> Any:
    """One checked parameter: a float, or vertices as a list of pairs.

    Args:
      place: for messages.
      params: holds ``name``.
      name: of the parameter.
      sides: how many vertices the primitive has.
    """
    here = place.at("params")
    if name == "vertices":
        return _vertices(here, params[name], sides)
    return number(here, params, name, _RANGES.get(name, ANY))


def number(place: Place, record: dict[str, Any], key: str, allowed: Range) -> float:
    """``record[key]`` as a finite float within ``allowed``."""
    value: Any = record.get(key)
    if not _finite(value):
        raise place.error(f"{key} is {shown(value)}; give {allowed.words}")
    if not allowed.holds(value):
        raise place.error(f"{key} is {value:g}; allowed: {allowed.words}")
    return float(value)


def matrix(place: Place, record: dict[str, Any], key: str) -> list[list[float]]:
    """``record[key]`` as three rows of four numbers that can be inverted."""
    rows: Any = record.get(key)
    if key not in record:
        raise place.error(f"{key} is missing; give three rows of four numbers")
    if not _table(rows, 3, 4):
        raise place.error(f"{key} is {shown(rows)}; give three rows of four finite numbers")
    if abs(np.linalg.det(np.asarray(rows)[:, :3])) < 1e-6:
        raise place.error(f"{key} flattens space (its determinant is 0); give one with an inverse")
    return [[float(value) for value in row] for row in rows]


def class_id(place: Place, given: Any, default: int) -> int | list[int]:
    """A class id, or a list with one for each task."""
    if given is None:
        return default
    ids = given if isinstance(given, list) else [given]
    if not ids or not all(type(i) is int and 1 <= i <= MAX_CLASS_ID for i in ids):
        raise place.error(
            f"class_id is {shown(given)}; give 1 to {MAX_CLASS_ID}, or a list with one per task"
        )
    return given


def shown(value: Any) -> str:
    """A value as it stood in the file, shortened."""
    text = "missing" if value is None else json.dumps(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def alike(key: str, known: str) -> bool:
    """Whether ``key`` is ``known`` with a slip of the finger."""
    return difflib.SequenceMatcher(None, key.casefold(), known).ratio() > 0.7


def _vertices(place: Place, rows: Any, sides: int) -> list[list[float]]:
    if not isinstance(rows, list) or not _table(rows, len(rows), 2):
        raise place.error(f"vertices is {shown(rows)}; give a list of pairs of finite numbers")
    if len(rows) != sides:
        raise place.error(f"vertices has {len(rows)} points; give {sides}")
    return [[float(value) for value in row] for row in rows]


def _table(rows: Any, height: int, width: int) -> bool:
    return (
        isinstance(rows, list)
        and len(rows) == height
        and all(isinstance(row, list) and len(row) == width for row in rows)
        and all(_finite(value) for row in rows for value in row)
    )


def _finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return bool(abs(value) <= _LARGEST)
