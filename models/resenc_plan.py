"""The stages of nnU-Net's residual encoder U-Net: from its plans, or from a patch size.

The presets M, L and XL of nnU-Net share widths and block counts; their patches differ, and with
them the number of stages.
"""

import dataclasses
import math
from collections.abc import Mapping

from fdif_jax.models import heads
from fdif_jax.models.conv import Shape3

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
