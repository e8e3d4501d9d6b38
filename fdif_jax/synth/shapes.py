"""Distance to a drawn shape: one switch over the catalog's programs.

Only the branch that is asked for runs, as long as the program index is not batched: loop over
objects with ``lax.scan``, never with ``vmap``.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from fdif_jax.grid import Points
from fdif_jax.sdf import profiles, solids
from fdif_jax.synth.catalog import PROGRAMS, Catalog, CustomPrimitive
from fdif_jax.synth.params import MAX_SIDES, Shape

Program = Callable[[Shape, Array, Array, Array, Array], Array]
Terms = tuple[Array, Array, Array]

PROFILES = ("circle", "star", "polygon")


class Local(NamedTuple):
    """Coordinates in a solid's frame as a table: a term per row plus a term per column.

    An affine map keeps boxes of samples separable, so a coordinate costs one addition a voxel and
    no memory, and the formulas run along long rows, which compilers vectorise.
    """

    rows: Terms
    """Three of (R, 1)."""
    columns: Terms
    """Three of (1, C)."""

    def coordinates(self) -> Terms:
        """x, y, z, each (R, C)."""
        (a, b, c), (d, e, f) = self
        return a + d, b + e, c + f


def local_points(matrix: Array, points: Points) -> Local:
    """The frame of ``matrix`` at a box of world points given as rows; R is D * H, C is W."""
    x, y, z = points
    planes = [row[1] * y + row[2] * z + row[3] for row in matrix]
    lines = [row[0] * x for row in matrix]
    a, b, c = (plane.reshape(-1, 1) for plane in planes)
    d, e, f = (line.reshape(1, -1) for line in lines)
    return Local((a, b, c), (d, e, f))


def distance(catalog: Catalog, shape: Shape, thickness: Array, local: Local) -> Array:
    """(R, C): signed distance to one solid, voxels of its own frame.

    Args:
      catalog: static.
      shape: scalars.
      thickness: of the shell, from ``measure``; ignored by solids without one.
      local: where.
    """

    def placed(program: Program) -> Callable[[Shape, Array, Local], Array]:
        return lambda shape, thickness, local: program(shape, thickness, *local.coordinates())

    return lax.switch(shape.program, list(map(placed, programs(catalog))), shape, thickness, local)


def programs(catalog: Catalog) -> tuple[Program, ...]:
    """The formulas in the order of ``Shape.program``, on local coordinates."""
    return (*(_BUILT_IN[name] for name in PROGRAMS), *map(_custom, catalog.custom))


def profile(name: str, shape: Shape) -> solids.Profile:
    """The cross-section called ``name`` with the numbers of ``shape``."""
    if name == "circle":
        return lambda u, v: profiles.circle(u, v, radius=shape.radius)
    if name == "star":
        return lambda u, v: profiles.star(
            u, v, points=shape.points, pointiness=shape.pointiness, radius=shape.radius
        )
    return lambda u, v: _polygon(shape, u, v)


EDGE_COUNTS = (3, 6, MAX_SIDES)
"""Polygons are compiled for these numbers of edges; a polygon takes the next larger one."""
MANY_POINTS = 2**12
"""From here on a polygon's time matters more than the time to compile it three times."""


def _polygon(shape: Shape, u: Array, v: Array) -> Array:
    def with_edges(count: int) -> Callable[[Array, Array, Array], Array]:
        return lambda u, v, vertices: profiles.polygon(u, v, vertices=vertices[:count])

    if u.size < MANY_POINTS:
        return with_edges(MAX_SIDES)(u, v, shape.vertices)
    chosen = sum((shape.points > count).astype(jnp.int32) for count in EDGE_COUNTS[:-1])
    return lax.switch(chosen, list(map(with_edges, EDGE_COUNTS)), u, v, shape.vertices)


def taper(shape: Shape) -> solids.Taper:
    """The taper of a prism."""
    kinds = (
        solids.straight(shape.half_height),
        solids.cone_taper(shape.half_height, shape.second_scale),
        solids.kneed_taper(shape.half_height, shape.second_scale, shape.neck),
    )
    return solids.Taper(*(jnp.stack(field)[shape.taper] for field in zip(*kinds, strict=True)))


def across(name: str, shape: Shape, x: Array, y: Array, z: Array) -> Array:
    """Distance to a prism's column within each plane, before a shell is cut from it."""
    return solids.cross_section(profile(name, shape), x, y, z, taper=taper(shape))


def _prism(name: str) -> Program:
    def program(shape: Shape, thickness: Array, x: Array, y: Array, z: Array) -> Array:
        column = across(name, shape, x, y, z)
        column = jnp.where(shape.onion_ratio > 0.0, solids.shell(column, thickness), column)
        return solids.extrude(column, z, half_height=shape.half_height)

    return program


def _revolution(name: str) -> Program:
    def program(shape: Shape, thickness: Array, x: Array, y: Array, z: Array) -> Array:
        return solids.revolution(profile(name, shape), x, y, z, offset=shape.offset)

    return program


def _custom(row: CustomPrimitive) -> Program:
    def program(shape: Shape, thickness: Array, x: Array, y: Array, z: Array) -> Array:
        params = {name: shape.custom[i] for i, name in enumerate(row.params)}
        return jnp.asarray(row.sdf(x, y, z, **params), jnp.float32) + jnp.zeros_like(x + y + z)

    return program


_BUILT_IN: dict[str, Program] = {
    "sphere": lambda s, t, x, y, z: solids.sphere(x, y, z, radius=s.radius),
    "cone": lambda s, t, x, y, z: solids.cone(x, y, z, radius=s.radius, height=2.0 * s.half_height),
    "octahedron": lambda s, t, x, y, z: solids.octahedron(x, y, z, size=s.radius),
    **{f"{name}_prism": _prism(name) for name in PROFILES},
    **{f"{name}_revolution": _revolution(name) for name in PROFILES},
}
