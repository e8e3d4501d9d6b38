"""Names of MONAI's VNet, UNETR and SwinUNETR, one table each."""

from typing import Any

import numpy as np

from fdif_jax.interop.entries import (
    Entries,
    Entry,
    batch_norm,
    conv,
    linear,
    norm,
    transposed,
)
from fdif_jax.models.windows import relative_position_index

_SWIN_ENCODERS = (1, 2, 3, 4, 10)


def vnet(model: Any, head: str) -> Entries:
    """MONAI's VNet."""
    yield from _vnet_unit("in_tr.conv_block", "input")
    names = zip(("down_tr32", "down_tr64", "down_tr128", "down_tr256"), model.downs, strict=True)
    for i, (name, down) in enumerate(names):
        yield from conv(f"{name}.down_conv", f"downs.{i}.conv")
        yield from batch_norm(f"{name}.bn1", f"downs.{i}.norm")
        for j in range(len(down.units)):
            yield from _vnet_unit(f"{name}.ops.{j}.conv_block", f"downs.{i}.units.{j}")
    names = zip(("up_tr256", "up_tr128", "up_tr64", "up_tr32"), model.ups, strict=True)
    for i, (name, up) in enumerate(names):
        yield from transposed(f"{name}.up_conv", f"ups.{i}.up", bias=True)
        yield from batch_norm(f"{name}.bn1", f"ups.{i}.norm")
        for j in range(len(up.units)):
            yield from _vnet_unit(f"{name}.ops.{j}.conv_block", f"ups.{i}.units.{j}")
    yield from _vnet_unit("out_tr.conv_block", f"{head}.unit")
    yield from conv("out_tr.conv2", f"{head}.conv", bias=True)


def unetr(model: Any, head: str) -> Entries:
    """MONAI's UNETR, without the parameters that it never uses."""
    yield Entry("vit.patch_embedding.position_embeddings", "positions")
    yield from conv("vit.patch_embedding.patch_embeddings", "patches", bias=True)
    for i in range(model.config.depth):
        key, path = f"vit.blocks.{i}", f"blocks.{i}"
        yield from norm(f"{key}.norm1", f"{path}.norm1")
        yield from linear(f"{key}.attn.qkv", f"{path}.attn.qkv", bias=False)
        yield from linear(f"{key}.attn.out_proj", f"{path}.attn.proj")
        yield from norm(f"{key}.norm2", f"{path}.norm2")
        yield from _mlp(f"{key}.mlp", f"{path}.mlp")
    yield from norm("vit.norm", "norm")
    yield from _residual("encoder1.layer", model.encoder1, "encoder1")
    for level in (2, 3, 4):
        name = f"encoder{level}"
        block = getattr(model, name)
        yield from transposed(f"{name}.transp_conv_init.conv", f"{name}.up")
        for j in range(len(block.ups)):
            yield from transposed(f"{name}.blocks.{j}.0.conv", f"{name}.ups.{j}")
            yield from _residual(f"{name}.blocks.{j}.1", block.blocks[j], f"{name}.blocks.{j}")
    for level in (5, 4, 3, 2):
        yield from _up(f"decoder{level}", model)
    yield from conv("out.conv.conv", head, bias=True)


def swin_unetr(model: Any, head: str) -> Entries:
    """MONAI's SwinUNETR."""
    yield from conv("swinViT.patch_embed.proj", "swin.patches", bias=True)
    for i, stage in enumerate(model.swin.stages):
        key, path = f"swinViT.layers{i + 1}.0", f"swin.stages.{i}"
        if stage.conv is not None:
            yield from _residual(f"swinViT.layers{i + 1}c.0.layer", stage.conv, f"{path}.conv")
        for b in range(len(stage.blocks)):
            block, ours = f"{key}.blocks.{b}", f"{path}.blocks.{b}"
            yield from norm(f"{block}.norm1", f"{ours}.norm1")
            yield Entry(f"{block}.attn.relative_position_bias_table", f"{ours}.attn.table")
            yield from linear(f"{block}.attn.qkv", f"{ours}.attn.qkv")
            yield from linear(f"{block}.attn.proj", f"{ours}.attn.proj")
            yield from norm(f"{block}.norm2", f"{ours}.norm2")
            yield from _mlp(f"{block}.mlp", f"{ours}.mlp")
        yield from norm(f"{key}.downsample.norm", f"{path}.merge.norm")
        yield from linear(f"{key}.downsample.reduction", f"{path}.merge.reduction", bias=False)
    for level in _SWIN_ENCODERS:
        name = f"encoder{level}"
        yield from _residual(f"{name}.layer", getattr(model, name), name)
    for level in (5, 4, 3, 2, 1):
        yield from _up(f"decoder{level}", model)
    yield from conv("out.conv.conv", head, bias=True)


def constants(model: Any, entries: list[Entry]) -> dict[str, np.ndarray]:
    """What MONAI's state dicts hold besides our parameters, for ``strict=True``."""
    network = type(model).__name__
    if network == "VNet":
        stems = [e.key.removesuffix("running_mean") for e in entries if "running_mean" in e.key]
        return {f"{stem}num_batches_tracked": np.zeros((), np.int64) for stem in stems}
    if network == "UNETR":
        width, found = model.config.hidden_size, {}
        for i in range(model.config.depth):
            found[f"vit.blocks.{i}.norm_cross_attn.weight"] = np.ones(width, np.float32)
            found[f"vit.blocks.{i}.norm_cross_attn.bias"] = np.zeros(width, np.float32)
        return found
    index = relative_position_index(model.config.window).astype(np.int64)
    tables = [e.key for e in entries if e.key.endswith("relative_position_bias_table")]
    return {key.replace("bias_table", "index"): index for key in tables}


# Keys that a file may hold and we do not: running counters, indices that are recomputed, and
# parameters of UNETR that nothing uses (the cross attention up to MONAI 1.4, its norm still).
IGNORED = (
    r".*\.num_batches_tracked",
    r".*\.relative_position_index",
    r"vit\.blocks\.\d+\.(norm_cross_attn|cross_attn)\..*",
)


def to_swinvit(key: str) -> str | None:
    """The key in SwinUNETR's self-supervised files, or None outside the encoder."""
    if not key.startswith("swinViT."):
        return None
    key = "module." + key.removeprefix("swinViT.")
    return key.replace("mlp.linear1", "mlp.fc1").replace("mlp.linear2", "mlp.fc2")


def from_swinvit(key: str, wrapper: str = "module.") -> str:
    """The inverse of ``to_swinvit``; ``wrapper`` is what stands before each name."""
    key = "swinViT." + key.removeprefix(wrapper)
    return key.replace("mlp.fc1", "mlp.linear1").replace("mlp.fc2", "mlp.linear2")


def _vnet_unit(key: str, path: str) -> Entries:
    yield from conv(f"{key}.conv", f"{path}.conv")
    yield from batch_norm(f"{key}.adn.N", f"{path}.norm")


def _mlp(key: str, path: str) -> Entries:
    for name in ("linear1", "linear2"):
        yield from linear(f"{key}.{name}", f"{path}.{name}")


def _residual(key: str, block: Any, path: str) -> Entries:
    for name in ("conv1", "conv2") + (("conv3",) if block.conv3 is not None else ()):
        yield from conv(f"{key}.{name}.conv", f"{path}.{name}")


def _up(name: str, model: Any) -> Entries:
    yield from transposed(f"{name}.transp_conv.conv", f"{name}.up")
    yield from _residual(f"{name}.conv_block", getattr(model, name).block, f"{name}.block")
