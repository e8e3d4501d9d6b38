"""The solids of a sheet as the generator makes them: its sizes, its formulas, on its grid."""

import functools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fdif_jax.grid import Grid
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.params import MAX_PARTS, Scene
from fdif_jax.synth.recipe import seed_key
from fdif_jax.synth.render import distances_dense, map_intensity, to_image
from fdif_jax.synth.renderer import jit
from fdif_jax.synth.replay import records_from_scene
from fdif_jax.synth.scenes import Choices, SceneRules, sample_scene
from fdif_jax.viz.tiles import Tile, scalars

Parts = tuple[str, ...]


class Shown(NamedTuple):
    """A tile with what it shows."""

    tile: Tile
    distance: np.ndarray
    """(D, H, W) float32: signed distance, voxels, displacement included."""
    sizes: Mapping[str, float]
    """The drawn parameters that are one number each; empty for unions."""


class Statistics(NamedTuple):
    """What is said of a solid, in voxels of the volume."""

    inside: int
    share: float
    """Of the volume."""
    extent: tuple[int, int, int]
    """Of the inside along x, y, z; zeros where there is none."""
    cut: bool
    """Whether it reaches the border of the volume."""


def shown(
    tiles: Sequence[Tile], catalog: Catalog, grid: Grid, seed: int, *, transform: bool
) -> Iterator[Shown]:
    """Each tile with its field, one after the other, centred.

    A solid's sizes depend on the seed, its name and the number of its draw, so that it is the
    same on every sheet, whatever else is there.

    Args:
      tiles: what to show.
      catalog: of their names.
      grid: of the volume.
      seed: of the sizes.
      transform: rotate and shear as the generator does.
    """
    rows, displacements = list(catalog.primitives), list(catalog.displacements)
    field = _field(catalog, grid)
    for tile in tiles:
        count = len(tile.parts)
        parts = jnp.asarray([*map(rows.index, tile.parts * MAX_PARTS)][:MAX_PARTS], jnp.int32)
        scene = _draw(count, catalog, grid, transform)(_key(tile, seed), parts)
        index = jnp.full((1,), displacements.index(tile.displacement), jnp.int32)
        distance = np.asarray(field(scene._replace(displacement=index)))
        yield Shown(tile, distance, _sizes(scene, tile, catalog))


def _key(tile: Tile, seed: int) -> Array:
    key = jax.random.fold_in(seed_key(seed), zlib.crc32("+".join(tile.parts).encode()))
    return jax.random.fold_in(key, tile.draw)


@functools.lru_cache(maxsize=8)
def _field(catalog: Catalog, grid: Grid) -> Callable[[Scene], Array]:
    """The program from the scene of one object to its field."""
    return jit(lambda scene: distances_dense(catalog, grid, scene)[0])


@functools.lru_cache(maxsize=8)
def _draw(
    count: int, catalog: Catalog, grid: Grid, transform: bool
) -> Callable[[Array, Array], Scene]:
    """The program from a key and ``count`` rows of the catalog to the scene of one solid."""
    rules = SceneRules(1, 1, transform=transform, centred=True)
    one, none = np.zeros(1, np.int32), np.zeros(0, np.int32)

    def draw(key: Array, parts: Array) -> Scene:
        # The rows are traced, so that one program serves all primitives, and one all unions.
        choices = Choices(parts[None], one + count, one, one, one[:, None], none, none)
        return sample_scene(key, catalog, grid, choices, rules, jnp.zeros(1, jnp.int32))[0]

    return jit(draw, light=True)


def _sizes(scene: Scene, tile: Tile, catalog: Catalog) -> dict[str, float]:
    params = records_from_scene(scene, [tile.parts], catalog, task_list=False)[0].get("params", {})
    return {name: params[name] for name in scalars(catalog, tile.parts)}


def statistics(distance: np.ndarray) -> Statistics:
    """What is inside, i.e. where the distance is 0 or less."""
    inside = distance <= 0
    spans = [np.flatnonzero(inside.any(tuple({0, 1, 2} - {axis}))) for axis in (2, 1, 0)]
    x, y, z = (int(span[-1] - span[0] + 1) if len(span) else 0 for span in spans)
    middle = inside[1:-1, 1:-1, 1:-1]
    count = int(inside.sum())
    return Statistics(count, count / inside.size, (x, y, z), count > int(middle.sum()))


def mapped(catalog: Catalog, mappers: Sequence[str]) -> Callable[[np.ndarray], np.ndarray]:
    """A function from distances (…) to (mappers, …) uint8: what a volume's voxels show."""
    program = jit(lambda index, d: to_image(map_intensity(catalog, index, d)), light=True)
    numbers = [jnp.int32(list(catalog.mappers).index(name)) for name in mappers]
    return lambda distance: np.stack([program(number, distance) for number in numbers])
