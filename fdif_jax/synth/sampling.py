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
from fdif_jax.synth.params import MAX_SIDES, TAPERS, Leaf, Shape
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
PRISM_POINTINESS = (0.2, 0.7)
TORUS_POINTINESS = (0.1, 0.7)
REVOLUTION_OFFSET = (0.0, 0.5)
"""Of a revolution's profile, as a share of its radius."""
CIRCLE_OF_TORUS = (0.3, 0.7)
"""Radius of the profile, as a share of the torus' radius."""
OUTLINE_OF_TORUS = (0.4, 0.8)
POLYGON_TORUS_MIN_RADIUS = 0.03
ONE = (1.0, 1.0)

Bounds = tuple[float, float]


class Ranges(NamedTuple):
    """What to draw for each row of a catalog on one grid; bounds are (rows, 2), voxels."""

    program: Leaf
    sides: Leaf = 5
    taper: Leaf = 0
    radius: Leaf = ONE
    radius_of_offset: Leaf = False
    """Whether ``radius`` is a share of the drawn offset."""
    offset: Leaf = ONE
    offset_of_radius: Leaf = False
    """Whether ``offset`` is a share of the drawn radius."""
    half_height: Leaf = ONE
    second_scale: Leaf = ONE
    pointiness: Leaf = (0.5, 0.5)
    onion_ratio: Leaf = (0.0, 0.0)
    polygon_floor: Leaf = 0.0
    """The fixed smaller radius of a polygon torus' vertices; 0 where both are drawn."""
    custom: Leaf = ()
    """(rows, custom_width, 2)."""


def ranges(catalog: Catalog, grid: Grid) -> Ranges:
    """The ranges of every row of ``catalog``; sizes follow the grid's (D, H, W)."""
    programs = {name: i for i, name in enumerate(catalog.programs)}
    rows = []
    for row in catalog.primitive_rows:
        blank = Ranges(programs[row.program])
        if isinstance(row, CustomPrimitive):
            drawn = _custom(row, blank, grid)
        else:
            drawn = _built_in(row, blank, grid)
        missing = catalog.custom_width - len(drawn.custom)
        rows.append(drawn._replace(custom=(*drawn.custom, *[(0.0, 0.0)] * missing)))
    return Ranges(*(np.asarray(column) for column in zip(*rows, strict=True)))


def _custom(row: CustomPrimitive, blank: Ranges, grid: Grid) -> Ranges:
    smallest = min(grid.shape)
    bounds = [_scaled((low, high), smallest) for _, low, high in row.ranges]
    return blank._replace(custom=(*bounds, *((low, high) for _, low, high in row.ratios)))


def _built_in(row: Primitive, blank: Ranges, grid: Grid) -> Ranges:
    depth, height, width = grid.shape
    smallest, depth_height = min(grid.shape), min(depth, height)
    if row.solid in ("sphere", "octahedron"):
        return blank._replace(radius=_scaled(FULL_RANGE, smallest))
    if row.solid == "cone":
        return blank._replace(
            radius=_scaled(FULL_RANGE, depth_height),
            half_height=_scaled(HEIGHT_RANGE, 0.5 * width),
        )
    blank = blank._replace(sides=row.sides or blank.sides)
    if row.solid == "prism":
        return _prism(row, blank, depth_height)
    if row.category == "revolution":
        return blank._replace(
            radius=_scaled(FULL_RANGE, smallest),
            offset=REVOLUTION_OFFSET,
            offset_of_radius=True,
            pointiness=TORUS_POINTINESS,
        )
    return _torus(row, blank, depth_height if row.profile == "circle" else min(depth, width))


def _prism(row: Primitive, blank: Ranges, size: int) -> Ranges:
    second = {"cone": CONE_SCALE, "concave": CONCAVE_SCALE, "convex": CONVEX_SCALE}
    return blank._replace(
        taper=TAPERS.index(row.taper if row.taper in TAPERS else "kneed"),
        radius=_scaled(CONVEX_RANGE if row.taper == "convex" else FULL_RANGE, size),
        half_height=_scaled(HEIGHT_RANGE, 0.5 * size),
        second_scale=second.get(row.taper, ONE),
        pointiness=PRISM_POINTINESS,
        onion_ratio=ONION_RANGE if row.shell else blank.onion_ratio,
    )


def _torus(row: Primitive, blank: Ranges, size: int) -> Ranges:
    return blank._replace(
        radius=CIRCLE_OF_TORUS if row.profile == "circle" else OUTLINE_OF_TORUS,
        radius_of_offset=True,
        offset=_scaled(FULL_RANGE, size),
        pointiness=TORUS_POINTINESS,
        polygon_floor=POLYGON_TORUS_MIN_RADIUS * size if row.profile == "polygon" else 0.0,
    )


def _scaled(bounds: Bounds, size: float) -> Bounds:
    return bounds[0] * size, bounds[1] * size


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
