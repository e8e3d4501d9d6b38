"""nnU-Net's residual encoder U-Net, from a plan or from a patch size.

Counterpart of ``ResidualEncoderUNet`` of dynamic-network-architectures. The presets M, L and XL of
nnU-Net share widths and block counts; their patches differ, and with them the number of stages.
"""

import dataclasses
import math
from collections.abc import Mapping

import jax.numpy as jnp
from fdif_jax.models import heads
from fdif_jax.models.conv import Shape3
from fdif_jax.models.layers import Conv, ConvTranspose, he_start
from fdif_jax.models.network import SegmentationNetwork
from fdif_jax.models.norms import InstanceNorm, activate, constant
from fdif_jax.models.recompute import apply
from fdif_jax.models.sizes import check_input, check_multiple
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

from fdif_jax.errors import InputError

_BASE_FEATURES, _MAX_FEATURES = 32, 320
_BLOCKS = (1, 3, 4)  # per stage; 6 in all further ones
_LATER_BLOCKS = 6
_MIN_EDGE = 4  # voxels per axis at the bottleneck


@dataclasses.dataclass(frozen=True, slots=True)
class ResEncConfig:
    """What defines a residual encoder U-Net; one entry per stage, finest first.

    Attributes:
      in_channels: of the image.
      out_channels: classes, or pairs (task, classes).
      features: channels.
      kernels: kernel sizes, odd.
      strides: of each stage's first convolution; all 1 for the first stage.
      blocks: residual blocks.
      decoder_convs: convolutions per decoder stage, coarsest first, one less than stages.
      remat: compute each stage again for its gradient, to save memory.
      dtype: compute dtype.
    """

    in_channels: int = 1
    out_channels: heads.Outputs = 14
    features: tuple[int, ...] = (32, 64, 128, 256, 320, 320)
    kernels: tuple[Shape3, ...] = ((3, 3, 3),) * 6
    strides: tuple[Shape3, ...] = ((1, 1, 1), *((2, 2, 2),) * 5)
    blocks: tuple[int, ...] = (1, 3, 4, 6, 6, 6)
    decoder_convs: tuple[int, ...] = (1,) * 5
    remat: bool = False
    dtype: str = "float32"

    def __post_init__(self):
        """Refuses tables of different lengths."""
        lengths = {len(t) for t in (self.features, self.kernels, self.strides, self.blocks)}
        if lengths != {len(self.decoder_convs) + 1}:
            raise InputError(
                "a ResEnc needs features, kernels, strides and blocks for each stage, and "
                f"decoder_convs for all but one; got {len(self.features)}, {len(self.kernels)}, "
                f"{len(self.strides)}, {len(self.blocks)} and {len(self.decoder_convs)}."
            )


def plan_stages(
    patch: Shape3, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> tuple[tuple[Shape3, ...], tuple[Shape3, ...]]:
    """Kernels and strides for a patch as nnU-Net's planner chooses them.

    An axis is halved while at least 4 voxels remain and its spacing is within a factor 2 of the
    finest one that can still be halved; its kernel is 3 from there on, and 1 before.

    Args:
      patch: voxels per axis.
      spacing: millimetres per voxel.
    """
    size, mm = list(patch), list(spacing)
    kernel = [1, 1, 1]
    kernels: list[Shape3] = []
    strides: list[Shape3] = [(1, 1, 1)]
    while True:
        large = [i for i in range(3) if size[i] >= 2 * _MIN_EDGE]
        if not large:
            break
        finest = min(mm[i] for i in large)
        halved = [i for i in large if mm[i] / finest < 2]
        if len(halved) == 1 and size[halved[0]] < 3 * _MIN_EDGE:
            break
        overall = min(mm)
        for i in range(3):
            if mm[i] / overall < 2:
                kernel[i] = 3
        kernels.append((kernel[0], kernel[1], kernel[2]))
        strides.append(tuple(2 if i in halved else 1 for i in range(3)))  # type: ignore[arg-type]
        for i in halved:
            size[i] = math.ceil(size[i] / 2)
            mm[i] *= 2
    return (*kernels, (3, 3, 3)), tuple(strides)


def resenc_config(
    patch: Shape3,
    *,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    in_channels: int = 1,
    out_channels: heads.Outputs = 14,
    remat: bool = False,
    dtype: str = "float32",
) -> ResEncConfig:
    """The M, L or XL network for a patch size."""
    kernels, strides = plan_stages(patch, spacing)
    n = len(strides)
    return ResEncConfig(
        in_channels=in_channels,
        out_channels=out_channels,
        features=tuple(min(_BASE_FEATURES * 2**i, _MAX_FEATURES) for i in range(n)),
        kernels=kernels,
        strides=strides,
        blocks=tuple(_BLOCKS[i] if i < len(_BLOCKS) else _LATER_BLOCKS for i in range(n)),
        decoder_convs=(1,) * (n - 1),
        remat=remat,
        dtype=dtype,
    )


def resenc_config_from_plans(
    plans: Mapping,
    configuration: str = "3d_fullres",
    *,
    in_channels: int = 1,
    out_channels: heads.Outputs = 14,
    remat: bool = False,
    dtype: str = "float32",
) -> ResEncConfig:
    """The network of an nnU-Net ``plans.json``.

    Args:
      plans: the parsed file.
      configuration: which of its configurations.
      in_channels: of the image.
      out_channels: classes.
      remat: see ``ResEncConfig``.
      dtype: compute dtype.

    Raises:
      InputError: no such configuration, another architecture, or an option that is not built
        here (dropout, another norm or non-linearity, 2-D).
    """
    configurations = plans.get("configurations", {})
    if configuration not in configurations:
        raise InputError(
            f"the plans have no configuration {configuration!r}; "
            f"there are: {', '.join(configurations) or 'none'}."
        )
    architecture = _inherited(configurations, configuration, "architecture")
    name = (architecture or {}).get("network_class_name", "unknown")
    if not name.endswith("ResidualEncoderUNet"):
        raise InputError(f"the plans ask for {name}; only ResidualEncoderUNet can be built here.")
    kw = architecture["arch_kwargs"]
    wanted = {
        "conv_op": "Conv3d",
        "norm_op": "InstanceNorm3d",
        "nonlin": "LeakyReLU",
        "dropout_op": None,
    }
    for option, allowed in wanted.items():
        given = kw.get(option)
        if (given or "").split(".")[-1] != (allowed or ""):
            raise InputError(f"the plans ask for {option} {given}; only {allowed} is built here.")
    if not kw.get("conv_bias", True) or not (kw.get("norm_op_kwargs") or {}).get("affine", True):
        raise InputError("the plans ask for conv_bias or affine norms off; only on is built here.")
    stages = kw["n_stages"]
    return ResEncConfig(
        in_channels=in_channels,
        out_channels=out_channels,
        features=tuple(kw["features_per_stage"]),
        kernels=tuple(_three(k) for k in kw["kernel_sizes"]),
        strides=tuple(_three(s) for s in kw["strides"]),
        blocks=_per_stage(kw["n_blocks_per_stage"], stages),
        decoder_convs=_per_stage(kw["n_conv_per_stage_decoder"], stages - 1),
        remat=remat,
        dtype=dtype,
    )


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


def _per_stage(value, stages: int) -> tuple[int, ...]:
    return (value,) * stages if isinstance(value, int) else tuple(value)


def _three(value) -> Shape3:
    return (value,) * 3 if isinstance(value, int) else tuple(value)


def _inherited(configurations: Mapping, name: str, key: str):
    """``key`` of a configuration or of the one it inherits from."""
    entry = configurations[name]
    if key in entry or "inherits_from" not in entry:
        return entry.get(key)
    return _inherited(configurations, entry["inherits_from"], key)
