"""nnU-Net's residual encoder U-Net.

Counterpart of ``ResidualEncoderUNet`` of dynamic-network-architectures; how many stages it has, and
how they look, comes from ``resenc_plan``.
"""

import math
from collections.abc import Mapping

import jax.numpy as jnp
from fdif_jax.models import heads
from fdif_jax.models.conv import Shape3
from fdif_jax.models.layers import Conv, ConvTranspose, he_start
from fdif_jax.models.network import SegmentationNetwork
from fdif_jax.models.norms import InstanceNorm, activate, constant
from fdif_jax.models.recompute import apply
from fdif_jax.models.resenc_plan import ResEncConfig
from fdif_jax.models.sizes import check_input, check_multiple
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from fdif_jax.errors import InputError


class Unit(nnx.Module):
    """Convolution and affine instance norm, with or without the activation behind."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel: Shape3,
        stride: Shape3 = (1, 1, 1),
        *,
        use_bias: bool = True,
        activated: bool = True,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.conv = Conv(
            in_features, out_features, kernel, stride, use_bias=use_bias, dtype=dtype, rngs=rngs
        )
        activation = "leaky_relu" if activated else "none"
        self.norm = InstanceNorm(out_features, affine=True, activation=activation)

    def __call__(self, x: Array) -> Array:
        """(B, D, H, W, in_features) to (B, D / stride, ..., out_features)."""
        return self.norm(self.conv(x))


class Block(nnx.Module):
    """Two units and a skip; where it strides, the skip is averaged, then mapped if it must."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel: Shape3,
        stride: Shape3,
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.stride = stride
        self.unit1 = Unit(in_features, out_features, kernel, stride, dtype=dtype, rngs=rngs)
        self.unit2 = Unit(
            out_features, out_features, kernel, activated=False, dtype=dtype, rngs=rngs
        )
        self.skip = (
            None
            if in_features == out_features
            else Unit(
                in_features,
                out_features,
                (1, 1, 1),
                use_bias=False,
                activated=False,
                dtype=dtype,
                rngs=rngs,
            )
        )

    def __call__(self, x: Array) -> Array:
        """(B, D, H, W, in_features) to (B, D / stride, ..., out_features)."""
        y = self.unit2(self.unit1(x))
        skip = average_pool(x, self.stride) if max(self.stride) > 1 else x
        if self.skip is not None:
            skip = self.skip(skip)
        return activate(y + skip.astype(y.dtype), "leaky_relu")


class Stage(nnx.Module):
    """Modules one after another, as one unit of recomputation."""

    def __init__(self, modules: list):
        self.parts = nnx.List(modules)

    def __call__(self, x: Array) -> Array:
        """Through all parts."""
        for part in self.parts:
            x = part(x)
        return x


class ResEncUNet(SegmentationNetwork):
    """Residual encoder, plain decoder, and a head at every decoder level.

    Args:
      config: see ``ResEncConfig``.
      rngs: stream ``params``.
    """

    decoder_parts = ("ups", "decoder", "side_heads", "head")

    def __init__(self, config: ResEncConfig, *, rngs: nnx.Rngs):
        c, dtype = config, jnp.dtype(config.dtype)
        self.config = c
        self.encoded_features = c.features[-1]
        self.stem = Unit(c.in_channels, c.features[0], c.kernels[0], dtype=dtype, rngs=rngs)
        widths = (c.features[0], *c.features)
        self.stages = nnx.List(
            [
                Stage(
                    [
                        Block(
                            widths[s] if b == 0 else c.features[s],
                            c.features[s],
                            c.kernels[s],
                            c.strides[s] if b == 0 else (1, 1, 1),
                            dtype=dtype,
                            rngs=rngs,
                        )
                        for b in range(c.blocks[s])
                    ]
                )
                for s in range(len(c.features))
            ]
        )
        levels = range(len(c.features) - 2, -1, -1)  # coarsest first
        self.ups = nnx.List(
            [
                ConvTranspose(
                    c.features[q + 1],
                    c.features[q],
                    c.strides[q + 1],
                    use_bias=True,
                    dtype=dtype,
                    rngs=rngs,
                )
                for q in levels
            ]
        )
        self.decoder = nnx.List(
            [
                Stage(
                    [
                        Unit(
                            c.features[q] * (2 if i == 0 else 1),
                            c.features[q],
                            c.kernels[q],
                            dtype=dtype,
                            rngs=rngs,
                        )
                        for i in range(n)
                    ]
                )
                for q, n in zip(levels, c.decoder_convs, strict=True)
            ]
        )
        self._initialize(rngs)
        self.replace_head(c.out_channels, rngs=rngs)

    def __call__(
        self, x: Array, *, deep_supervision: bool = False
    ) -> Array | dict[str, Array] | list[Array]:
        """Float32 logits (B, D, H, W, out_channels), or by task.

        Args:
          x: (B, D, H, W, in_channels).
          deep_supervision: a list instead, the logits of every decoder level, finest first.
        """
        maps = self.feature_maps(x)
        finest = heads.apply_heads(self.head, maps["decoder0"])
        if not deep_supervision:
            return finest
        coarser = [
            heads.apply_heads(head, maps[f"decoder{len(self.side_heads) - i}"])
            for i, head in enumerate(self.side_heads)
        ]
        return [finest, *reversed(coarser)]  # type: ignore[list-item]

    def encode(self, x: Array) -> Array:
        """The bottleneck, (B, d, h, w, features[-1])."""
        return self._encoder_maps(x)[-1]

    def feature_maps(self, x: Array) -> dict[str, Array]:
        """``encoder0`` (finest) to the bottleneck, ``decoder0`` (finest) to the coarsest."""
        skips = self._encoder_maps(x)
        maps = {f"encoder{i}": y for i, y in enumerate(skips)}
        y = skips[-1]
        for up, stage, q in zip(self.ups, self.decoder, range(len(skips) - 2, -1, -1), strict=True):
            both = jnp.concatenate([up(y), skips[q]], axis=-1)
            y = maps[f"decoder{q}"] = apply(stage, both, remat=self.config.remat)
        return maps

    def check_size(self, size: tuple[int, ...], batch: int = 1) -> None:
        """Refuses sizes that the strides do not divide, and a bottleneck of one voxel."""
        product = _product(self.config.strides)
        check_multiple(size, product, "resenc")
        if tuple(size) == product:
            given = "x".join(map(str, size))
            raise InputError(
                f"resenc cannot take {given}: with {len(self.config.strides)} stages its deepest "
                "map has a single voxel to normalise over; double one axis, or use fewer stages."
            )

    def replace_head(
        self, out_channels: int | Mapping[str, int] | heads.Outputs, *, rngs: nnx.Rngs
    ) -> None:
        """Fresh heads at every level, by task at the finest; everything else stays."""
        super().replace_head(out_channels, rngs=rngs)
        outputs = self.config.out_channels
        levels = range(len(self.config.features) - 2, 0, -1)
        single = isinstance(outputs, int)
        self.side_heads = nnx.List(
            [self._head_at(q, outputs, rngs) for q in levels] if single else []
        )

    def _one_head(self, out_features: int, rngs: nnx.Rngs) -> Conv:
        return self._head_at(0, out_features, rngs)

    def _head_at(self, level: int, out_features: int, rngs: nnx.Rngs) -> Conv:
        width, dtype = self.config.features[level], jnp.dtype(self.config.dtype)
        head = Conv(width, out_features, 1, use_bias=True, dtype=dtype, rngs=rngs)
        he_start(head, rngs)
        return head

    def _encoder_maps(self, x: Array) -> list[Array]:
        check_input(x, self.config.in_channels, "resenc")
        self.check_size(x.shape[1:4])
        y, maps = self.stem(x), []
        for stage in self.stages:
            y = apply(stage, y, remat=self.config.remat)
            maps.append(y)
        return maps

    def _initialize(self, rngs: nnx.Rngs) -> None:
        """He normal kernels, zero biases, and each block starts as its skip alone."""
        for _, module in nnx.iter_modules(self):
            if isinstance(module, Conv | ConvTranspose):
                he_start(module, rngs)
            elif isinstance(module, Block):
                scale = module.unit2.norm.scale
                scale.set_value(constant(0.0, scale.shape[0]))  # type: ignore[union-attr]


def average_pool(x: Array, size: Shape3) -> Array:
    """Means of blocks, (B, D, H, W, C) to (B, D / size, ..., C)."""
    (b, d, h, w, c), (i, j, k) = x.shape, size
    blocks = x.reshape(b, d // i, i, h // j, j, w // k, k, c)
    return blocks.mean(axis=(2, 4, 6))


def _product(strides: tuple[Shape3, ...]) -> tuple[int, ...]:
    return tuple(math.prod(axis) for axis in zip(*strides, strict=True))
