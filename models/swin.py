"""The Swin transformer in 3-D: four stages, each halving the resolution at its end."""

from typing import Literal, get_args

import jax.numpy as jnp
from fdif_jax.models.blocks import ResidualBlock
from fdif_jax.models.layers import Conv, Linear, normal
from fdif_jax.models.norms import LayerNorm
from fdif_jax.models.recompute import apply
from fdif_jax.models.vit import Mlp, split_heads
from fdif_jax.models.windows import Windows, position_bias, window_attention
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from fdif_jax.errors import InputError

Merging = Literal["merging", "legacy", "mergingv2"]
_SHIFTED = (False, True)  # the two blocks of a stage

# Order in which the eight voxels of a 2^3 block are put side by side, as offsets (D, H, W).
# "legacy" is MONAI up to 1.4: two voxels stand twice, two are missing.
_ORDERS: dict[str, str] = {
    "merging": "000 100 010 001 110 101 011 111",
    "legacy": "000 100 010 001 101 010 001 111",
    "mergingv2": "000 001 010 011 100 101 110 111",
}


class WindowAttention(nnx.Module):
    """Multi-head attention within windows, with a learnt bias per relative position.

    Args:
      features: C, a multiple of ``heads``.
      heads: how many.
      window: nominal window side.
      dtype: compute dtype; softmax is float32.
    """

    def __init__(self, features: int, heads: int, window: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.heads, self.window = heads, window
        self.table = nnx.Param(normal(rngs, ((2 * window - 1) ** 3, heads)))
        self.qkv = Linear(features, 3 * features, dtype=dtype, rngs=rngs)
        self.proj = Linear(features, features, dtype=dtype, rngs=rngs)

    def __call__(self, x: Array, windows: Windows) -> Array:
        """(B, windows, tokens, C) to the same."""
        q, k, v = split_heads(self.qkv(x), self.heads)
        bias = position_bias(self.table[...], self.window, windows.tokens)
        return self.proj(window_attention(q, k, v, bias, windows.regions()).reshape(x.shape))


class SwinBlock(nnx.Module):
    """Window attention and MLP, each behind a layer norm and added to its input.

    Args:
      features: C.
      heads: attention heads.
      window: nominal window side.
      shifted: move the windows by half their side, where the map is larger than one.
      mlp_ratio: width inside the MLP over C.
      dtype: compute dtype.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        window: int,
        shifted: bool,
        *,
        mlp_ratio: float = 4.0,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.window, self.shifted = window, shifted
        self.norm1 = LayerNorm(features)
        self.attn = WindowAttention(features, heads, window, dtype=dtype, rngs=rngs)
        self.norm2 = LayerNorm(features)
        self.mlp = Mlp(features, int(features * mlp_ratio), dtype=dtype, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """(B, D, H, W, C) to the same."""
        windows = Windows.of(x.shape[1:4], self.window, self.shifted)
        x = x + windows.merge(self.attn(windows.cut(self.norm1(x)), windows))
        return x + self.mlp(self.norm2(x))


class PatchMerging(nnx.Module):
    """Halves the resolution: the 2^3 voxels side by side, normalised, mapped to 2C channels.

    Args:
      features: C.
      order: see ``Merging``.
      dtype: compute dtype.
    """

    def __init__(self, features: int, order: Merging, *, dtype: DTypeLike, rngs: nnx.Rngs):
        if order not in get_args(Merging):
            raise InputError(f"unknown merging {order!r}; allowed: {', '.join(get_args(Merging))}.")
        self.order = tuple(int(offset, 2) for offset in _ORDERS[order].split())
        self.norm = LayerNorm(8 * features)
        self.reduction = Linear(8 * features, 2 * features, use_bias=False, dtype=dtype, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """(B, D, H, W, C) to (B, ceil(D/2), ceil(H/2), ceil(W/2), 2C)."""
        x = jnp.pad(x, ((0, 0), *((0, n % 2) for n in x.shape[1:4]), (0, 0)))
        b, d, h, w, c = x.shape
        x = x.reshape(b, d // 2, 2, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4, 6, 7)
        x = x.reshape(b, d // 2, h // 2, w // 2, 8, c)
        x = jnp.concatenate([x[..., i, :] for i in self.order], axis=-1)
        return self.reduction(self.norm(x))


class Stage(nnx.Module):
    """An optional residual block, Swin blocks, and the merging.

    Args:
      features: C at the stage's resolution.
      depth: Swin blocks, alternately unshifted and shifted.
      heads: attention heads.
      window: nominal window side.
      order: of the merging.
      convolve: start with a residual block (MONAI's ``use_v2``).
      dtype: compute dtype.
    """

    def __init__(
        self,
        features: int,
        depth: int,
        heads: int,
        window: int,
        order: Merging,
        convolve: bool,
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.conv = ResidualBlock(features, features, dtype=dtype, rngs=rngs) if convolve else None
        self.blocks = nnx.List(
            [
                SwinBlock(features, heads, window, _SHIFTED[i % 2], dtype=dtype, rngs=rngs)
                for i in range(depth)
            ]
        )
        self.merge = PatchMerging(features, order, dtype=dtype, rngs=rngs)

    def __call__(self, x: Array, remat: bool = False) -> Array:
        """(B, D, H, W, C) to (B, D/2, H/2, W/2, 2C)."""
        if self.conv is not None:
            x = apply(self.conv, x, remat=remat)
        for block in self.blocks:
            x = apply(block, x, remat=remat)
        return self.merge(x)


class SwinEncoder(nnx.Module):
    """Patch embedding and four stages.

    Args:
      in_channels: of the image.
      features: C of the first stage.
      depths: blocks per stage.
      heads: attention heads per stage.
      window: nominal window side.
      order: of the merging.
      convolve: a residual block before each stage.
      dtype: compute dtype.
    """

    def __init__(
        self,
        in_channels: int,
        features: int,
        depths: tuple[int, ...],
        heads: tuple[int, ...],
        window: int,
        order: Merging,
        convolve: bool,
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.patches = Conv(in_channels, features, 2, 2, use_bias=True, dtype=dtype, rngs=rngs)
        self.stages = nnx.List(
            [
                Stage(features * 2**i, n, k, window, order, convolve, dtype=dtype, rngs=rngs)
                for i, (n, k) in enumerate(zip(depths, heads, strict=True))
            ]
        )

    def __call__(self, x: Array, remat: bool = False) -> list[Array]:
        """The patch map and the result of every stage, not normalised."""
        hidden = [self.patches(x)]
        for stage in self.stages:
            hidden.append(stage(hidden[-1], remat))
        return hidden
