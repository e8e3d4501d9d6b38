"""What the five networks share: heads that can be replaced, an encoder that can stand alone."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from fdif_jax.models import heads
from fdif_jax.models.conv import Shape3
from fdif_jax.models.sizes import check_exact, check_multiple
from fdif_jax.models.vit import resized_positions
from flax import nnx
from jax import Array


class SegmentationNetwork(nnx.Module):
    """A trunk with a head, or a head for each task.

    Attributes:
      config: what defines the network; ``out_channels`` is what the heads give.
      head: one module, or a dict of them by task.
      decoder_parts: names of the modules that ``encode`` does not need.
    """

    decoder_parts: ClassVar[tuple[str, ...]]
    config: Any
    head: Any

    @abc.abstractmethod
    def _one_head(self, out_features: int, rngs: nnx.Rngs) -> nnx.Module:
        """A fresh head with ``out_features`` channels."""

    def replace_head(
        self, out_channels: int | Mapping[str, int] | heads.Outputs, *, rngs: nnx.Rngs
    ) -> None:
        """A fresh head, or one per task; everything else stays."""
        outputs = heads.as_outputs(out_channels)
        self.config = dataclasses.replace(self.config, out_channels=outputs)
        self.head = self._build_heads(rngs)

    def drop_decoder(self) -> None:
        """Keeps what ``encode`` needs."""
        for name in self.decoder_parts:
            if hasattr(self, name):
                delattr(self, name)

    def _build_heads(self, rngs: nnx.Rngs) -> Any:
        outputs = heads.as_outputs(self.config.out_channels)
        return heads.build_heads(outputs, lambda n: self._one_head(n, rngs))


class PositionedNetwork(SegmentationNetwork):
    """A network with a position embedding for each patch, hence built for one image size.

    Attributes:
      name: in messages.
      patch: voxels per axis of a patch.
      positions: (1, patches, width).
    """

    name: ClassVar[str]
    patch: ClassVar[int]
    positions: nnx.Param

    def check_size(self, size: tuple[int, ...], batch: int = 1) -> None:
        """Refuses any size but ``image_size``.

        Another shape with as many patches would compute, with wrong positions.
        """
        check_exact(size, self.config.image_size, self.name)

    def resize_position_embeddings(self, image_size: Shape3) -> None:
        """Makes the network take ``image_size`` by trilinear interpolation of the positions."""
        check_multiple(image_size, self.patch, self.name)
        resized = resized_positions(self.positions[...], self._grid(), self._grid(image_size))
        self.positions = nnx.Param(resized)
        self.config = dataclasses.replace(self.config, image_size=tuple(image_size))

    def _grid(self, image_size: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Patches per axis."""
        return tuple(n // self.patch for n in image_size or self.config.image_size)

    def _embedded(self, patches: Array) -> Array:
        """(B, d, h, w, width) to tokens (B, d * h * w, width) with their positions added."""
        tokens = patches.reshape(patches.shape[0], -1, patches.shape[-1])
        return tokens + self.positions[...].astype(tokens.dtype)

    def _as_grid(self, tokens: Array) -> Array:
        return tokens.reshape(-1, *self._grid(), tokens.shape[-1])
