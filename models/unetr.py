"""UNETR: a vision transformer over 16^3 patches with a convolutional decoder.

Counterpart of ``monai.networks.nets.UNETR``. The parameters that MONAI creates but never uses
(``norm_cross_attn``) do not exist here.
"""

import dataclasses
import math

import jax.numpy as jnp
from fdif_jax.models import heads
from fdif_jax.models.blocks import ProjectionUp, ResidualBlock, UpBlock
from fdif_jax.models.conv import Shape3
from fdif_jax.models.layers import Conv, normal
from fdif_jax.models.network import PositionedNetwork
from fdif_jax.models.norms import LayerNorm
from fdif_jax.models.recompute import apply
from fdif_jax.models.sizes import check_input, check_multiple
from fdif_jax.models.vit import TransformerBlock
from flax import nnx
from jax import Array

from fdif_jax.errors import InputError

PATCH = 16
_TAPPED = (3, 6, 9)  # zero-based blocks whose output the decoder takes, without the final norm


@dataclasses.dataclass(frozen=True, slots=True)
class UNETRConfig:
    """What defines a UNETR.

    Attributes:
      in_channels: of the image.
      out_channels: classes, or pairs (task, classes).
      image_size: voxels per axis, multiples of 16.
      feature_size: channels of the decoder's finest map.
      hidden_size: width of the tokens, a multiple of ``heads``.
      mlp_size: width inside the MLPs.
      heads: attention heads.
      depth: transformer blocks, at least 10 (the decoder takes the outputs of the 4th, 7th, 10th).
      remat: compute each block again for its gradient, to save memory.
      dtype: compute dtype.
    """

    in_channels: int = 1
    out_channels: heads.Outputs = 14
    image_size: Shape3 = (96, 96, 96)
    feature_size: int = 16
    hidden_size: int = 768
    mlp_size: int = 3072
    heads: int = 12
    depth: int = 12
    remat: bool = False
    dtype: str = "float32"


class UNETR(PositionedNetwork):
    """UNETR with the head's logits per voxel.

    Args:
      config: see ``UNETRConfig``.
      rngs: stream ``params``.

    Raises:
      InputError: an image size that is not a multiple of 16, or widths that do not fit.
    """

    name, patch = "unetr", PATCH
    decoder_parts = (
        "encoder1",
        "encoder2",
        "encoder3",
        "encoder4",
        "decoder5",
        "decoder4",
        "decoder3",
        "decoder2",
        "head",
    )

    def __init__(self, config: UNETRConfig, *, rngs: nnx.Rngs):
        check_multiple(config.image_size, PATCH, "unetr")
        if config.hidden_size % config.heads or config.depth <= max(_TAPPED):
            raise InputError(
                f"unetr needs hidden_size as a multiple of heads and a depth of at least "
                f"{max(_TAPPED) + 1}, got {config.hidden_size}, {config.heads}, {config.depth}."
            )
        c, wide, f, dtype = config, config.hidden_size, config.feature_size, jnp.dtype(config.dtype)
        self.config = c
        self.encoded_features = wide
        self.patches = Conv(
            c.in_channels, wide, PATCH, PATCH, use_bias=True, dtype=dtype, rngs=rngs
        )
        self.positions = nnx.Param(normal(rngs, (1, math.prod(self._grid()), wide)))
        self.blocks = nnx.List(
            [
                TransformerBlock(wide, c.mlp_size, c.heads, dtype=dtype, rngs=rngs)
                for _ in range(c.depth)
            ]
        )
        self.norm = LayerNorm(wide)
        self.encoder1 = ResidualBlock(c.in_channels, f, dtype=dtype, rngs=rngs)
        self.encoder2 = ProjectionUp(wide, 2 * f, 2, dtype=dtype, rngs=rngs)
        self.encoder3 = ProjectionUp(wide, 4 * f, 1, dtype=dtype, rngs=rngs)
        self.encoder4 = ProjectionUp(wide, 8 * f, 0, dtype=dtype, rngs=rngs)
        self.decoder5 = UpBlock(wide, 8 * f, dtype=dtype, rngs=rngs)
        self.decoder4 = UpBlock(8 * f, 4 * f, dtype=dtype, rngs=rngs)
        self.decoder3 = UpBlock(4 * f, 2 * f, dtype=dtype, rngs=rngs)
        self.decoder2 = UpBlock(2 * f, f, dtype=dtype, rngs=rngs)
        self.head = self._build_heads(rngs)

    def __call__(self, x: Array) -> Array | dict[str, Array]:
        """(B, *image_size, in_channels) to float32 logits (B, *image_size, out), or by task."""
        return heads.apply_heads(self.head, self.feature_maps(x)["decoder2"])

    def encode(self, x: Array) -> Array:
        """The normalised tokens, (B, L, hidden_size)."""
        return self.norm(self._tokens(x)[-1])

    def feature_maps(self, x: Array) -> dict[str, Array]:
        """Every stage by name.

        ``tokens`` and ``block0`` … (B, L, E) before the final norm, ``encoded`` behind it;
        ``encoder1`` to ``encoder4`` and ``decoder5`` to ``decoder2`` (B, D, H, W, C).
        """
        hidden = self._tokens(x)
        maps = {"tokens": hidden[0]} | {f"block{i}": y for i, y in enumerate(hidden[1:])}
        maps["encoded"] = self.norm(hidden[-1])
        remat = self.config.remat
        maps["encoder1"] = apply(self.encoder1, x, remat=remat)
        ups = (self.encoder2, self.encoder3, self.encoder4)
        for name, up, block in zip(("encoder2", "encoder3", "encoder4"), ups, _TAPPED, strict=True):
            maps[name] = apply(up, self._as_grid(hidden[1 + block]), remat=remat)
        y = self._as_grid(maps["encoded"])
        for level in (5, 4, 3, 2):
            block = getattr(self, f"decoder{level}")
            y = maps[f"decoder{level}"] = apply(block, y, maps[f"encoder{level - 1}"], remat=remat)
        return maps

    def _one_head(self, out_features: int, rngs: nnx.Rngs) -> Conv:
        features, dtype = self.config.feature_size, jnp.dtype(self.config.dtype)
        return Conv(features, out_features, 1, use_bias=True, dtype=dtype, rngs=rngs)

    def _tokens(self, x: Array) -> list[Array]:
        """The embedded patches, then the output of every block; (B, L, E) each."""
        check_input(x, self.config.in_channels, "unetr")
        self.check_size(x.shape[1:4])
        hidden = [self._embedded(self.patches(x))]
        for block in self.blocks:
            hidden.append(apply(block, hidden[-1], remat=self.config.remat))
        return hidden
