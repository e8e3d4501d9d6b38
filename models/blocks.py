"""Convolution blocks that UNETR and SwinUNETR share.

Attribute names are the keys of the tables in interop: renaming one changes saved models.
"""

import jax.numpy as jnp
from fdif_jax.models.layers import Conv, ConvTranspose
from fdif_jax.models.norms import InstanceNorm, activate
from fdif_jax.models.recompute import recomputed
from flax import nnx
from jax import Array
from jax.typing import DTypeLike


class ResidualBlock(nnx.Module):
    """Two 3x3x3 convolutions with instance norm and a skip; spatial size unchanged.

    Counterpart of MONAI's UnetResBlock at stride 1.

    Args:
      in_features: input channels; where it differs from ``out_features`` the skip gets a
        1x1x1 convolution and its own norm.
      out_features: output channels.
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.conv1 = Conv(in_features, out_features, 3, dtype=dtype, rngs=rngs)
        self.norm1 = InstanceNorm(out_features, activation="leaky_relu")
        self.conv2 = Conv(out_features, out_features, 3, dtype=dtype, rngs=rngs)
        self.norm2 = InstanceNorm(out_features)
        same = in_features == out_features
        self.conv3 = None if same else Conv(in_features, out_features, 1, dtype=dtype, rngs=rngs)
        self.norm3 = None if same else InstanceNorm(out_features)

    def __call__(self, x: Array) -> Array:
        """(B, D, H, W, in_features) to (B, D, H, W, out_features)."""
        y = recomputed(_normalised, (self.norm1, self.conv2), self.conv1(x))
        y = self.norm2(y)
        skip = x.astype(y.dtype)
        if self.conv3 is not None and self.norm3 is not None:
            skip = self.norm3(self.conv3(x))
        return activate(y + skip, "leaky_relu")


class UpBlock(nnx.Module):
    """Doubles the resolution, puts the skip's channels behind, and applies a residual block.

    Args:
      in_features: channels of the coarse map.
      out_features: channels of the skip and of the result.
      dtype: compute dtype.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.up = ConvTranspose(in_features, out_features, 2, dtype=dtype, rngs=rngs)
        self.block = ResidualBlock(2 * out_features, out_features, dtype=dtype, rngs=rngs)

    def __call__(self, x: Array, skip: Array) -> Array:
        """(B, D, H, W, in_features) and (B, 2D, 2H, 2W, out_features) to the latter."""
        up = self.up(x)
        return self.block(jnp.concatenate([up, skip.astype(up.dtype)], axis=-1))


class ProjectionUp(nnx.Module):
    """Doubles the resolution ``1 + steps`` times, with a residual block after each later one.

    Args:
      in_features: channels of the token map.
      out_features: channels of the result.
      steps: doublings after the first.
      dtype: compute dtype.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        steps: int,
        *,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.up = ConvTranspose(in_features, out_features, 2, dtype=dtype, rngs=rngs)
        self.ups = nnx.List(
            [
                ConvTranspose(out_features, out_features, 2, dtype=dtype, rngs=rngs)
                for _ in range(steps)
            ]
        )
        self.blocks = nnx.List(
            [
                ResidualBlock(out_features, out_features, dtype=dtype, rngs=rngs)
                for _ in range(steps)
            ]
        )

    def __call__(self, x: Array) -> Array:
        """(B, d, h, w, in_features) to (B, D, H, W, out_features), ``D = d * 2^(1 + steps)``."""
        x = self.up(x)
        for up, block in zip(self.ups, self.blocks, strict=True):
            x = block(up(x))
        return x


def _normalised(modules: tuple[InstanceNorm, Conv], x: Array) -> Array:
    norm, conv = modules
    return conv(norm(x))
