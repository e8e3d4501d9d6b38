"""From a scene to an image and its label, skipping what an object cannot reach.

The volume is kept block by block, each contiguous, until the end. Per object: measure (the
depth of a shell), list the blocks the object may paint, paint them in groups, count what is
inside, then settle ownership from the masks of the same groups. On a CPU this beats the dense
path several times; the results agree but for the rounding of float32.
"""

import math

import jax.numpy as jnp
from jax import Array, lax

from fdif_jax.synth import bounds, measure
from fdif_jax.synth.blocks import Blocks
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.params import MAX_PARTS, Scene
from fdif_jax.synth.render import (
    Rendered,
    displacement,
    join_parts,
    map_intensity,
    part,
    part_matrices,
    solid_distance,
)


def displacement_minima(catalog: Catalog, blocks: Blocks) -> Array:
    """(displacements, total): the lowest value of each field over each block.

    Fields do not depend on the object, so this is done once for a grid, not once a volume.
    """

    def of_block(index: Array, block: Array) -> Array:
        field = displacement(catalog, blocks.grid, index, blocks.points(block[None]))
        return jnp.min(field) - 1e-3

    def of_field(index: Array) -> Array:
        return lax.map(lambda block: of_block(index, block), jnp.arange(blocks.total))

    return lax.map(of_field, jnp.arange(len(catalog.displacement_rows)))


def render_blocks(
    catalog: Catalog, blocks: Blocks, minima: Array, scene: Scene, label_dtype: jnp.dtype
) -> Rendered:
    """Renders a scene block by block; the result of ``render_dense``, but for rounding.

    Args:
      catalog: static.
      blocks: static.
      minima: ``displacement_minima`` of the two.
      scene: N slots, T tasks.
      label_dtype: holds the largest class id.
    """
    shape = blocks.total + 1, *blocks.edge
    groups = math.ceil(blocks.total / blocks.group)
    tasks = scene.label.shape[-1]
    empty = (
        jnp.zeros(shape, jnp.float32),
        jnp.zeros((tasks, *shape), label_dtype),
        jnp.full(shape, jnp.iinfo(jnp.int32).max),
        jnp.zeros((groups, blocks.group, *blocks.edge), jnp.bool),
    )

    def paint(carry, thing):
        intensity, label, owner, masks = carry
        thickness = _thickness(catalog, blocks, thing)
        order, count = _reached(catalog, blocks, minima, thing, thickness)
        steps = (count + blocks.group - 1) // blocks.group

        def evaluate(step, state):
            intensity, masks, inside_count = state
            block = lax.dynamic_slice(order, (step * blocks.group,), (blocks.group,))
            points = blocks.points(block)
            d = solid_distance(catalog, thing, thickness, points)
            d = d + displacement(catalog, blocks.grid, thing.displacement, points)
            values = map_intensity(catalog, thing.mapper, d)
            inside = (d <= 0.0) & _counted(blocks, block)
            intensity = intensity.at[block].add(values)
            masks = lax.dynamic_update_slice(masks, inside[None], (step, 0, 0, 0, 0))
            return intensity, masks, inside_count + jnp.sum(inside, dtype=jnp.int32)

        state = intensity, masks, jnp.int32(0)
        intensity, masks, inside_count = lax.fori_loop(0, steps, evaluate, state)
        ids = thing.label.astype(label_dtype)

        def settle(step, state):
            label, owner = state
            block = lax.dynamic_slice(order, (step * blocks.group,), (blocks.group,))
            before = owner[block]
            wins = masks[step] & (inside_count <= before)
            owner = owner.at[block].set(jnp.where(wins, inside_count, before))
            chosen = jnp.where(wins, ids[:, None, None, None, None], label[:, block])
            return label.at[:, block].set(chosen), owner

        label, owner = lax.fori_loop(0, steps, settle, (label, owner))
        return (intensity, label, owner, masks), None

    (intensity, label, _, _), _ = lax.scan(paint, empty, scene)
    return Rendered(
        blocks.assemble(intensity), jnp.stack([blocks.assemble(task) for task in label])
    )


def _thickness(catalog: Catalog, blocks: Blocks, thing: Scene) -> Array:
    """(MAX_PARTS,): the thickness of each solid's shell."""
    matrices = part_matrices(thing)

    def of(index: Array) -> Array:
        shape = part(thing, index)
        shape = shape._replace(onion_ratio=shape.onion_ratio * (index < thing.parts))
        return measure.shell_thickness(catalog, blocks, shape, matrices[index])

    return lax.map(of, jnp.arange(MAX_PARTS))


def _reached(catalog: Catalog, blocks: Blocks, minima: Array, thing: Scene, thickness: Array):
    """The numbers of the blocks an object may paint, then ``total``; and how many they are."""
    matrices = part_matrices(thing)
    middles = blocks.middles()

    def lowest(index: Array) -> Array:
        shape = part(thing, index)
        return bounds.lowest_distance(
            catalog, shape, thickness[index], matrices[index], middles, blocks.half
        )

    low = join_parts(thing, lowest, middles.x) + minima[thing.displacement]
    reach = jnp.asarray([mapper.reach for mapper in catalog.mapper_rows], jnp.float32)
    wanted = (low <= reach[thing.mapper]) & (thing.parts > 0)
    place = jnp.cumsum(wanted, dtype=jnp.int32) - 1
    room = math.ceil(blocks.total / blocks.group) * blocks.group
    order = jnp.full(room, blocks.total, jnp.int32)
    order = order.at[jnp.where(wanted, place, room)].set(
        jnp.arange(blocks.total, dtype=jnp.int32), mode="drop"
    )
    return order, place[-1] + 1


def _counted(blocks: Blocks, block: Array) -> Array:
    """Which voxels count as the object's: not those of the block that is thrown away."""
    if blocks.overhangs:
        return blocks.within(block)
    return (block < blocks.total)[:, None, None, None]
