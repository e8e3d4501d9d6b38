"""Random flips, quarter turns and intensity shifts of crops, on the device.

A turn and flips are one reading of the crop in another order: the place that each voxel comes from
is worked out from its coordinates, so that nothing branches, whatever a crop draws.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

FLIP = 0.1
"""Chance, for each axis."""
TURN = 0.1
"""Chance of one to three quarter turns in a plane whose two sides are equal."""
SHIFT = 0.5
"""Chance that all intensities move together,"""
LARGEST_SHIFT = 0.1
"""by at most so much."""


class Draw(NamedTuple):
    """What happens to one crop."""

    flips: Array
    """(3,) booleans, by axis."""
    plane: Array
    """Which of ``planes``; of no account where ``turns`` is 0."""
    turns: Array
    """Quarter turns, 0 to 3, as in ``numpy.rot90``; before the flips."""
    shift: Array
    """Added to all intensities."""


def augment(key: Array, images: Array, labels: Array) -> tuple[Array, Array]:
    """Crops as another draw of them: the same shapes and types.

    Args:
      key: one for each crop, (B,).
      images: (B, D, H, W, C) floating.
      labels: (B, D, H, W) or (B, D, H, W, T); labels of whole crops, (B,) or (B, T), stay.
    """
    draws = jax.vmap(lambda k: draw(k, images.shape[1:4]))(key)
    return jax.vmap(apply)(draws, images, labels)


def draw(key: Array, shape: tuple[int, ...]) -> Draw:
    """What happens to a crop of this shape."""
    keys = jax.random.split(key, 6)
    equal = planes(shape)
    turned = jax.random.bernoulli(keys[1], TURN) if equal else jnp.bool_(False)
    shifted = jax.random.bernoulli(keys[4], SHIFT)
    shift = jax.random.uniform(keys[5], (), jnp.float32, -LARGEST_SHIFT, LARGEST_SHIFT)
    return Draw(
        flips=jax.random.bernoulli(keys[0], FLIP, (3,)),
        plane=jax.random.randint(keys[2], (), 0, max(len(equal), 1)),
        turns=jnp.where(turned, jax.random.randint(keys[3], (), 1, 4), 0),
        shift=jnp.where(shifted, shift, 0.0),
    )


def apply(drawn: Draw, image: Array, label: Array) -> tuple[Array, Array]:
    """One crop, (D, H, W, C), and its label after what was drawn."""
    sources = _sources(drawn, image.shape[:3])
    turned = _read(image, sources) + drawn.shift.astype(image.dtype)
    return turned, label if label.ndim < len(image.shape[:3]) else _read(label, sources)


def planes(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """The pairs of axes with equal sides: a quarter turn there keeps the shape."""
    return [(a, b) for a, b in itertools.combinations(range(3), 2) if shape[a] == shape[b]]


def _sources(drawn: Draw, shape: tuple[int, ...]) -> Array:
    """For each voxel of the result the place in the flattened crop that it is read from."""
    at = [jax.lax.broadcasted_iota(jnp.int32, shape, axis) for axis in range(3)]
    at = [jnp.where(flip, n - 1 - c, c) for flip, n, c in zip(drawn.flips, shape, at, strict=True)]
    before = list(at)
    for number, (a, b) in enumerate(planes(shape)):
        mine = drawn.plane == number
        last = shape[a] - 1
        # rot90 by k: 1 reads (j, last - i), 2 reads (last - i, last - j), 3 reads (last - j, i).
        i, j = before[a], before[b]
        choices = ((i, j), (j, last - i), (last - i, last - j), (last - j, i))
        for axis, options in ((a, [c[0] for c in choices]), (b, [c[1] for c in choices])):
            chosen = options[0]
            for turns in (1, 2, 3):
                chosen = jnp.where(drawn.turns == turns, options[turns], chosen)
            at[axis] = jnp.where(mine, chosen, at[axis])
    return (at[0] * shape[1] + at[1]) * shape[2] + at[2]


def _read(volume: Array, sources: Array) -> Array:
    rows = volume.reshape(-1, *volume.shape[3:])
    return rows.at[sources].get(mode="promise_in_bounds")
