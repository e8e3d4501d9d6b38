"""The ranges of every random number, and the draw of one primitive's shape and place.

Ranges are rows beside the catalog's rows, so that one vectorised draw serves all classes: what a
class does not use is drawn and ignored. Source: the registry of arXiv:2603.23199's public code.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fdif_jax.grid import Grid
from fdif_jax.synth.catalog import Catalog, CustomPrimitive
from fdif_jax.synth.params import MAX_SIDES, TAPERS, Shape
from fdif_jax.synth.table import Primitive

FULL_RANGE = (0.15, 0.40)
"""Radius of most solids, as a share of the grid."""
CONVEX_RANGE = (0.05, 0.20)
"""Radius of a convex taper's ends: its middle is 2 to 4 times as wide."""
HEIGHT_RANGE = (0.10, 0.50)
CONE_SCALE = (0.0, 1.6)
CONCAVE_SCALE = (0.2, 0.5)
CONVEX_SCALE = (2.0, 4.0)
NECK_RANGE = (-0.7, 0.7)
ONION_RANGE = (0.2, 0.5)
TRANSLATION = 0.35
SHEAR = 0.1
POLYGON_TORUS_MIN_RADIUS = 0.03


class Ranges(NamedTuple):
    """What to draw for each row of a catalog on one grid; bounds are (rows, 2), voxels."""

    program: np.ndarray
    sides: np.ndarray
    taper: np.ndarray
    radius: np.ndarray
    radius_of_offset: np.ndarray
    """Whether ``radius`` is a share of the drawn offset."""
    offset: np.ndarray
    offset_of_radius: np.ndarray
    """Whether ``offset`` is a share of the drawn radius."""
    half_height: np.ndarray
    second_scale: np.ndarray
    pointiness: np.ndarray
    onion_ratio: np.ndarray
    polygon_floor: np.ndarray
    """The fixed smaller radius of a polygon torus' vertices; 0 where both are drawn."""
    custom: np.ndarray
    """(rows, custom_width, 2)."""


def ranges(catalog: Catalog, grid: Grid) -> Ranges:
    """The ranges of every row of ``catalog``; sizes follow the grid's (D, H, W)."""
    columns = zip(*(_row(row, catalog, grid.shape) for row in catalog.primitive_rows), strict=True)
    return Ranges(*(np.asarray(column) for column in columns))


def _row(row: Primitive | CustomPrimitive, catalog: Catalog, shape: tuple[int, int, int]):
    programs = {name: i for i, name in enumerate(catalog.programs)}
    depth, height, width = shape
    smallest, depth_height, depth_width = min(shape), min(depth, height), min(depth, width)
    custom = [(0.0, 0.0)] * catalog.custom_width
    one = (1.0, 1.0)
    base = Ranges(
        program=programs[row.program],
        sides=5,
        taper=0,
        radius=one,
        radius_of_offset=False,
        offset=one,
        offset_of_radius=False,
        half_height=one,
        second_scale=one,
        pointiness=(0.5, 0.5),
        onion_ratio=(0.0, 0.0),
        polygon_floor=0.0,
        custom=custom,
    )
    if isinstance(row, CustomPrimitive):
        bounds = [_times(r, smallest) for r in row.ranges] + [_times(r, 1.0) for r in row.ratios]
        return base._replace(custom=bounds + custom[len(bounds) :])
    scale = lambda bounds, size: (bounds[0] * size, bounds[1] * size)  # noqa: E731
    base = base._replace(sides=row.sides or 5)
    if row.solid in ("sphere", "octahedron"):
        return base._replace(radius=scale(FULL_RANGE, smallest))
    if row.solid == "cone":
        return base._replace(
            radius=scale(FULL_RANGE, depth_height), half_height=scale(HEIGHT_RANGE, 0.5 * width)
        )
    if row.solid == "prism":
        across = CONVEX_RANGE if row.taper == "convex" else FULL_RANGE
        second = {"cone": CONE_SCALE, "concave": CONCAVE_SCALE, "convex": CONVEX_SCALE}
        kind = row.taper if row.taper in TAPERS else "kneed"
        return base._replace(
            taper=TAPERS.index(kind),
            radius=scale(across, depth_height),
            half_height=scale(HEIGHT_RANGE, 0.5 * depth_height),
            second_scale=second.get(row.taper, one),
            pointiness=(0.2, 0.7),
            onion_ratio=ONION_RANGE if row.shell else (0.0, 0.0),
        )
    if row.category == "revolution":
        return base._replace(
            radius=scale(FULL_RANGE, smallest),
            offset=(0.0, 0.5),
            offset_of_radius=True,
            pointiness=(0.1, 0.7),
        )
    return base._replace(
        radius=(0.3, 0.7) if row.profile == "circle" else (0.4, 0.8),
        radius_of_offset=True,
        offset=scale(FULL_RANGE, depth_height if row.profile == "circle" else depth_width),
        pointiness=(0.1, 0.7),
        polygon_floor=POLYGON_TORUS_MIN_RADIUS * depth_width if row.profile == "polygon" else 0.0,
    )


def _times(entry: tuple[str, float, float], factor: float) -> tuple[float, float]:
    return entry[1] * factor, entry[2] * factor


def draw_shape(key: Array, row: Array, table: Ranges) -> Shape:
    """One primitive of the catalog's row number ``row``."""
    table = Ranges(*(jnp.asarray(_float32(column))[row] for column in table))
    width = table.custom.shape[0]
    # All numbers at once: each call of a generator is a large program of its own.
    shares = iter(jax.random.uniform(key, (8 + 2 * MAX_SIDES + width,)))

    def draw(bounds: Array) -> Array:
        return _between(next(shares), bounds[0], bounds[1])

    radius, offset, half_height = draw(table.radius), draw(table.offset), draw(table.half_height)
    radius, offset = (
        jnp.where(table.radius_of_offset, radius * offset, radius),
        jnp.where(table.offset_of_radius, offset * radius, offset),
    )
    neck = 2.0 * half_height * draw(jnp.asarray(NECK_RANGE, jnp.float32))
    other = draw(table.radius)
    other = jnp.where(table.polygon_floor > 0.0, table.polygon_floor, other)
    low, high = jnp.minimum(radius, other), jnp.maximum(radius, other)
    second_scale, pointiness = draw(table.second_scale), draw(table.pointiness)
    onion_ratio = draw(table.onion_ratio)
    angles, radii = (
        jnp.stack(list(itertools.islice(shares, MAX_SIDES))) for _ in ("angles", "radii")
    )
    return Shape(
        program=table.program,
        radius=radius,
        offset=offset,
        half_height=half_height,
        taper=table.taper,
        second_scale=second_scale,
        neck=neck,
        points=table.sides.astype(jnp.float32),
        pointiness=pointiness,
        vertices=_sector_polygon(angles, radii, table.sides, low, high),
        onion_ratio=onion_ratio,
        custom=_between(jnp.stack(list(shares)), table.custom[:, 0], table.custom[:, 1]),
    )


def _sector_polygon(angles: Array, radii: Array, sides: Array, low: Array, high: Array) -> Array:
    """(MAX_SIDES, 2): vertex i of n at a random angle of its sector and a random radius."""
    index = jnp.arange(MAX_SIDES)
    index = jnp.where(index < sides, index, 0)
    radius = _between(radii[index], low, high)
    turn = (index.astype(jnp.float32) + angles[index]) / sides.astype(jnp.float32)
    angle = 2.0 * jnp.pi * turn
    return jnp.stack([radius * jnp.cos(angle), radius * jnp.sin(angle)], axis=-1)


def draw_rotation(key: Array) -> Array:
    """(3, 3): Rz(c) Ry(b) Rx(a), each angle uniform in (-pi, pi)."""
    return _rotation(jax.random.uniform(key, (3,), minval=-jnp.pi, maxval=jnp.pi))


def _rotation(angles: Array) -> Array:
    (sa, sb, sc), (ca, cb, cc) = jnp.sin(angles), jnp.cos(angles)
    return jnp.stack(
        [
            jnp.stack([cc * cb, cc * sb * sa - sc * ca, cc * sb * ca + sc * sa]),
            jnp.stack([sc * cb, sc * sb * sa + cc * ca, sc * sb * ca - cc * sa]),
            jnp.stack([-sb, cb * sa, cb * ca]),
        ]
    )


def draw_placement(key: Array, grid: Grid, *, transform: bool, centred: bool) -> Array:
    """(3, 4): local from world, the inverse of translation · rotation · shear.

    Args:
      key: random.
      grid: its extent scales the translation.
      transform: whether to rotate and shear.
      centred: no translation.
    """
    moves, angles, shears = jax.random.uniform(key, (3, 3), minval=-1.0, maxval=1.0)
    shift = TRANSLATION * moves * jnp.asarray(grid.shape[::-1], jnp.float32)
    shift = jnp.zeros_like(shift) if centred else shift
    if not transform:
        return jnp.concatenate([jnp.eye(3), -shift[:, None]], axis=1)
    linear = times(_inverse_shear(*(SHEAR * shears)), _rotation(jnp.pi * angles).T)
    return jnp.concatenate([linear, -times(linear, shift[:, None])], axis=1)


def times(a: Array, b: Array) -> Array:
    """Matrix product in full float32 on every platform."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def _inverse_shear(a: Array, b: Array, c: Array) -> Array:
    """Inverse of [[1, a, b], [a, 1, c], [b, c, 1]], by cofactors."""
    one = jnp.ones_like(a)
    rows = [
        [one - c * c, b * c - a, a * c - b],
        [b * c - a, one - b * b, a * b - c],
        [a * c - b, a * b - c, one - a * a],
    ]
    determinant = one + 2.0 * a * b * c - a * a - b * b - c * c
    return jnp.stack([jnp.stack(row) for row in rows]) / determinant


def _between(share: Array, low: Array, high: Array) -> Array:
    return low + share * (high - low)


def _float32(column: np.ndarray) -> np.ndarray:
    kinds = {"f": np.float32, "i": np.int32}
    return column.astype(kinds.get(column.dtype.kind, column.dtype))
