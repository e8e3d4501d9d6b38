"""Volumes without a disk: volume i, and an endless iterator of batches of device arrays."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fdif_jax.config import GenerateConfig
from fdif_jax.errors import InputError
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.recipe import Recipe, check_index
from fdif_jax.synth.recipes import make_recipe


class Batch(NamedTuple):
    """Some volumes; both fields have the leading axis B."""

    image: Array
    """(B, D, H, W) uint8."""
    label: Array
    """(B, D, H, W) unsigned; with several tasks (B, D, H, W, tasks)."""


def generate_volume(
    config: GenerateConfig,
    seed: int,
    index: int,
    *,
    split: str = "training",
    catalog: Catalog | None = None,
) -> tuple[Array, Array]:
    """Image and label of one volume: what its files hold, as device arrays.

    For many volumes of one configuration use ``stream``: this compiles anew for each call that
    it has not seen lately.

    Args:
      config: what to generate.
      seed: of the data set.
      index: of the volume within its split; not limited by ``config.num_samples``.
      split: ``training`` or ``validation``.
      catalog: the default one if omitted.

    Raises:
      InputError: an unknown name or split, a number out of range.
    """
    return make_recipe(config, seed, catalog).volume(split, index)


def stream(
    config: GenerateConfig,
    seed: int,
    *,
    batch_size: int = 1,
    split: str = "training",
    start: int = 0,
    catalog: Catalog | None = None,
) -> Iterator[Batch]:
    """Endless batches of new volumes, rendered ahead while the caller works on the last one.

    Args:
      config: what to generate; its counts are ignored.
      seed: of the data set.
      batch_size: volumes in a batch.
      split: ``training`` or ``validation``.
      start: index of the first volume; batch b holds ``start + b * batch_size`` and the next.
      catalog: the default one if omitted.

    Raises:
      InputError: an unknown name or split, a number out of range.
    """
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; allowed: 1 or more.")
    check_index(start)
    recipe = make_recipe(config, seed, catalog)
    recipe.key(split, start)
    if jax.default_backend() == "cpu":
        return _stream_in_threads(recipe, split, start, batch_size)
    return _stream_as_program(recipe, split, start, batch_size)


def _stream_as_program(recipe: Recipe, split: str, start: int, size: int) -> Iterator[Batch]:
    """One program a batch; dispatch is asynchronous, so one batch is always under way."""
    ahead: deque[Batch] = deque()
    while True:
        ahead.append(Batch(*recipe.batch(split, np.arange(start, start + size))))
        start += size
        if len(ahead) > 1:
            yield ahead.popleft()


def _stream_in_threads(recipe: Recipe, split: str, start: int, size: int) -> Iterator[Batch]:
    """On a CPU a volume takes one core: as many volumes in flight as a batch and a half holds."""
    with ThreadPoolExecutor(max(2, size)) as pool:
        pending: deque[Future[tuple[Array, Array]]] = deque()
        try:
            while True:
                while len(pending) < 2 * size:
                    pending.append(pool.submit(recipe.volume, split, start))
                    start += 1
                volumes = [pending.popleft().result() for _ in range(size)]
                yield Batch(*(jnp.stack(field) for field in zip(*volumes, strict=True)))
        finally:
            for future in pending:
                future.cancel()
