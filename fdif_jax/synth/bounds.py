"""How near a block of voxels can come to a solid, judged from one point inside the block.

All bounds are safe: a block is skipped only where the object cannot paint. They rest on two
facts. Profiles and the other built-in solids change by at most one voxel per voxel. And a
prism's cross-section, scaled by ``s``, changes by at most the profile's radius per unit of
``s``, so the range of ``s`` over the block's height bounds what a taper does to it.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from fdif_jax.sdf import solids
from fdif_jax.sdf.profiles import length
from fdif_jax.synth import shapes
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.params import Shape

_CORNERS = ((1.0, 1.0, 1.0), (1.0, 1.0, -1.0), (1.0, -1.0, 1.0), (1.0, -1.0, -1.0))
_ROUNDING = 1e-3, 1e-5
"""Absolute (voxels) and relative slack for float32."""


class Extent(NamedTuple):
    """How far a block reaches from its point, in a solid's own frame, voxels."""

    radius: Array
    across: Array
    """Perpendicular to z."""
    along: Array
    """Parallel to z."""


class Interval(NamedTuple):
    """A value at the block's point, and bounds over the block."""

    value: Array
    low: Array
    high: Array


def extent(matrix: Array, half: tuple[float, float, float]) -> Extent:
    """Reach of a box of half sizes ``half`` (x, y, z) under the linear part of ``matrix``."""
    corners = jnp.asarray(_CORNERS, jnp.float32) * jnp.asarray(half, jnp.float32)
    x, y, z = (jnp.sum(corners * matrix[i, :3], axis=1) for i in range(3))
    return Extent(
        jnp.max(jnp.sqrt(x * x + y * y + z * z)), jnp.max(length(x, y)), jnp.max(jnp.abs(z))
    )


def across_interval(
    name: str, shape: Shape, local: tuple[Array, Array, Array], reach: Extent
) -> Interval:
    """Bounds of a prism's ``shapes.across`` over each point's block."""
    x, y, z = local
    taper = shapes.taper(shape)
    here = taper.scale(z)
    ends = taper.scale(z - reach.along), taper.scale(z + reach.along)
    # The scale is two straight lines, so its extremes lie at the ends or at the neck.
    kneed = jnp.abs(z - taper.neck) <= reach.along
    knee = jnp.where(kneed, jnp.maximum(taper.second, solids.SMALLEST_SCALE), here)
    change = _largest(*(jnp.abs(end - here) for end in (*ends, knee)))
    value = shapes.across(name, shape, x, y, z)
    slack = reach.across + _profile_radius(name, shape) * change
    slack = slack + _ROUNDING[0] + _ROUNDING[1] * (jnp.abs(value) + slack)
    return Interval(value, value - slack, value + slack)


def _largest(first: Array, *rest: Array) -> Array:
    for value in rest:
        first = jnp.maximum(first, value)
    return first


def lowest_distance(
    catalog: Catalog,
    shape: Shape,
    thickness: Array,
    local: tuple[Array, Array, Array],
    reach: Extent,
) -> Array:
    """A lower bound of ``shapes.distance`` over the block about each point.

    Args:
      catalog: static.
      shape: one solid.
      thickness: of its shell.
      local: coordinates in the solid's frame, one point in each block, (blocks,).
      reach: of the blocks.
    """

    def lipschitz(program: shapes.Program, constant: float | None) -> shapes.Program:
        def branch(shape: Shape, thickness: Array, x: Array, y: Array, z: Array) -> Array:
            d = program(shape, thickness, x, y, z)
            if constant is None:
                return jnp.full_like(d, -jnp.inf)
            return d - constant * reach.radius - _ROUNDING[0] - _ROUNDING[1] * jnp.abs(d)

        return branch

    def prism(name: str) -> shapes.Program:
        def branch(shape: Shape, thickness: Array, x: Array, y: Array, z: Array) -> Array:
            column = across_interval(name, shape, (x, y, z), reach)
            nearest = jnp.maximum(jnp.maximum(column.low, -column.high), 0.0) - thickness
            low = jnp.where(shape.onion_ratio > 0.0, nearest, column.low)
            # Lower |z| by the block's height: extrude rises with both of its arguments.
            height = jnp.maximum(jnp.abs(z) - reach.along, 0.0)
            return solids.extrude(low, height, half_height=shape.half_height) - _ROUNDING[0]

        return branch

    constants = {row.name: row.lipschitz for row in catalog.custom}
    branches = [
        prism(name.removesuffix("_prism"))
        if name.endswith("_prism") and name not in constants
        else lipschitz(program, constants.get(name, 1.0))
        for name, program in zip(catalog.programs, shapes.programs(catalog), strict=True)
    ]
    return lax.switch(shape.program, branches, shape, thickness, *local)


def _profile_radius(name: str, shape: Shape) -> Array:
    """The farthest point of a profile's outline from its origin."""
    if name == "polygon":
        return jnp.sqrt(jnp.max(jnp.sum(shape.vertices * shape.vertices, axis=-1)))
    return shape.radius
