"""From a scene to an image and its label: the plain way, every object on every voxel.

This is the definition. ``blocks`` computes the same where skipping pays; tests compare the two.
Both loop over objects with ``lax.scan``, so that one branch runs per object.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from fdif_jax.grid import Grid, Points
from fdif_jax.sdf import ops
from fdif_jax.synth import shapes
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.mappers import BRIGHTEST
from fdif_jax.synth.params import MAX_PARTS, Scene


class Rendered(NamedTuple):
    """One volume before it becomes bytes."""

    intensity: Array
    """(D, H, W) float32: the sum over objects, not clamped."""
    label: Array
    """(tasks, D, H, W)."""


def to_image(intensity: Array) -> Array:
    """Clamped to 0 … 128 and truncated to uint8."""
    return jnp.clip(intensity, 0.0, BRIGHTEST).astype(jnp.uint8)


def render_dense(catalog: Catalog, grid: Grid, scene: Scene, label_dtype: jnp.dtype) -> Rendered:
    """Renders every object on every voxel. All loops have fixed length: for accelerators.

    Args:
      catalog: static.
      grid: static.
      scene: N slots, T tasks.
      label_dtype: holds the largest class id.
    """
    points = grid.points()
    tasks = scene.label.shape[-1]

    def paint(carry, thing):
        intensity, label, owner = carry
        thickness = shell_thickness(catalog, thing, points)
        d = displaced_distance(catalog, grid, thing, thickness, points)
        present = thing.parts > 0
        inside = (d <= 0.0) & present
        count = jnp.sum(inside, dtype=jnp.int32)
        wins = inside & (count <= owner)
        values = map_intensity(catalog, thing.mapper, d)
        intensity = intensity + jnp.where(present, values, 0.0)
        ids = thing.label.astype(label_dtype)[:, None, None, None]
        return (intensity, jnp.where(wins, ids, label), jnp.where(wins, count, owner)), None

    nobody = jnp.full(grid.shape, jnp.iinfo(jnp.int32).max)
    empty = jnp.zeros(grid.shape, jnp.float32), jnp.zeros((tasks, *grid.shape), label_dtype), nobody
    (intensity, label, _), _ = lax.scan(paint, empty, scene)
    return Rendered(intensity, label)


def distances_dense(catalog: Catalog, grid: Grid, scene: Scene) -> Array:
    """(N, D, H, W): the signed distance of each object, displacement included."""
    points = grid.points()

    def one(_, thing):
        thickness = shell_thickness(catalog, thing, points)
        return None, displaced_distance(catalog, grid, thing, thickness, points)

    return lax.scan(one, None, scene)[1]


def part_matrices(thing: Scene) -> Array:
    """(MAX_PARTS, 3, 4): from the world into the frame of each of an object's solids."""
    first, second = thing.local_from_world, thing.second_from_first
    rows = [
        [sum(second[i, j] * first[j, c] for j in range(3)) + (second[i, 3] if c == 3 else 0.0)
         for c in range(4)]
        for i in range(3)
    ]  # fmt: skip
    return jnp.stack([first, jnp.stack([jnp.stack(row) for row in rows])])


def part(thing: Scene, index: Array | int) -> shapes.Shape:
    """One of an object's solids."""
    return shapes.Shape(*(field[index] for field in thing.shape))


def join_parts(thing: Scene, distance_of: Callable[[int], Array]) -> Array:
    """The distance to an object from the distances to its one or two solids.

    Args:
      thing: one object.
      distance_of: part number to distance; the second is not evaluated where there is none.
    """

    def union(first: Array) -> Array:
        return ops.smooth_union(first, distance_of(1), k=thing.k)

    return lax.cond(thing.parts > 1, union, lambda first: first, distance_of(0))


def object_distance(
    catalog: Catalog, thing: Scene, thickness: Array, local_at: Callable[[Array], shapes.Local]
) -> Array:
    """(R, C): signed distance to one object without its displacement, voxels.

    Args:
      catalog: static.
      thing: one object.
      thickness: of its shells.
      local_at: from the matrix of a solid's frame to coordinates in it.
    """
    matrices = part_matrices(thing)

    def distance_of(index: int) -> Array:
        local = local_at(matrices[index])
        return shapes.distance(catalog, part(thing, index), thickness[index], local)

    return join_parts(thing, distance_of)


def displaced_distance(
    catalog: Catalog, grid: Grid, thing: Scene, thickness: Array, points: Points
) -> Array:
    """Signed distance of the ``points`` of a box to one object, displacement included."""
    d = object_distance(
        catalog, thing, thickness, lambda matrix: shapes.local_points(matrix, points)
    )
    full = jnp.broadcast_shapes(*(axis.shape for axis in points))
    return displace(catalog, grid, thing.displacement, points, d.reshape(full))


def displace(catalog: Catalog, grid: Grid, index: Array, points: Points, d: Array) -> Array:
    """``d`` plus the displacement field number ``index``, in voxels."""
    depth, height, width = grid.largest
    rows = points.x / width, points.y / height, points.z / depth

    def branch(entry):
        scale = entry.amplitude * width
        return lambda d, *rows: d + scale * entry.field(*rows) if scale else d

    return lax.switch(index, [branch(entry) for entry in catalog.displacement_rows], d, *rows)


def map_intensity(catalog: Catalog, index: Array, d: Array) -> Array:
    """The intensity that mapper number ``index`` gives to distances ``d``."""

    def branch(mapper):
        return lambda d: jnp.where(d <= mapper.reach, mapper.intensity(d), 0.0)

    return lax.switch(index, [branch(mapper) for mapper in catalog.mapper_rows], d)


def shell_thickness(catalog: Catalog, thing: Scene, points: Points) -> Array:
    """(MAX_PARTS,): each shell's share of the depth of its column over all ``points``."""
    matrices = part_matrices(thing)
    first = catalog.programs.index("circle_prism")

    def measure(name: str):
        def depth(shape, matrix):
            return jnp.min(shapes.across(name, shape, *ops.affine(matrix, *points)))

        return depth

    def of(index: Array) -> Array:
        shape = part(thing, index)
        hollow = (shape.onion_ratio > 0.0) & (index < thing.parts)
        branches = [lambda shape, matrix: jnp.float32(0.0), *map(measure, shapes.PROFILES)]
        chosen = jnp.where(hollow, shape.program - first + 1, 0)
        depth = lax.switch(chosen, branches, shape, matrices[index])
        return shape.onion_ratio * jnp.abs(depth)

    return lax.map(of, jnp.arange(MAX_PARTS))
