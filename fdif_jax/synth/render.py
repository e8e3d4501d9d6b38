"""From a scene to an image and its label: the plain way, every object on every voxel.

This is the definition. ``blocks`` computes the same where skipping pays; tests compare the two.
Both loop over objects with ``lax.scan``, so that one branch runs per object.
"""

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
        d = object_distance(catalog, grid, thing, shell_thickness(catalog, thing, points), points)
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
        return None, object_distance(catalog, grid, thing, thickness, points)

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


def join_parts(thing: Scene, distance_of, like: Array) -> Array:
    """The distance to an object from the distances to its one or two solids.

    Args:
      thing: one object.
      distance_of: part index to distance.
      like: an array of the result's shape and type.
    """

    def step(index: Array, joined: Array) -> Array:
        d = distance_of(index)
        return jnp.where(index == 0, d, ops.smooth_union(joined, d, k=thing.k))

    return lax.fori_loop(0, thing.parts, step, jnp.zeros_like(like))


def solid_distance(catalog: Catalog, thing: Scene, thickness: Array, points: Points) -> Array:
    """Distance to an object without its displacement."""
    matrices = part_matrices(thing)

    def distance_of(index: Array) -> Array:
        shape = part(thing, index)
        return shapes.distance(catalog, shape, thickness[index], matrices[index], points)

    return join_parts(thing, distance_of, points.x + points.y + points.z)


def displacement(catalog: Catalog, grid: Grid, index: Array, points: Points) -> Array:
    """The displacement field number ``index``, in voxels."""
    depth, height, width = grid.largest
    rows = points.x / width, points.y / height, points.z / depth
    full = jnp.broadcast_shapes(*(row.shape for row in rows))

    def branch(entry):
        scale = entry.amplitude * width
        return lambda x, y, z: jnp.broadcast_to(scale * entry.field(x, y, z), full)

    return lax.switch(index, [branch(entry) for entry in catalog.displacement_rows], *rows)


def object_distance(
    catalog: Catalog, grid: Grid, thing: Scene, thickness: Array, points: Points
) -> Array:
    """Signed distance of ``points`` to one object, displacement included, voxels."""
    d = solid_distance(catalog, thing, thickness, points)
    return d + displacement(catalog, grid, thing.displacement, points)


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
