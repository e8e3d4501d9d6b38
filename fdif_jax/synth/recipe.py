"""A recipe: classes, how a scene is drawn, how it is rendered.

It is the seam behind files, stream, resume and shards, which know nothing else of what they
write. A volume is a pure function of (recipe, seed, split, index).
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from fdif_jax.errors import InputError, lookup
from fdif_jax.synth.labels import ClassTable
from fdif_jax.synth.renderer import jit

SPLITS = {"training": 0, "validation": 1}


class Sample(NamedTuple):
    """What the files of one sample hold."""

    image: np.ndarray
    label: np.ndarray
    scene: Callable[[], dict[str, Any]]
    """Its objects as plain JSON values, made when asked for."""


@dataclasses.dataclass(frozen=True, eq=False)
class Recipe:
    """What a data set is made of.

    Args:
      classes: what the labels mean.
      seed: of all draws.
      sample: traceable; from the key of one volume to a pytree of drawn numbers. With
        ``per_class`` it takes the volume's class too.
      render: traceable; from the drawn numbers to image and label.
      compiled_render: the same, compiled; recipes that render alike may share it.
      describe: from the drawn numbers, on the host, to the scene as plain JSON values.
      per_class: for each split, how many volumes of one class follow one another, where a volume
        has a class as a whole: that of index i is ``i // per_class[split]``, again from 0 after
        the last.
    """

    classes: ClassTable
    seed: int
    sample: Callable[..., Any]
    render: Callable[[Any], tuple[Array, Array]]
    compiled_render: Callable[[Any], tuple[Array, Array]]
    describe: Callable[[Any], dict[str, Any]]
    per_class: Mapping[str, int] | None = None

    def key(self, split: str, index: int | Array) -> Array:
        """The random key of one volume; ``index`` may be traced."""
        return jax.random.fold_in(self._split_key(split), index)

    def _split_key(self, split: str) -> Array:
        number = lookup(SPLITS, split, kind="split")
        return jax.random.fold_in(seed_key(self.seed), number)

    @functools.cached_property
    def compiled_sample(self) -> Callable[..., Any]:
        """``sample`` of (split key, index, volumes of a class), compiled apart from ``render``.

        Apart, because a scene that is read back from a file must take the same program.
        """
        return jit(self._sample_at, light=True)

    def _sample_at(self, split_key: Array, index: Array, per_class: Array | None = None) -> Any:
        """``sample`` for a volume's place in its split; traceable."""
        key = jax.random.fold_in(split_key, index)
        if per_class is None:
            return self.sample(key)
        number = index // per_class % np.uint32(len(self.classes.choices))
        return self.sample(key, number.astype(np.int32))

    def _per_class(self, split: str) -> np.uint32 | None:
        return None if self.per_class is None else np.uint32(self.per_class[split])

    @functools.cached_property
    def batch_program(self) -> Callable[..., tuple[Array, Array]]:
        """From (split key, indices, volumes of a class) to images and labels, as one program.

        No step of it returns to the host: what an accelerator wants. ``lax.map``, not ``vmap``:
        a batched branch index would run every branch for every object.
        """

        def batch(
            split_key: Array, indices: Array, per_class: Array | None = None
        ) -> tuple[Array, Array]:
            def one(index: Array) -> tuple[Array, Array]:
                drawn = self._sample_at(split_key, index, per_class)
                # The drawn numbers are rounded as they are when they cross a program's end.
                return self.render(jax.lax.optimization_barrier(drawn))

            return jax.lax.map(one, indices)

        return jit(batch)

    def draw(self, split: str, index: int) -> Any:
        """The drawn numbers of one volume."""
        return self.compiled_sample(
            self._split_key(split), check_index(index), self._per_class(split)
        )

    def volume(self, split: str, index: int) -> tuple[Array, Array]:
        """Image and label of one volume, as device arrays."""
        return self.compiled_render(self.draw(split, index))

    def batch(self, split: str, indices: np.ndarray) -> tuple[Array, Array]:
        """Images and labels of several volumes, as device arrays, leading axis batch."""
        return self.batch_program(
            self._split_key(split), np.asarray(indices, np.uint32), self._per_class(split)
        )

    def produce(self, split: str, index: int) -> Sample:
        """One sample on the host. May be called from several threads at once."""
        drawn = self.draw(split, index)
        image, label = jax.device_get(self.compiled_render(drawn))
        return Sample(image, label, lambda: self.describe(jax.device_get(drawn)))


def seed_key(seed: int) -> Array:
    """The key of a seed. All 63 bits count, which ``jax.random.key`` alone does not promise."""
    key = jax.random.key(seed & 0xFFFFFFFF, impl="threefry2x32")
    high = seed >> 32
    return jax.random.fold_in(key, high) if high else key


def check_index(index: int) -> np.uint32:
    """An index as the number that is folded into a key.

    Raises:
      InputError: it is negative or beyond 32 bits.
    """
    if not 0 <= index < 2**32:
        raise InputError(f"index is {index}; allowed: 0 to {2**32 - 1}.")
    return np.uint32(index)
