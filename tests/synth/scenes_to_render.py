"""Scenes and programs that several tests share, so that each program is compiled once."""

import functools

import jax
import numpy as np
from draw_checks import quick_jit

from fdif_jax.grid import Grid
from fdif_jax.synth import render, sampling
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.params import Scene
from fdif_jax.synth.renderer import jit, make_renderer
from fdif_jax.synth.replay import scene_from_records

CATALOG = Catalog.default()
SLOTS = 20
UPRIGHT = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
CUBE, ODD = (32, 32, 32), (20, 33, 47)
"""The second is cut by blocks that overhang on every axis."""


@functools.cache
def renderer(size, path, catalog=CATALOG, dtype="uint8"):
    """From a scene to numpy (intensity, label), as the product compiles it."""
    program = jit(make_renderer(catalog, Grid.voxels(size), np.dtype(dtype), path=path))
    return lambda scene: jax.tree.map(np.asarray, program(scene))


@functools.cache
def distances(size, catalog=CATALOG):
    """From a scene of one object to its field."""
    grid = Grid.voxels(size)
    program = jax.jit(lambda scene: render.distances_dense(catalog, grid, scene)[0])
    return lambda scene: np.asarray(program(scene))


@functools.cache
def _drawer(size):
    grid = Grid.voxels(size)
    table = sampling.ranges(CATALOG, grid)

    def draw(key, row):
        keys = jax.random.split(key, 3)
        place = sampling.draw_placement(keys[1], grid, transform=True, centred=False)
        return sampling.draw_shape(keys[0], row, table), place

    return quick_jit(jax.vmap(draw))


def drawn_scene(size, seed, *, rows, second_rows=None, displacement=0, mapper=0) -> Scene:
    """One object for each of ``rows``; with ``second_rows``, each joined to another."""
    count, rng = len(rows), np.random.default_rng(seed)
    keys = jax.random.split(jax.random.key(seed), 2 * count)
    rest = rows if second_rows is None else second_rows
    shapes, places = jax.tree.map(
        np.asarray, _drawer(size)(keys, np.asarray([*rows, *rest], np.int32))
    )
    second = places[count:].copy()
    second[:, :, 3] = rng.uniform(-8, 8, (count, 3))
    return Scene(
        shape=jax.tree.map(lambda f: np.stack([f[:count], f[count:]], axis=1), shapes),
        local_from_world=places[:count],
        second_from_first=second,
        parts=np.full(count, 1 if second_rows is None else 2, np.int32),
        k=rng.uniform(0.5, 4, count).astype(np.float32),
        displacement=np.broadcast_to(np.asarray(displacement, np.int32), count),
        mapper=np.broadcast_to(np.asarray(mapper, np.int32), count),
        label=np.arange(1, count + 1, dtype=np.int32)[:, None],
    )


def object_of(scene: Scene, i: int) -> Scene:
    return jax.tree.map(lambda field: field[i : i + 1], scene)


def sphere(radius, at=(0, 0, 0), label=1, mapper="modular_5", **more):
    x, y, z = at
    return {
        "primitive": "sphere",
        "params": {"radius": radius},
        "local_from_world": [[1, 0, 0, -x], [0, 1, 0, -y], [0, 0, 1, -z]],
        "displacement": None,
        "mapper": mapper,
        "class_id": label,
        **more,
    }


def scene_of(*records, catalog=CATALOG, slots=SLOTS) -> Scene:
    return scene_from_records(records, catalog, slots=slots)
