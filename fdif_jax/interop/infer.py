"""With which options a network was built, from the names and shapes of its state dict.

What no shape tells is taken from hints, else assumed; every assumption is named.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fdif_jax.errors import InputError
from fdif_jax.interop.hints import Hints, config_of_plans
from fdif_jax.interop.naming import MARKS, Named
from fdif_jax.models.conv import Shape3
from fdif_jax.models.registry import PRESETS, Config, Family, config_from

_OUT = 14
_HEAD_WIDTH = {"unetr": 64, "primus": 72}  # features a head, in every preset but one


class Inferred(NamedTuple):
    """A config, and what had to be assumed for it, one sentence each with the option to say it."""

    config: Config
    assumed: tuple[str, ...]


def infer_config(found: Named, hints: Hints | None = None) -> Inferred:
    """The config of the network that a state dict is for.

    Args:
      found: its tensors in their original names.
      hints: what the tensors do not say.

    Raises:
      InputError: none of the five networks, or too little of one to tell.
    """
    if found.family is None:
        some = ", ".join(list(found.tensors)[:3]) or "none"
        raise InputError(f"the file is for none of {', '.join(MARKS)}; its first keys are: {some}.")
    seen = _Shapes(found.tensors, found.family)
    assumed: list[str] = []
    values = _GUESSES[found.family](seen, hints or Hints(), assumed)
    config = values if not isinstance(values, dict) else config_from(found.family, values)
    return Inferred(config, tuple(assumed))


class _Shapes:
    """Shapes by key; a key that is missing or odd is an error a person can act on."""

    def __init__(self, tensors: Mapping[str, np.ndarray], family: Family):
        self._tensors, self._family = tensors, family

    def __contains__(self, key: str) -> bool:
        return key in self._tensors

    def __call__(self, key: str, axes: int) -> tuple[int, ...]:
        if key not in self._tensors:
            raise InputError(
                f"the file looks like {self._family}, but {key} is missing; it cannot be read as "
                "a whole network."
            )
        shape = tuple(self._tensors[key].shape)
        if len(shape) != axes or min(shape) < 1:
            raise InputError(
                f"the file looks like {self._family}, but {key} has shape {shape}; "
                f"{axes} axes of at least one are allowed."
            )
        return shape

    def count(self, pattern: str) -> int:
        n = 0
        while pattern.format(n) in self._tensors:
            n += 1
        return n

    def any(self, start: str) -> bool:
        return any(key.startswith(start) for key in self._tensors)


def _vnet(t: _Shapes, hints: Hints, assumed: list[str]) -> dict[str, Any]:
    width, channels = t("in_tr.conv_block.conv.weight", 5)[:2]
    return {
        "width": width,
        "in_channels": channels,
        "out_channels": _outputs(t, "out_tr.conv2.bias", assumed),
    }


def _unetr(t: _Shapes, hints: Hints, assumed: list[str]) -> dict[str, Any]:
    wide, channels = t("vit.patch_embedding.patch_embeddings.weight", 5)[:2]
    tokens = t("vit.patch_embedding.position_embeddings", 3)[1]
    return {
        "in_channels": channels,
        "hidden_size": wide,
        "out_channels": _outputs(t, "out.conv.conv.bias", assumed),
        "image_size": _image_size(tokens, 16, hints.image_size, "unetr", assumed),
        "feature_size": t("encoder1.layer.conv1.conv.weight", 5)[0],
        "mlp_size": t("vit.blocks.0.mlp.linear1.weight", 2)[0],
        "heads": _heads(wide, hints.heads, "unetr", assumed),
        "depth": t.count("vit.blocks.{}.norm1.weight"),
    }


def _swin_unetr(t: _Shapes, hints: Hints, assumed: list[str]) -> dict[str, Any]:
    features, channels = t("swinViT.patch_embed.proj.weight", 5)[:2]
    table = "swinViT.layers{}.0.blocks.0.attn.relative_position_bias_table"
    tables = [t(table.format(s), 2) for s in (1, 2, 3, 4)]
    block = "swinViT.layers%d.0.blocks.{}.norm1.weight"
    if hints.merging is None:
        assumed.append("patches merged as in MONAI 1.5 and later (--merging legacy for 1.4)")
    return {
        "in_channels": channels,
        "feature_size": features,
        "out_channels": _outputs(t, "out.conv.conv.bias", assumed),
        "heads": tuple(shape[1] for shape in tables),
        "depths": tuple(t.count(block % s) for s in (1, 2, 3, 4)),
        "window": (round(tables[0][0] ** (1 / 3)) + 1) // 2,
        "merging": hints.merging or "merging",
        "use_v2": "swinViT.layers1c.0.layer.conv1.conv.weight" in t,
    }


def _resenc(t: _Shapes, hints: Hints, assumed: list[str]) -> dict[str, Any] | Config:
    stages = t.count("encoder.stages.{}.blocks.0.conv1.conv.weight")
    first = [t(f"encoder.stages.{s}.blocks.0.conv1.conv.weight", 5) for s in range(stages)]
    channels = t("encoder.stem.convs.0.conv.weight", 5)[1]
    outputs = _outputs(t, f"decoder.seg_layers.{stages - 2}.bias", assumed)
    if hints.plans is not None:
        return config_of_plans(hints.plans, in_channels=channels, out_channels=outputs)
    block = "encoder.stages.%d.blocks.{}.conv1.conv.weight"
    if t.any("decoder."):
        ups = [t(f"decoder.transpconvs.{i}.weight", 5)[2:] for i in range(stages - 1)]
        convs = tuple(
            t.count(f"decoder.stages.{i}.convs.{{}}.conv.weight") for i in range(len(ups))
        )
    else:
        assumed.append("strides of 2 at every stage but the first, as no decoder tells (--plans)")
        ups, convs = [(2, 2, 2)] * (stages - 1), (1,) * (stages - 1)
    return {
        "in_channels": channels,
        "out_channels": outputs,
        "features": tuple(shape[0] for shape in first),
        "kernels": tuple(tuple(shape[2:]) for shape in first),
        "strides": ((1, 1, 1), *(tuple(up) for up in reversed(ups))),
        "blocks": tuple(t.count(block % s) for s in range(stages)),
        "decoder_convs": convs,
    }


def _primus(t: _Shapes, hints: Hints, assumed: list[str]) -> dict[str, Any]:
    wide, channels = t("down_projection.proj.weight", 5)[:2]
    tokens = t("eva.pos_embed", 3)[1]
    return {
        "in_channels": channels,
        "hidden_size": wide,
        "out_channels": _outputs(t, "up_projection.decode.2.bias", assumed),
        "image_size": _image_size(tokens, 8, hints.image_size, "primus", assumed),
        "depth": t.count("eva.blocks.{}.gamma_1"),
        "heads": _heads(wide, hints.heads, "primus", assumed),
    }


_GUESSES: dict[Family, Callable[[_Shapes, Hints, list[str]], dict[str, Any] | Config]] = {
    "vnet": _vnet,
    "unetr": _unetr,
    "swin_unetr": _swin_unetr,
    "resenc": _resenc,
    "primus": _primus,
}


def _outputs(t: _Shapes, bias: str, assumed: list[str]) -> int:
    if bias in t:
        return t(bias, 1)[0]
    assumed.append(f"{_OUT} outputs, as the file has no head")
    return _OUT


def _heads(wide: int, given: int | None, family: str, assumed: list[str]) -> int:
    """The given number, else the one that the preset of this width has, else by features."""
    if given is not None:
        return given
    known = {
        p.config.hidden_size: p.config.heads  # type: ignore[union-attr]
        for p in PRESETS
        if p.family == family
    }
    wished = known.get(wide) or max(1, wide // _HEAD_WIDTH[family])
    divides = [n for n in range(1, wide + 1) if wide % n == 0]
    if family == "primus":
        divides = [n for n in divides if wide // n % 6 == 0] or divides
    heads = min(divides, key=lambda n: abs(n - wished))
    assumed.append(f"{heads} attention heads, {wide // heads} features each (--heads)")
    return heads


def _image_size(
    tokens: int, patch: int, given: Shape3 | None, family: str, assumed: list[str]
) -> Shape3:
    """The size that gives this many tokens: as given, else a cube.

    Raises:
      InputError: the given size does not, or no cube does.
    """
    if given is not None:
        wanted = math.prod(n // patch for n in given)
        if wanted != tokens or any(n % patch for n in given):
            size = "x".join(map(str, given))
            raise InputError(
                f"this {family} has {tokens} positions, one for each {patch}x{patch}x{patch} "
                f"voxels; a patch of {size} has {wanted}: give the one it was trained on "
                "(--grid_size)."
            )
        return given
    side = round(tokens ** (1 / 3))
    if side**3 != tokens:
        raise InputError(
            f"this {family} has {tokens} positions, one for each {patch}x{patch}x{patch} voxels, "
            "which is no cube: give the patch that it was trained on (--grid_size)."
        )
    assumed.append(f"a patch of {side * patch} voxels in every axis (--grid_size)")
    return (side * patch,) * 3
