"""Primus: a plain transformer over 8^3 patches with rotary positions and a light decoder.

Counterpart of ``Primus`` of dynamic-network-architectures.
"""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from fdif_jax.models import heads
from fdif_jax.models.conv import Shape3
from fdif_jax.models.dropout import Dropout
from fdif_jax.models.layers import Conv, ConvTranspose, Linear, he_start, normal
from fdif_jax.models.network import PositionedNetwork
from fdif_jax.models.norms import LayerNorm, constant
from fdif_jax.models.recompute import recomputed
from fdif_jax.models.sizes import check_input, check_multiple
from fdif_jax.models.vit import light_attention
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from fdif_jax.errors import InputError

PATCH = 8
_DECODER_EPSILON = 1e-6
_LAYER_SCALE = 0.1
_ROTARY_BASE = 10000.0


@dataclasses.dataclass(frozen=True, slots=True)
class PrimusConfig:
    """What defines a Primus.

    Attributes:
      in_channels: of the image.
      out_channels: classes, or pairs (task, classes); the decoder's widths depend on them.
      image_size: voxels per axis, multiples of 8.
      hidden_size: width of the tokens; ``hidden_size / heads`` must be a multiple of 6.
      depth: transformer blocks.
      heads: attention heads.
      drop_path: chance, in training, that the last block's branches are dropped for a sample;
        it grows linearly from 0 at the first block.
      remat: compute each block again for its gradient, to save memory.
      dtype: compute dtype.
    """

    in_channels: int = 1
    out_channels: heads.Outputs = 14
    image_size: Shape3 = (96, 96, 96)
    hidden_size: int = 864
    depth: int = 16
    heads: int = 12
    drop_path: float = 0.2
    remat: bool = False
    dtype: str = "float32"


def rotary_table(grid: tuple[int, ...], head_dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Sine and cosine per token and feature, (L, head_dim) each, float32.

    The angles of the three axes stand one after the other, ``head_dim / 6`` frequencies each,
    every angle twice for a pair of neighbouring features.
    """
    count = head_dim // 6
    frequencies = _ROTARY_BASE ** (-np.arange(count) / count)
    positions = np.stack(np.meshgrid(*map(np.arange, grid), indexing="ij"), -1).reshape(-1, 3)
    angles = (positions[:, :, None] * frequencies).reshape(len(positions), -1).repeat(2, axis=-1)
    return np.sin(angles).astype(np.float32), np.cos(angles).astype(np.float32)


def rotate(x: Array, table: tuple[np.ndarray, np.ndarray]) -> Array:
    """Turns each pair of features by the token's angles; (B, L, heads, head_dim), in float32."""
    sine, cosine = (t[:, None, :] for t in table)
    y = x.astype(jnp.float32)
    pairs = y.reshape(*y.shape[:-1], -1, 2)
    turned = jnp.stack([-pairs[..., 1], pairs[..., 0]], axis=-1).reshape(y.shape)
    return (y * cosine + turned * sine).astype(x.dtype)


class RotaryAttention(nnx.Module):
    """Attention with rotated queries and keys, and a norm before the projection."""

    def __init__(self, features: int, heads: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.heads = heads
        self.q = Linear(features, features, dtype=dtype, rngs=rngs)
        self.k = Linear(features, features, use_bias=False, dtype=dtype, rngs=rngs)
        self.v = Linear(features, features, dtype=dtype, rngs=rngs)
        self.norm = LayerNorm(features)
        self.proj = Linear(features, features, dtype=dtype, rngs=rngs)

    def __call__(self, x: Array, grid: tuple[int, ...]) -> Array:
        """(B, L, E), tokens of ``grid`` in C order, to the same."""
        *batch, width = x.shape
        q, k, v = (m(x).reshape(*batch, self.heads, -1) for m in (self.q, self.k, self.v))
        table = rotary_table(grid, width // self.heads)
        y = light_attention(rotate(q, table), rotate(k, table), v)
        return self.proj(self.norm(y.reshape(x.shape)))


class GatedMlp(nnx.Module):
    """``silu(gate(x)) * value(x)``, normalised and mapped back (SwiGLU)."""

    def __init__(self, features: int, hidden: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.gate = Linear(features, hidden, dtype=dtype, rngs=rngs)
        self.value = Linear(features, hidden, dtype=dtype, rngs=rngs)
        self.norm = LayerNorm(hidden)
        self.out = Linear(hidden, features, dtype=dtype, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """(B, L, E) to the same."""
        return recomputed(_gated, (self.norm, self.out), self.gate(x), self.value(x))


class EvaBlock(nnx.Module):
    """Attention and gated MLP, each normalised before, scaled per feature, dropped per sample."""

    def __init__(
        self, features: int, heads: int, drop_path: float, *, dtype: DTypeLike, rngs: nnx.Rngs
    ):
        self.norm1 = LayerNorm(features)
        self.attn = RotaryAttention(features, heads, dtype=dtype, rngs=rngs)
        self.norm2 = LayerNorm(features)
        self.mlp = GatedMlp(features, int(features * 8 / 3), dtype=dtype, rngs=rngs)
        self.scale1 = nnx.Param(constant(_LAYER_SCALE, features))
        self.scale2 = nnx.Param(constant(_LAYER_SCALE, features))
        self.drop1 = Dropout(drop_path, shared=(1, 2), rngs=rngs)
        self.drop2 = Dropout(drop_path, shared=(1, 2), rngs=rngs)

    def __call__(self, x: Array, grid: tuple[int, ...]) -> Array:
        """(B, L, E), tokens of ``grid`` in C order, to the same."""
        x = x + self.drop1(self.attn(self.norm1(x), grid) * self.scale1[...].astype(x.dtype))
        return x + self.drop2(self.mlp(self.norm2(x)) * self.scale2[...].astype(x.dtype))


class PatchDecoder(nnx.Module):
    """Three doublings from tokens to logits; widths shrink evenly towards the classes."""

    def __init__(self, features: int, out_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        first, second = decoder_widths(features, out_features)
        widths = (features, first, second, out_features)
        self.ups = nnx.List(
            [
                ConvTranspose(i, o, 2, use_bias=True, dtype=dtype, rngs=rngs)
                for i, o in itertools.pairwise(widths)
            ]
        )
        self.norms = nnx.List([LayerNorm(w, epsilon=_DECODER_EPSILON) for w in widths[1:-1]])
        for up in self.ups:
            he_start(up, rngs)

    def __call__(self, x: Array) -> Array:
        """(B, d, h, w, features) to (B, 8d, 8h, 8w, out_features)."""
        for i, up in enumerate(self.ups):
            x = up(x)
            if i < len(self.norms):
                x = jax.nn.gelu(self.norms[i](x), approximate=False)
        return x


class Primus(PositionedNetwork):
    """Primus with logits per voxel.

    Args:
      config: see ``PrimusConfig``.
      rngs: streams ``params`` and ``dropout``.

    Raises:
      InputError: an image size that is not a multiple of 8, or widths that do not fit.
    """

    name, patch = "primus", PATCH
    decoder_parts = ("head",)

    def __init__(self, config: PrimusConfig, *, rngs: nnx.Rngs):
        check_multiple(config.image_size, PATCH, "primus")
        wide, dtype = config.hidden_size, jnp.dtype(config.dtype)
        if wide % config.heads or (wide // config.heads) % 6:
            raise InputError(
                "primus turns its features per axis in pairs: hidden_size / heads must be a "
                f"multiple of 6, got {wide} / {config.heads}."
            )
        self.config = config
        self.encoded_features = wide
        self.patches = Conv(
            config.in_channels, wide, PATCH, PATCH, use_bias=True, dtype=dtype, rngs=rngs
        )
        self.positions = nnx.Param(normal(rngs, (1, math.prod(self._grid()), wide)))
        rates = [config.drop_path * i / max(config.depth - 1, 1) for i in range(config.depth)]
        self.blocks = nnx.List(
            [EvaBlock(wide, config.heads, rate, dtype=dtype, rngs=rngs) for rate in rates]
        )
        self.norm = LayerNorm(wide)
        self._initialize(rngs)
        self.head = self._build_heads(rngs)

    def __call__(self, x: Array) -> Array | dict[str, Array]:
        """(B, *image_size, in_channels) to float32 logits (B, *image_size, out), or by task."""
        return heads.apply_heads(self.head, self._as_grid(self.encode(x)))

    def encode(self, x: Array) -> Array:
        """The normalised tokens, (B, L, hidden_size)."""
        return self.norm(self._tokens(x)[-1])

    def feature_maps(self, x: Array) -> dict[str, Array]:
        """``tokens``, ``block0`` …, and ``encoded`` behind the norm; (B, L, hidden_size)."""
        hidden = self._tokens(x)
        maps = {"tokens": hidden[0]} | {f"block{i}": y for i, y in enumerate(hidden[1:])}
        return maps | {"encoded": self.norm(hidden[-1])}

    def _one_head(self, out_features: int, rngs: nnx.Rngs) -> PatchDecoder:
        dtype = jnp.dtype(self.config.dtype)
        return PatchDecoder(self.config.hidden_size, out_features, dtype=dtype, rngs=rngs)

    def _tokens(self, x: Array) -> list[Array]:
        check_input(x, self.config.in_channels, "primus")
        self.check_size(x.shape[1:4])
        hidden = [self._embedded(self.patches(x))]
        for block in self.blocks:
            hidden.append(self._run(block, hidden[-1]))
        return hidden

    def _run(self, block: EvaBlock, x: Array) -> Array:
        grid = self._grid()
        if self.config.remat:
            return recomputed(lambda block, x: block(x, grid), block, x)
        return block(x, grid)

    def _initialize(self, rngs: nnx.Rngs) -> None:
        """Narrow normal linear maps, later ones narrower; He normal patches; zero biases."""
        he_start(self.patches, rngs)
        for depth, block in enumerate(self.blocks, 1):
            for _, module in nnx.iter_modules(block):
                if isinstance(module, Linear):
                    module.kernel.set_value(normal(rngs, module.kernel.shape))
                    if module.bias is not None:
                        module.bias.set_value(constant(0.0, module.bias.shape[0]))
            for last in (block.attn.proj, block.mlp.out):
                last.kernel.set_value(last.kernel.get_value() / math.sqrt(2 * depth))


def decoder_widths(features: int, out_features: int) -> tuple[int, int]:
    """Channels between the three doublings: a geometric row, rounded to multiples of 8."""
    ratio = (features / (2 * out_features)) ** (1 / 3)
    first, second = (max(8, 8 * round((features / ratio**i + 1e-6) / 8)) for i in (1, 2))
    return first, second


def _gated(modules: tuple[LayerNorm, Linear], gate: Array, value: Array) -> Array:
    norm, out = modules
    return out(norm(jax.nn.silu(gate) * value))
