"""What a volume can be made of: the rows of the catalog, with the ranges that are drawn from."""

import math

import numpy as np
from pipe_tables import code, table

from fdif_jax.grid import Grid
from fdif_jax.synth import sampling
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.sampling import Ranges
from fdif_jax.synth.table import ALIASES, CATEGORIES, PRIMITIVES, Primitive

CATALOG = Catalog.default()
_SIDE = 1000
_SPACE = "\N{NO-BREAK SPACE}"
# Which of the grid's sizes a length follows shows on three grids, as multiples of a cube's.
_GRIDS = ((3, 2, 1), (3, 1, 2), (1, 3, 3))
_FOLLOWS = {(1, 1, 1): "m", (2, 1, 1): "b", (1, 2, 1): "c", (1, 2, 3): "W"}


def primitives() -> str:
    """All of them in class order, by category."""
    drawn = [_sizes(number) for number in range(len(PRIMITIVES))]
    ids = {row.name: number for number, row in enumerate(PRIMITIVES)}
    parts = []
    for category, names in CATEGORIES.items():
        sizes = {drawn[ids[name]] for name in names}
        shared = sizes.pop() if len(sizes) == 1 else None
        head = ["id", "name", "in labels", *(["drawn"] if shared is None else [])]
        old = any(name in ALIASES.values() for name in names)
        rows = [
            [
                *(ids[name] + 1, code(name), PRIMITIVES[ids[name]].display_name),
                *([drawn[ids[name]]] if shared is None else []),
                *([_older(name)] if old else []),
            ]
            for name in names
        ]
        said = [] if shared is None else [f"Drawn: {shared}.\n"]
        head += ["older spelling"] if old else []
        parts += [f"## {category}\n", *said, table(head, rows)]
    return "\n".join(parts)


def mappers() -> str:
    """With how far outside the surface they paint."""
    rows = [(code(row.name), _reach(row.reach)) for row in CATALOG.mapper_rows]
    return table(("name", "reach"), rows)


def displacements() -> str:
    """With amplitude and the name in labels."""
    rows = [
        (code(row.name), f"{row.amplitude:g}", code(row.long_name))
        for row in CATALOG.displacement_rows
    ]
    return table(("name", "amplitude", "in labels"), rows)


def _reach(reach: float) -> str:
    if math.isinf(reach):
        return "everywhere"
    return "the inside alone" if reach == 0 else f"{reach:g} voxels outside"


def _older(name: str) -> str:
    return ", ".join(code(old) for old, new in ALIASES.items() if new == name)


def _on(shape: tuple[int, ...]) -> Ranges:
    depth, height, width = (side * _SIDE for side in shape)
    return sampling.ranges(CATALOG, Grid.voxels((depth, height, width)))


_CUBE = _on((1, 1, 1))
_OTHERS = [_on(shape) for shape in _GRIDS]


def _length(field: str, number: int, times: float = 1.0) -> str:
    """The bounds of a length, e.g. ``0.15 … 0.4 b``."""
    cube = getattr(_CUBE, field)[number]
    grown = [np.atleast_1d(getattr(o, field)[number] / cube).ravel() for o in _OTHERS]
    key = tuple(round(float(values[-1])) for values in grown)
    return f"{_bounds(times * cube / _SIDE)}{_SPACE}{_FOLLOWS[key]}"


def _share(field: str, number: int, of: str) -> str:
    return f"{_bounds(getattr(_CUBE, field)[number])}{_SPACE}{of}"


def _bounds(pair: np.ndarray) -> str:
    low, high = pair
    return f"{low:g}{_SPACE}…{_SPACE}{high:g}"


def _sizes(number: int) -> str:
    """What a class draws, in the names of scene files."""
    row = PRIMITIVES[number]
    return ", ".join(f"{code(name)} {_drawn(row, name, number)}" for name in row.params)


def _drawn(row: Primitive, name: str, number: int) -> str:
    lengths = {"R": "offset", "h": "half_height", "size": "radius"}
    if name == "height":
        return _length("half_height", number, times=2.0)
    if name == "neck":
        return f"{_bounds(2 * np.asarray(sampling.NECK_RANGE))}{_SPACE}h"
    if name == "star_n":
        return f"{row.sides}" if len(CATEGORIES[row.category]) == 1 else "as named"
    if name == "star_w":
        return _share("pointiness", number, "").strip()
    if name in ("second_scale", "onion_ratio"):
        return _share(name, number, "").strip()
    if name == "distance":
        return _share("offset", number, "star_radius")
    if name == "vertices":
        return _vertices(number)
    if name in ("r", "star_radius") and _CUBE.radius_of_offset[number]:
        return _share("radius", number, "R")
    return _length(lengths.get(name, "radius"), number)


def _vertices(number: int) -> str:
    """The radii between which each vertex lies."""
    if _CUBE.radius_of_offset[number]:
        floor = _CUBE.polygon_floor[number] / _SIDE
        return f"at radii from {floor:g} c to {_share('radius', number, 'R')}"
    return f"at radii between two draws from {_length('radius', number)}"
