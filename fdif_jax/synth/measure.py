"""Properties of a solid over the whole volume, without a look at every voxel.

Branch and bound: the blocks with the lowest bounds are searched first, until no other block can
hold a lower value than the lowest one found. The result is the exact minimum over all voxels.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax

from fdif_jax.sdf import ops
from fdif_jax.synth import bounds, shapes
from fdif_jax.synth.blocks import Blocks
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.params import Shape


def shell_thickness(catalog: Catalog, blocks: Blocks, shape: Shape, matrix: Array) -> Array:
    """``onion_ratio`` times the depth of a prism's column; 0 where there is no shell."""

    def depth(name: str) -> Callable[[Shape, Array], Array]:
        return lambda shape, matrix: _column_minimum(name, blocks, shape, matrix)

    first = catalog.programs.index("circle_prism")
    branches = [lambda shape, matrix: jnp.float32(0.0), *map(depth, shapes.PROFILES)]
    chosen = jnp.where(shape.onion_ratio > 0.0, shape.program - first + 1, 0)
    return shape.onion_ratio * jnp.abs(lax.switch(chosen, branches, shape, matrix))


def distance_minimum(catalog: Catalog, blocks: Blocks, shape: Shape, matrix: Array) -> Array:
    """The lowest distance that any voxel has to one solid."""
    thickness = shell_thickness(catalog, blocks, shape, matrix)
    reach, local = bounds.extent(matrix, blocks.half), ops.affine(matrix, *blocks.middles())
    low = bounds.lowest_distance(catalog, shape, thickness, local, reach)

    def values(block: Array) -> Array:
        return shapes.distance(catalog, shape, thickness, blocks.local(matrix, block))

    # The block that may hold the lowest value gives a first one for the others to beat.
    guess = jnp.min(values(jnp.argmin(low)[None]))

    return _lowest(blocks, low, guess, values)


def _column_minimum(name: str, blocks: Blocks, shape: Shape, matrix: Array) -> Array:
    reach, local = bounds.extent(matrix, blocks.half), ops.affine(matrix, *blocks.middles())
    column = bounds.across_interval(name, shape, local, reach)

    def values(block: Array) -> Array:
        return shapes.across(name, shape, *blocks.local(matrix, block).coordinates())

    return _lowest(blocks, column.low, jnp.min(column.value), values)


def _lowest(blocks: Blocks, low: Array, guess: Array, values_of: Callable[[Array], Array]) -> Array:
    """The minimum over all voxels.

    Args:
      blocks: static.
      low: (total,): what no voxel of the block is below.
      guess: the value of some voxel, for the rest to beat.
      values_of: block numbers to the values of their voxels.
    """
    group = min(blocks.search_at_once, blocks.total)

    def unsettled(state: tuple[Array, Array]) -> Array:
        low, best = state
        return jnp.min(low) < best

    def search(state: tuple[Array, Array]) -> tuple[Array, Array]:
        low, best = state
        _, block = lax.top_k(-low, group)
        values = values_of(block)
        if blocks.overhangs:
            values = jnp.where(blocks.within(block).reshape(values.shape), values, jnp.inf)
        return low.at[block].set(jnp.inf), jnp.minimum(best, jnp.min(values))

    return lax.while_loop(unsettled, search, (low, guess))[1]
