"""VNet: residual 5x5x5 convolutions on five levels; counterpart of ``monai.networks.nets.VNet``."""

import dataclasses

import jax.numpy as jnp
from fdif_jax.models import heads
from fdif_jax.models.dropout import Dropout
from fdif_jax.models.layers import Conv, ConvTranspose
from fdif_jax.models.network import SegmentationNetwork
from fdif_jax.models.norms import BatchNorm, activate
from fdif_jax.models.recompute import apply
from fdif_jax.models.sizes import check_input, check_multiple
from flax import nnx
from jax import Array, lax
from jax.typing import DTypeLike

from fdif_jax.errors import InputError

# Per level below the first: convolutions, and dropout in front of them.
_DOWN = ((1, 0.0), (2, 0.0), (3, 0.5), (2, 0.5))
# From the bottom up: width factor in and out, convolutions, dropout of the coarse map. The skip
# always has dropout 0.5, at the two upper levels too, where MONAI does not pass its option on.
_UP = ((16, 16, 2, 0.5), (16, 8, 2, 0.5), (8, 4, 1, 0.0), (4, 2, 1, 0.0))
_SKIP_DROPOUT = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class VNetConfig:
    """What defines a VNet.

    Attributes:
      in_channels: a divisor of ``width``, since the input is tiled onto the first map.
      out_channels: classes, or pairs (task, classes).
      width: channels of the first level; 16 is the original's, smaller is for tests.
      dropout: off, every dropout is the identity.
      remat: compute each level again for its gradient, to save memory.
      dtype: compute dtype.
    """

    in_channels: int = 1
    out_channels: heads.Outputs = 14
    width: int = 16
    dropout: bool = True
    remat: bool = False
    dtype: str = "float32"


class Unit(nnx.Module):
    """Convolution 5x5x5, batch norm, ELU."""

    def __init__(self, in_features: int, out_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.conv = Conv(in_features, out_features, 5, dtype=dtype, rngs=rngs)
        self.norm = BatchNorm(out_features, activation="elu")

    def __call__(self, x: Array) -> Array:
        """(B, D, H, W, in_features) to (B, D, H, W, out_features)."""
        return self.norm(self.conv(x))


class Input(nnx.Module):
    """Convolution and batch norm, added to the input tiled over the channels; then ELU."""

    def __init__(self, in_features: int, out_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.tiles, self.dtype = out_features // in_features, dtype
        self.conv = Conv(in_features, out_features, 5, dtype=dtype, rngs=rngs)
        self.norm = BatchNorm(out_features)

    def __call__(self, x: Array) -> Array:
        """(B, D, H, W, in_features) to (B, D, H, W, out_features)."""
        tiled = jnp.tile(x.astype(self.dtype), (1, 1, 1, 1, self.tiles))
        return activate(self.norm(self.conv(x)) + tiled, "elu")


class Down(nnx.Module):
    """Halves the resolution and doubles the channels; the residual skips dropout."""

    def __init__(
        self, in_features: int, units: int, dropout: float, *, dtype: DTypeLike, rngs: nnx.Rngs
    ):
        out = 2 * in_features
        self.conv = Conv(in_features, out, 2, 2, dtype=dtype, rngs=rngs)
        self.norm = BatchNorm(out, activation="elu")
        self.dropout = _channel_dropout(dropout, rngs)
        self.units = nnx.List([Unit(out, out, dtype=dtype, rngs=rngs) for _ in range(units)])

    def __call__(self, x: Array) -> Array:
        """(B, D, H, W, C) to (B, D/2, H/2, W/2, 2C)."""
        down = self.norm(self.conv(x))
        y = self.dropout(down)
        for unit in self.units:
            y = unit(y)
        return activate(y + down, "elu")


class Up(nnx.Module):
    """Doubles the resolution and puts the skip behind; the residual contains the dropouts."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        units: int,
        dropout: tuple[float, float],
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        half = out_features // 2
        self.up = ConvTranspose(in_features, half, 2, use_bias=True, dtype=dtype, rngs=rngs)
        self.norm = BatchNorm(half, activation="elu")
        self.dropout = _channel_dropout(dropout[0], rngs)
        self.skip_dropout = _channel_dropout(dropout[1], rngs)
        self.units = nnx.List(
            [Unit(out_features, out_features, dtype=dtype, rngs=rngs) for _ in range(units)]
        )

    def __call__(self, x: Array, skip: Array) -> Array:
        """(B, D, H, W, in) and a skip (B, 2D, 2H, 2W, out/2) to (B, 2D, 2H, 2W, out)."""
        up = self.norm(self.up(self.dropout(x)))
        both = jnp.concatenate([up, self.skip_dropout(skip)], axis=-1)
        y = both
        for unit in self.units:
            y = unit(y)
        return activate(y + both, "elu")


class Output(nnx.Module):
    """The head: a unit onto the classes, then a 1x1x1 convolution with bias."""

    def __init__(self, in_features: int, out_features: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.unit = Unit(in_features, out_features, dtype=dtype, rngs=rngs)
        self.conv = Conv(out_features, out_features, 1, use_bias=True, dtype=dtype, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """(B, D, H, W, in_features) to logits (B, D, H, W, out_features)."""
        return self.conv(self.unit(x))


class VNet(SegmentationNetwork):
    """VNet with the head's logits per voxel.

    Args:
      config: see ``VNetConfig``.
      rngs: streams ``params`` and ``dropout``.

    Attributes:
      axis_name: mesh axis over which the batch is spread, if it is; see ``spread_batch``.

    Raises:
      InputError: ``in_channels`` does not divide ``width``.
    """

    decoder_parts = ("ups", "head")

    def __init__(self, config: VNetConfig, *, rngs: nnx.Rngs):
        width, dtype = config.width, jnp.dtype(config.dtype)
        if width % config.in_channels:
            raise InputError(
                f"vnet tiles its input onto {width} channels: in_channels must divide {width}, "
                f"got {config.in_channels}."
            )
        self.config = config
        self.axis_name: str | None = None
        self.encoded_features = 16 * width
        on = float(config.dropout)
        self.input = Input(config.in_channels, width, dtype=dtype, rngs=rngs)
        self.downs = nnx.List(
            [
                Down(width * 2**i, n, p * on, dtype=dtype, rngs=rngs)
                for i, (n, p) in enumerate(_DOWN)
            ]
        )
        self.ups = nnx.List(
            [
                Up(width * i, width * o, n, (p * on, _SKIP_DROPOUT * on), dtype=dtype, rngs=rngs)
                for i, o, n, p in _UP
            ]
        )
        self.head = self._build_heads(rngs)

    def __call__(self, x: Array) -> Array | dict[str, Array]:
        """(B, D, H, W, in_channels) to float32 logits (B, D, H, W, out_channels), or by task."""
        return heads.apply_heads(self.head, self.feature_maps(x)["up0"])

    def encode(self, x: Array) -> Array:
        """The deepest map, (B, D/16, H/16, W/16, 16 * width)."""
        return self._down_maps(x)[-1]

    def feature_maps(self, x: Array) -> dict[str, Array]:
        """Every level by name: ``input``, ``down1`` to ``down4``, ``up3`` to ``up0``."""
        downs = self._down_maps(x)
        maps = {"input": downs[0]} | {f"down{i}": y for i, y in enumerate(downs[1:], 1)}
        y = downs[-1]
        for up, level in zip(self.ups, range(3, -1, -1), strict=True):
            y = maps[f"up{level}"] = apply(up, y, downs[level], remat=self.config.remat)
        return maps

    def check_size(self, size: tuple[int, ...], batch: int = 2) -> None:
        """Refuses sizes that are not multiples of 16."""
        check_multiple(size, 16, "vnet")
        training = not self.input.norm.use_running_average
        if training and batch == 1 and tuple(size) == (16, 16, 16):
            raise InputError(
                "vnet cannot train on one 16x16x16 volume: its deepest map has a single voxel to "
                "normalise over; use a larger size or a batch."
            )

    def _one_head(self, out_features: int, rngs: nnx.Rngs) -> Output:
        dtype = jnp.dtype(self.config.dtype)
        return Output(2 * self.config.width, out_features, dtype=dtype, rngs=rngs)

    def _down_maps(self, x: Array) -> list[Array]:
        check_input(x, self.config.in_channels, "vnet")
        parts = 1 if self.axis_name is None else lax.axis_size(self.axis_name)
        self.check_size(x.shape[1:4], x.shape[0] * parts)
        maps = [apply(self.input, x, remat=self.config.remat)]
        for down in self.downs:
            maps.append(apply(down, maps[-1], remat=self.config.remat))
        return maps


def _channel_dropout(rate: float, rngs: nnx.Rngs) -> Dropout:
    """Zeroes whole channels of single samples."""
    return Dropout(rate, shared=(1, 2, 3), rngs=rngs)
