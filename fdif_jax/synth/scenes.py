"""From a random key to the objects of one volume."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fdif_jax.grid import Grid
from fdif_jax.synth import measure, sampling
from fdif_jax.synth.blocks import Blocks
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.labels import ClassTable
from fdif_jax.synth.params import MAX_PARTS, Leaf, Scene

UNION_WIDTH = (0.01, 0.15)
"""Of a smooth union's crease, as a share of the grid's smallest size."""
UNION_SHIFT = (0.07, 0.49)
"""Of the second solid, as a share of the two solids' depths: 0.7 times 0.1 to 0.7."""


@dataclasses.dataclass(frozen=True, slots=True)
class SceneRules:
    """What a scene draws besides its objects.

    Args:
      min_objects: fewest.
      max_objects: most.
      transform: whether objects are rotated and sheared.
      centred: whether objects stay at the origin.
      slots: of the scene, at least ``max_objects``, which it is if omitted; the rest stay empty.
    """

    min_objects: int
    max_objects: int
    transform: bool = True
    centred: bool = False
    slots: int | None = None


class Choices(NamedTuple):
    """A class table as indices into its catalog."""

    parts: Leaf
    """(choices, MAX_PARTS): the catalog's rows; may be traced."""
    part_count: np.ndarray
    displacement: np.ndarray
    mapper: np.ndarray
    ids: np.ndarray
    """(choices, tasks)."""
    any_displacement: np.ndarray
    """(n,): what an object's displacement is drawn from; empty if its choice decides."""
    any_mapper: np.ndarray


def choices_of(classes: ClassTable, catalog: Catalog) -> Choices:
    """The indices behind the names of ``classes``."""
    rows, mappers, displacements = (
        {name: i for i, name in enumerate(table)}
        for table in (catalog.primitives, catalog.mappers, catalog.displacements)
    )
    mapper_pool = np.asarray([mappers[name] for name in classes.mappers], np.int32)
    displacement_pool = np.asarray([displacements[n] for n in classes.displacements], np.int32)
    parts = [[rows[name] for name in shape.parts] for shape in classes.shapes]
    padded = np.asarray([(row * MAX_PARTS)[:MAX_PARTS] for row in parts], np.int32)
    shape = np.asarray([choice.shape for choice in classes.choices])
    nothing = np.zeros(0, np.int32)
    return Choices(
        parts=padded[shape],
        part_count=np.asarray([len(row) for row in parts], np.int32)[shape],
        displacement=displacement_pool[[choice.displacement for choice in classes.choices]],
        mapper=mapper_pool[[choice.mapper for choice in classes.choices]],
        ids=np.asarray(classes.task_ids, np.int32),
        any_displacement=displacement_pool if classes.any_displacement else nothing,
        any_mapper=mapper_pool if classes.any_mapper else nothing,
    )


def sample_scene(
    key: Array,
    catalog: Catalog,
    grid: Grid,
    choices: Choices,
    rules: SceneRules,
    chosen: Array | None = None,
) -> tuple[Scene, Array]:
    """The objects of one volume, and the choice that each was drawn as.

    Args:
      key: of this volume alone.
      catalog: static.
      grid: static.
      choices: static; what an object's class is drawn from.
      rules: static.
      chosen: (max_objects,) the choice of each object; drawn uniformly, with replacement, if
        omitted.
    """
    count_key, choice_key, object_key = jax.random.split(key, 3)
    count = jax.random.randint(count_key, (), rules.min_objects, rules.max_objects + 1)
    numbers = jnp.arange(rules.max_objects)
    if chosen is None:
        chosen = jax.random.randint(choice_key, numbers.shape, 0, len(choices.part_count))
    keys = jax.vmap(lambda i: jax.random.fold_in(object_key, i))(numbers)
    table = sampling.ranges(catalog, grid)

    def draw(key: Array, choice: Array, number: Array) -> Scene:
        return _draw_object(key, choice, number < count, table, grid, choices, rules)

    scene = jax.vmap(draw)(keys, chosen, numbers)
    if np.any(choices.part_count > 1):
        scene = _place_unions(keys, scene, catalog, grid, rules)
    return _with_slots(scene, rules.slots or rules.max_objects), chosen


def _with_slots(scene: Scene, slots: int) -> Scene:
    """Adds empty slots; the numbers of the others do not depend on how many there are."""
    more = slots - scene.parts.shape[0]
    padded = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf[:1].repeat(more, 0)]), scene)
    return padded._replace(parts=jnp.pad(scene.parts, (0, more)))


def _draw_object(
    key: Array,
    choice: Array,
    present: Array,
    table: sampling.Ranges,
    grid: Grid,
    choices: Choices,
    rules: SceneRules,
) -> Scene:
    pick_key, place_key, *shape_keys = jax.random.split(key, 2 + MAX_PARTS)
    shares = jax.random.uniform(pick_key, (2,))

    def pick(share: Array, pool: np.ndarray, of_choice: np.ndarray) -> Array:
        if len(pool) == 0:
            return jnp.asarray(of_choice)[choice]
        index = jnp.floor(share * np.float32(len(pool))).astype(jnp.int32)
        return jnp.asarray(pool)[jnp.minimum(index, len(pool) - 1)]

    rows = jnp.asarray(choices.parts)[choice]
    shape = jax.vmap(lambda key, row: sampling.draw_shape(key, row, table))(
        jnp.stack(shape_keys), rows
    )
    place = sampling.draw_placement(
        place_key, grid, transform=rules.transform, centred=rules.centred
    )
    return Scene(
        shape=shape,
        local_from_world=place,
        second_from_first=jnp.eye(3, 4),
        parts=jnp.where(present, jnp.asarray(choices.part_count)[choice], 0),
        k=jnp.float32(1.0),
        displacement=pick(shares[0], choices.any_displacement, choices.displacement),
        mapper=pick(shares[1], choices.any_mapper, choices.mapper),
        label=jnp.asarray(choices.ids)[choice],
    )


def _place_unions(
    keys: Array, scene: Scene, catalog: Catalog, grid: Grid, rules: SceneRules
) -> Scene:
    """Turns both solids of each union, and shifts the second along a random axis.

    A loop over objects, since each needs the depth of two solids over the centred grid.
    """
    blocks = Blocks(grid)

    def place(thing_and_key: tuple[Scene, Array]) -> Scene:
        thing, key = thing_and_key
        return lax.cond(thing.parts > 1, _place_union, lambda thing, _: thing, thing, key)

    def _place_union(thing: Scene, key: Array) -> Scene:
        keys = jax.random.split(jax.random.fold_in(key, 1), 5)
        turns = jnp.stack([sampling.draw_rotation(keys[i]) for i in range(MAX_PARTS)])
        if not rules.transform:
            turns = jnp.broadcast_to(jnp.eye(3), turns.shape)
        # A rotation's inverse is its transpose; the solids' own frames follow the turn.
        back = jnp.swapaxes(turns, 1, 2)
        still = jnp.zeros((MAX_PARTS, 3, 1))
        centred = jnp.concatenate([back, still], axis=2)
        depths = lax.map(
            lambda part: measure.distance_minimum(catalog, blocks, *part), (thing.shape, centred)
        )
        low, high = (bound * min(grid.shape) for bound in UNION_WIDTH)
        axis = jax.random.randint(keys[3], (), 0, 3)
        share = jax.random.uniform(keys[4], minval=UNION_SHIFT[0], maxval=UNION_SHIFT[1])
        shift = jnp.where(jnp.arange(3) == axis, share * jnp.sum(jnp.abs(depths)), 0.0)
        # Records know one frame for a union, that of its first solid: turn the union into it.
        return thing._replace(
            local_from_world=sampling.times(back[0], thing.local_from_world),
            second_from_first=jnp.concatenate(
                [sampling.times(back[1], turns[0]), -sampling.times(back[1], shift[:, None])],
                axis=1,
            ),
            k=jax.random.uniform(keys[2], minval=low, maxval=high),
        )

    return lax.map(place, (scene, keys))
