"""Which network a state dict is for, and with which options, from its names and shapes."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fdif_jax.errors import InputError
from fdif_jax.interop import dynamic, monai
from fdif_jax.models.registry import (
    PRESETS,
    Config,
    config_from,
)
from fdif_jax.models.swin import Merging

Shape3 = tuple[int, int, int]


def infer_config(
    tensors: Mapping[str, np.ndarray],
    *,
    image_size: Shape3 | None = None,
    merging: Merging = "merging",
) -> Config:
    """The config of the network that ``tensors`` are for.

    Args:
      tensors: by their original's names.
      image_size: of UNETR and Primus; a file does not say it, so a cube is assumed.
      merging: of SwinUNETR; a file does not say which version of MONAI it is from.

    Raises:
      InputError: none of the five networks, or too little of one to tell.
    """
    for mark, guess in _MARKS.items():
        if mark in tensors:
            try:
                return guess(tensors, image_size, merging)
            except KeyError as error:
                raise InputError(
                    f"the file looks like {guess.__name__.strip('_')}, but {error} is missing."
                ) from None
    some = ", ".join(list(tensors)[:3]) or "none"
    raise InputError(
        "the file is for none of vnet, unetr, swin_unetr, resenc and primus; "
        f"its first keys are: {some}."
    )


def original_names(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without wrappers like ``module.``, aliases or self-supervised names."""
    if any(key.startswith("module.patch_embed") for key in tensors):
        return {
            monai.from_swinvit(k): v
            for k, v in tensors.items()
            if k.startswith(("module.patch_embed", "module.layers"))
        }
    found = dict(tensors)
    for wrapper in ("module.", "_orig_mod.", "model.", "net.", "network."):
        if found and all(key.startswith(wrapper) for key in found):
            found = {key.removeprefix(wrapper): value for key, value in found.items()}
    if "encoder.stem.convs.0.conv.weight" in found or any("all_modules" in k for k in found):
        found = {dynamic.canonical(key): value for key, value in found.items()}
    return found


def _vnet(t: Mapping[str, Any], image_size: Shape3 | None, merging: Merging) -> Config:
    width, channels = t["in_tr.conv_block.conv.weight"].shape[:2]
    return config_from(
        "vnet",
        {
            "width": width,
            "in_channels": channels,
            "out_channels": t["out_tr.conv2.bias"].shape[0],
        },
    )


def _unetr(t: Mapping[str, Any], image_size: Shape3 | None, merging: Merging) -> Config:
    wide, channels = t["vit.patch_embedding.patch_embeddings.weight"].shape[:2]
    tokens = t["vit.patch_embedding.position_embeddings"].shape[1]
    return config_from(
        "unetr",
        {
            "in_channels": channels,
            "hidden_size": wide,
            "out_channels": t["out.conv.conv.bias"].shape[0],
            "image_size": _image_size(tokens, 16, image_size, "unetr"),
            "feature_size": t["encoder1.layer.conv1.conv.weight"].shape[0],
            "mlp_size": t["vit.blocks.0.mlp.linear1.weight"].shape[0],
            "heads": max(1, wide // 64),
            "depth": _count(t, "vit.blocks.{}.norm1.weight"),
        },
    )


def _swin_unetr(t: Mapping[str, Any], image_size: Shape3 | None, merging: Merging) -> Config:
    features, channels = t["swinViT.patch_embed.proj.weight"].shape[:2]
    table = "swinViT.layers{}.0.blocks.0.attn.relative_position_bias_table"
    tables = [t[table.format(s)].shape for s in (1, 2, 3, 4)]
    block = "swinViT.layers%d.0.blocks.{}.norm1.weight"
    head = t.get("out.conv.conv.bias")
    return config_from(
        "swin_unetr",
        {
            "in_channels": channels,
            "feature_size": features,
            "out_channels": 14 if head is None else head.shape[0],
            "heads": tuple(shape[1] for shape in tables),
            "depths": tuple(_count(t, block % s) for s in (1, 2, 3, 4)),
            "window": (round(tables[0][0] ** (1 / 3)) + 1) // 2,
            "merging": merging,
            "use_v2": "swinViT.layers1c.0.layer.conv1.conv.weight" in t,
        },
    )


def _resenc(t: Mapping[str, Any], image_size: Shape3 | None, merging: Merging) -> Config:
    stages = _count(t, "encoder.stages.{}.blocks.0.conv1.conv.weight")
    first = [t[f"encoder.stages.{s}.blocks.0.conv1.conv.weight"].shape for s in range(stages)]
    ups = [t[f"decoder.transpconvs.{i}.weight"].shape[2:] for i in range(stages - 1)]
    block = "encoder.stages.%d.blocks.{}.conv1.conv.weight"
    convs = "decoder.stages.%d.convs.{}.conv.weight"
    return config_from(
        "resenc",
        {
            "in_channels": t["encoder.stem.convs.0.conv.weight"].shape[1],
            "out_channels": t[f"decoder.seg_layers.{stages - 2}.bias"].shape[0],
            "features": tuple(shape[0] for shape in first),
            "kernels": tuple(tuple(shape[2:]) for shape in first),
            "strides": ((1, 1, 1), *(tuple(up) for up in reversed(ups))),
            "blocks": tuple(_count(t, block % s) for s in range(stages)),
            "decoder_convs": tuple(_count(t, convs % i) for i in range(stages - 1)),
        },
    )


def _primus(t: Mapping[str, Any], image_size: Shape3 | None, merging: Merging) -> Config:
    wide, channels = t["down_projection.proj.weight"].shape[:2]
    known = {p.config.hidden_size: p.config.heads for p in PRESETS if p.family == "primus"}  # type: ignore[union-attr]
    return config_from(
        "primus",
        {
            "in_channels": channels,
            "hidden_size": wide,
            "out_channels": t["up_projection.decode.2.bias"].shape[0],
            "image_size": _image_size(t["eva.pos_embed"].shape[1], 8, image_size, "primus"),
            "depth": _count(t, "eva.blocks.{}.gamma_1"),
            "heads": known.get(wide, max(1, wide // 72)),
        },
    )


_MARKS: dict[str, Callable[[Mapping[str, Any], Shape3 | None, Merging], Config]] = {
    "in_tr.conv_block.conv.weight": _vnet,
    "vit.patch_embedding.patch_embeddings.weight": _unetr,
    "swinViT.patch_embed.proj.weight": _swin_unetr,
    "encoder.stem.convs.0.conv.weight": _resenc,
    "down_projection.proj.weight": _primus,
}


def _count(t: Mapping[str, Any], pattern: str) -> int:
    n = 0
    while pattern.format(n) in t:
        n += 1
    return n


def _image_size(tokens: int, patch: int, given: Shape3 | None, network: str) -> Shape3:
    """The size that gives this many tokens: as given, else a cube.

    Raises:
      InputError: the given size does not, or no cube does.
    """
    if given is not None:
        if math.prod(n // patch for n in given) != tokens:
            raise InputError(
                f"this {network} has {tokens} positions; {given} in patches of {patch} gives "
                f"{math.prod(n // patch for n in given)}."
            )
        return tuple(given)  # type: ignore[return-value]
    side = round(tokens ** (1 / 3))
    if side**3 != tokens:
        raise InputError(
            f"this {network} has {tokens} positions, which is no cube: pass its image size."
        )
    return (side * patch,) * 3
