"""From an example to what a classifier takes."""

import dataclasses

import numpy as np

from fdif_jax.data.classified import Example
from fdif_jax.data.fit import fit
from fdif_jax.data.images import Image, counted
from fdif_jax.data.preprocess import Preprocessing, prepare
from fdif_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Images on the patch of a network.

    Args:
      plan: the preprocessing.
      patch: voxels per axis.
      channels: of the network.
    """

    plan: Preprocessing
    patch: tuple[int, int, int]
    channels: int

    def load(self, example: Example) -> np.ndarray:
        """(D, H, W, C) float32.

        Raises:
          InputError: a file cannot be read, or has other channels than the network.
        """
        return self.of(example.read(), example.id)

    def of(self, image: Image, name: str) -> np.ndarray:
        """The same of an image that was read; ``name`` is for messages.

        Raises:
          InputError: it has other channels than the network.
        """
        given = image.voxels.shape[-1]
        if given != self.channels:
            raise InputError(
                f"{name} has {counted(given, 'channel')}, the network takes {self.channels}; "
                "correct --in_channels, or give other images."
            )
        try:
            prepared = prepare(image, None, self.plan)
        except InputError as error:
            raise InputError(f"{name} {error}") from error
        return fit(prepared.image, self.patch)
