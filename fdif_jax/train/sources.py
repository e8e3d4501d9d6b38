"""Where crops come from. A batch is a pure function of its number: resume needs no state."""

import dataclasses
import functools
import itertools
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh

from fdif_jax.data.cache import Volumes
from fdif_jax.data.crops import Crops, crop_start, cut
from fdif_jax.data.datalist import Case
from fdif_jax.synth.recipe import Recipe
from fdif_jax.train.plan import Plan
from fdif_jax.train.step import spread

T = TypeVar("T")
_ORDER, _PLACE = 0, 1  # what a source's seed is used for
_AHEAD = 2  # batches made while the device works


class Source(Protocol):
    """Batches of crops."""

    def crops(self, batch: int, slots: range) -> Crops:
        """Some of a batch's crops; may be called from several threads at once."""

    def name(self, batch: int, slot: int) -> str:
        """Where a crop came from, for messages."""


@dataclasses.dataclass(frozen=True)
class Files:
    """Crops of cases in files.

    Every epoch goes through the cases in an order of its own.

    Args:
      volumes: reads them.
      cases: at least one.
      seed: of order and places.
      patch: voxels per axis of a crop.
      num_crops: of a volume, in a batch.
      batch_size: volumes in a batch.
    """

    volumes: Volumes
    cases: Sequence[Case]
    seed: int
    patch: tuple[int, int, int]
    num_crops: int
    batch_size: int

    def crops(self, batch: int, slots: range) -> Crops:
        """Windows of the volumes that these slots belong to."""
        images, labels = [], []
        for place, group in itertools.groupby(slots, lambda slot: slot // self.num_crops):
            volume = self.volumes.load(self._case(batch, place))
            for slot in group:
                rng = np.random.default_rng([self.seed, _PLACE, batch, slot])
                start = crop_start(rng, volume.label, volume.foreground, self.patch)
                images.append(cut(volume.image, start, self.patch))
                labels.append(cut(volume.label, start, self.patch))
        return Crops(np.stack(images), np.stack(labels))

    def name(self, batch: int, slot: int) -> str:
        """The case."""
        return self._case(batch, slot // self.num_crops).id

    def _case(self, batch: int, place: int) -> Case:
        epoch, i = divmod(batch * self.batch_size + place, len(self.cases))
        return self.cases[epoch_order(self.seed, epoch, len(self.cases))[i]]


@dataclasses.dataclass(frozen=True)
class OnTheFly:
    """Every crop is a new volume, rendered while the device trains on the batch before.

    Args:
      recipe: of the volumes.
      crops_per_batch: volumes in a batch.
    """

    recipe: Recipe
    crops_per_batch: int

    def crops(self, batch: int, slots: range) -> Crops:
        """Volumes of the training split, uint8 as they would be stored."""
        first = batch * self.crops_per_batch
        indices = np.arange(first + slots.start, first + slots.stop)
        if jax.default_backend() == "cpu":
            volumes = [self.recipe.volume("training", int(i)) for i in indices]
            image, label = (np.stack(field) for field in zip(*volumes, strict=True))
        else:
            image, label = self.recipe.batch("training", indices)  # type: ignore[assignment]
        return Crops(image[..., None], label)

    def name(self, batch: int, slot: int) -> str:
        """The volume's index."""
        return f"training volume {batch * self.crops_per_batch + slot}"


def make_source(plan: Plan) -> Source:
    """The source of a plan's crops."""
    config = plan.config
    if plan.generator is not None:
        return OnTheFly(plan.generator, config.crops)
    assert plan.datalist is not None
    assert plan.volumes is not None
    return Files(
        plan.volumes,
        plan.datalist.training,
        config.seed,
        config.patch,
        config.num_crops,
        config.batch_size,
    )


def device_batches(
    source: Source, mesh: Mesh, *, slots: range, accumulation: int, updates: range
) -> Generator[tuple[jax.Array, jax.Array], None, None]:
    """For each update images (A, N, D, H, W, C) and labels (A, N, D, H, W[, T]) on the devices.

    They are made, and copied to the devices, in threads ahead of the update that takes them.

    Args:
      source: of the crops.
      mesh: whose devices share the crops.
      slots: this process's part of N.
      accumulation: A.
      updates: their numbers.
    """

    def make(update: int) -> tuple[jax.Array, jax.Array]:
        numbers = range(update * accumulation, (update + 1) * accumulation)
        parts = [source.crops(number, slots) for number in numbers]
        return tuple(_global(mesh, field) for field in zip(*parts, strict=True))  # type: ignore[return-value]

    return ahead(make, updates)


def ahead(make: Callable[[int], T], numbers: range) -> Generator[T, None, None]:
    """``make(n)`` for each number in order, a few of them made ahead in threads.

    Closing it cancels what is not begun.
    """
    with ThreadPoolExecutor(_AHEAD, thread_name_prefix="batches") as pool:
        pending: deque[Future[T]] = deque()
        try:
            for number in numbers:
                pending.append(pool.submit(make, number))
                if len(pending) > _AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _global(mesh: Mesh, parts: Sequence[Any]) -> jax.Array:
    sharding = spread(mesh)
    if len(parts) == 1 and isinstance(parts[0], jax.Array) and jax.process_count() == 1:
        return jax.device_put(parts[0][None], sharding)  # rendered there: no way through the host
    return jax.make_array_from_process_local_data(sharding, np.stack(parts))


@functools.lru_cache(maxsize=2)
def epoch_order(seed: int, epoch: int, count: int) -> np.ndarray:
    """In which order an epoch goes through so many cases."""
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(count)
