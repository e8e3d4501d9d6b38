"""SwinUNETR: a Swin transformer with a convolutional decoder.

Counterpart of ``monai.networks.nets.SwinUNETR`` (1.5 and later; ``merging="legacy"`` for 1.4 and
earlier).
"""

import dataclasses

import jax.numpy as jnp
from fdif_jax.models import heads
from fdif_jax.models.blocks import ResidualBlock, UpBlock
from fdif_jax.models.layers import Conv
from fdif_jax.models.network import SegmentationNetwork
from fdif_jax.models.norms import layer_norm
from fdif_jax.models.recompute import apply
from fdif_jax.models.sizes import check_input, check_multiple
from fdif_jax.models.swin import Merging, SwinEncoder
from flax import nnx
from jax import Array

from fdif_jax.errors import InputError

_MULTIPLE = 32


@dataclasses.dataclass(frozen=True, slots=True)
class SwinUNETRConfig:
    """What defines a SwinUNETR.

    Attributes:
      in_channels: of the image.
      out_channels: classes, or pairs (task, classes).
      feature_size: channels of the first stage and of the finest map, a multiple of 12.
      depths: Swin blocks per stage.
      heads: attention heads per stage.
      window: nominal window side.
      merging: order of the voxels in the merging; ``legacy`` for weights of MONAI up to 1.4.
      use_v2: a residual block before each stage.
      remat: compute each block again for its gradient, to save memory.
      dtype: compute dtype.
    """

    in_channels: int = 1
    out_channels: heads.Outputs = 14
    feature_size: int = 48
    depths: tuple[int, ...] = (2, 2, 2, 2)
    heads: tuple[int, ...] = (3, 6, 12, 24)
    window: int = 7
    merging: Merging = "merging"
    use_v2: bool = False
    remat: bool = False
    dtype: str = "float32"


class SwinUNETR(SegmentationNetwork):
    """SwinUNETR with the head's logits per voxel.

    Args:
      config: see ``SwinUNETRConfig``.
      rngs: stream ``params``.

    Raises:
      InputError: ``feature_size`` is not a multiple of 12.
    """

    decoder_parts = (
        "encoder1",
        "encoder2",
        "encoder3",
        "encoder4",
        "encoder10",
        "decoder5",
        "decoder4",
        "decoder3",
        "decoder2",
        "decoder1",
        "head",
    )

    def __init__(self, config: SwinUNETRConfig, *, rngs: nnx.Rngs):
        f, c, dtype = config.feature_size, config, jnp.dtype(config.dtype)
        if f < 12 or f % 12:
            raise InputError(f"swin_unetr takes a feature_size that is a multiple of 12, got {f}.")
        self.config = c
        self.encoded_features = 16 * f
        self.swin = SwinEncoder(
            c.in_channels,
            f,
            c.depths,
            c.heads,
            c.window,
            c.merging,
            c.use_v2,
            dtype=dtype,
            rngs=rngs,
        )
        self.encoder1 = ResidualBlock(c.in_channels, f, dtype=dtype, rngs=rngs)
        self.encoder2 = ResidualBlock(f, f, dtype=dtype, rngs=rngs)
        self.encoder3 = ResidualBlock(2 * f, 2 * f, dtype=dtype, rngs=rngs)
        self.encoder4 = ResidualBlock(4 * f, 4 * f, dtype=dtype, rngs=rngs)
        self.encoder10 = ResidualBlock(16 * f, 16 * f, dtype=dtype, rngs=rngs)
        self.decoder5 = UpBlock(16 * f, 8 * f, dtype=dtype, rngs=rngs)
        self.decoder4 = UpBlock(8 * f, 4 * f, dtype=dtype, rngs=rngs)
        self.decoder3 = UpBlock(4 * f, 2 * f, dtype=dtype, rngs=rngs)
        self.decoder2 = UpBlock(2 * f, f, dtype=dtype, rngs=rngs)
        self.decoder1 = UpBlock(f, f, dtype=dtype, rngs=rngs)
        self.head = self._build_heads(rngs)

    def __call__(self, x: Array) -> Array | dict[str, Array]:
        """(B, D, H, W, in_channels) to float32 logits (B, D, H, W, out_channels), or by task."""
        return heads.apply_heads(self.head, self.feature_maps(x)["decoder1"])

    def encode(self, x: Array) -> Array:
        """The transformer's deepest map, normalised, (B, D/32, H/32, W/32, 16 * feature_size)."""
        return layer_norm(self._stages(x)[-1])

    def feature_maps(self, x: Array) -> dict[str, Array]:
        """Every stage by name.

        ``patches`` and ``stage1`` to ``stage4`` as they leave the transformer; ``encoder1`` to
        ``encoder4``, ``encoder10`` and ``decoder5`` to ``decoder1``.
        """
        hidden = self._stages(x)
        names = ["patches", *(f"stage{i}" for i in range(1, len(hidden)))]
        maps = dict(zip(names, hidden, strict=True))
        normed = [layer_norm(h) for h in hidden]  # the next stage took the un-normalised map
        remat = self.config.remat
        maps["encoder1"] = apply(self.encoder1, x, remat=remat)
        maps["encoder2"] = apply(self.encoder2, normed[0], remat=remat)
        maps["encoder3"] = apply(self.encoder3, normed[1], remat=remat)
        maps["encoder4"] = apply(self.encoder4, normed[2], remat=remat)
        y = maps["encoder10"] = apply(self.encoder10, normed[4], remat=remat)
        skips = (normed[3], maps["encoder4"], maps["encoder3"], maps["encoder2"], maps["encoder1"])
        for level, skip in zip((5, 4, 3, 2, 1), skips, strict=True):
            block = getattr(self, f"decoder{level}")
            y = maps[f"decoder{level}"] = apply(block, y, skip, remat=remat)
        return maps

    def check_size(self, size: tuple[int, ...], batch: int = 1) -> None:
        """Refuses sizes that are not multiples of 32, and 32 in every axis."""
        check_multiple(size, _MULTIPLE, "swin_unetr")
        if tuple(size) == (_MULTIPLE,) * 3 and hasattr(self, "encoder10"):
            raise InputError(
                "swin_unetr cannot take 32x32x32: its deepest map has a single voxel to "
                "normalise over; the nearest sizes are 32x32x64 and larger."
            )

    def _one_head(self, out_features: int, rngs: nnx.Rngs) -> Conv:
        features, dtype = self.config.feature_size, jnp.dtype(self.config.dtype)
        return Conv(features, out_features, 1, use_bias=True, dtype=dtype, rngs=rngs)

    def _stages(self, x: Array) -> list[Array]:
        check_input(x, self.config.in_channels, "swin_unetr")
        self.check_size(x.shape[1:4])
        return self.swin(x, self.config.remat)
