"""Names of ResidualEncoderUNet and Primus (dynamic-network-architectures), one table each.

nnU-Net and SSL3D use these names. A ResEnc state dict holds every convolution unit twice and the
encoder twice; the tables hold the names that stand for a parameter, ``aliases`` the others.
"""

from typing import Any

import numpy as np

from fdif_jax.interop.entries import Entries, Entry, conv, linear, norm, transposed


def resenc(model: Any, head: str) -> Entries:
    """ResidualEncoderUNet; head 0 is the coarsest."""
    yield from _unit("encoder.stem.convs.0", "stem")
    for s, stage in enumerate(model.stages):
        for b, block in enumerate(stage.parts):
            key, path = f"encoder.stages.{s}.blocks.{b}", f"stages.{s}.parts.{b}"
            yield from _unit(f"{key}.conv1", f"{path}.unit1")
            yield from _unit(f"{key}.conv2", f"{path}.unit2")
            if block.skip is not None:
                index = 1 if max(block.stride) > 1 else 0  # behind the average, if there is one
                yield from _unit(f"{key}.skip.{index}", f"{path}.skip", bias=False)
    for i, stage in enumerate(model.decoder):
        yield from transposed(f"decoder.transpconvs.{i}", f"ups.{i}", bias=True)
        for j in range(len(stage.parts)):
            yield from _unit(f"decoder.stages.{i}.convs.{j}", f"decoder.{i}.parts.{j}")
    for i in range(len(model.side_heads)):
        yield from conv(f"decoder.seg_layers.{i}", f"side_heads.{i}", bias=True)
    yield from conv(f"decoder.seg_layers.{len(model.side_heads)}", head, bias=True)


def primus(model: Any, head: str) -> Entries:
    """Primus."""
    yield from conv("down_projection.proj", "patches", bias=True)
    yield Entry("eva.pos_embed", "positions")
    for i in range(model.config.depth):
        key, path = f"eva.blocks.{i}", f"blocks.{i}"
        yield Entry(f"{key}.gamma_1", f"{path}.scale1")
        yield Entry(f"{key}.gamma_2", f"{path}.scale2")
        yield from norm(f"{key}.norm1", f"{path}.norm1")
        yield from linear(f"{key}.attn.q_proj", f"{path}.attn.q")
        yield from linear(f"{key}.attn.k_proj", f"{path}.attn.k", bias=False)
        yield from linear(f"{key}.attn.v_proj", f"{path}.attn.v")
        yield from norm(f"{key}.attn.norm", f"{path}.attn.norm")
        yield from linear(f"{key}.attn.proj", f"{path}.attn.proj")
        yield from norm(f"{key}.norm2", f"{path}.norm2")
        yield from linear(f"{key}.mlp.fc1_g", f"{path}.mlp.gate")
        yield from linear(f"{key}.mlp.fc1_x", f"{path}.mlp.value")
        yield from norm(f"{key}.mlp.norm", f"{path}.mlp.norm")
        yield from linear(f"{key}.mlp.fc2", f"{path}.mlp.out")
    yield from norm("eva.norm", "norm")
    for i in (0, 1):
        yield from transposed(f"up_projection.decode.{i}.0", f"{head}.ups.{i}", bias=True)
        yield from norm(f"up_projection.decode.{i}.1", f"{head}.norms.{i}")
    yield from transposed("up_projection.decode.2", f"{head}.ups.2", bias=True)


def constants(model: Any, entries: list[Entry]) -> dict[str, np.ndarray]:
    """What the state dicts hold besides our parameters, for ``strict=True``."""
    if type(model).__name__ == "Primus":
        return {"mask_token": np.zeros((1, 1, model.config.hidden_size), np.float32)}
    return {}


IGNORED = (r"mask_token",)


def canonical(key: str) -> str:
    """The name that stands for a parameter, from any of its names."""
    if key.startswith("decoder.encoder."):
        key = key.removeprefix("decoder.")
    return key.replace(".all_modules.0.", ".conv.").replace(".all_modules.1.", ".norm.")


def aliases(key: str) -> list[str]:
    """All names of a ResEnc parameter, the canonical one first."""
    names = [key]
    twin = key.replace(".conv.", ".all_modules.0.").replace(".norm.", ".all_modules.1.")
    if twin != key:
        names.append(twin)
    if key.startswith("encoder."):
        names += [f"decoder.{name}" for name in names]
    return names


def _unit(key: str, path: str, *, bias: bool = True) -> Entries:
    yield from conv(f"{key}.conv", f"{path}.conv", bias=bias)
    yield from norm(f"{key}.norm", f"{path}.norm")
