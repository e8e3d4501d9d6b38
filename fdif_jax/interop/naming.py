"""Which network a state dict is for, and its tensors in that network's original names.

Files come with wrappers before every name (``module.`` of DataParallel, ``_orig_mod.`` of
torch.compile, ``backbone.`` …), with ResEnc's aliases, or in the names of SwinUNETR's
self-supervised files. A network is known by one key that it always has; whatever stands before
that key is the wrapper.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from fdif_jax.errors import InputError
from fdif_jax.interop import dynamic, monai
from fdif_jax.models.registry import Family

MARKS: dict[Family, str] = {
    "vnet": "in_tr.conv_block.conv.weight",
    "unetr": "vit.patch_embedding.patch_embeddings.weight",
    "swin_unetr": "swinViT.patch_embed.proj.weight",
    "resenc": "encoder.stem.convs.0.conv.weight",
    "primus": "down_projection.proj.weight",
}
_SWINVIT = ("patch_embed.proj.weight", "layers1.0.blocks.0.norm1.weight")


class Named(NamedTuple):
    """A state dict in its network's original names.

    Attributes:
      tensors: one for each name, without aliases.
      family: the network, or None where no key tells.
      wrapper: what stood before every name.
      passed: keys outside the network.
    """

    tensors: dict[str, np.ndarray]
    family: Family | None
    wrapper: str = ""
    passed: tuple[str, ...] = ()


def named(tensors: Mapping[str, np.ndarray]) -> Named:
    """Takes wrappers, aliases and self-supervised names off.

    Raises:
      InputError: the network stands in it twice, or a tensor and its alias differ.
    """
    for family, mark in MARKS.items():
        wrapper = _wrapper(tensors, mark)
        if wrapper is None and family == "resenc":
            wrapper = _wrapper(tensors, mark.replace(".conv.weight", ".all_modules.0.weight"))
        if wrapper is None:
            continue
        own, passed = _below(tensors, wrapper)
        if family == "resenc":
            own = _without_aliases(own)
        return Named(own, family, wrapper, passed)
    wrapper = _wrapper(tensors, _SWINVIT[0])
    if wrapper is not None and wrapper + _SWINVIT[1] in tensors:
        wanted = tuple(wrapper + part for part in ("patch_embed", "layers"))
        own = {
            monai.from_swinvit(key, wrapper): value
            for key, value in tensors.items()
            if key.startswith(wanted)
        }
        passed = tuple(key for key in tensors if not key.startswith(wanted))
        return Named(own, "swin_unetr", wrapper, passed)
    return Named(dict(tensors), None)


def _wrapper(tensors: Mapping[str, np.ndarray], mark: str) -> str | None:
    """What stands before ``mark``; the shortest, for aliases have the longer ones."""
    found = [key.removesuffix(mark) for key in tensors if key == mark or key.endswith(f".{mark}")]
    if not found:
        return None
    shortest = min(found, key=len)
    apart = [other for other in found if not other.startswith(shortest)]
    if apart:
        places = " and ".join(repr(place) for place in sorted({shortest, *apart}))
        raise InputError(
            f"the file holds the network under {places}; save one of them alone, as a state dict."
        )
    return shortest


def _below(
    tensors: Mapping[str, np.ndarray], wrapper: str
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    own = {k.removeprefix(wrapper): v for k, v in tensors.items() if k.startswith(wrapper)}
    return own, tuple(k for k in tensors if not k.startswith(wrapper))


def _without_aliases(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """ResEnc's tensors under their canonical names.

    Raises:
      InputError: two names of one tensor hold different numbers.
    """
    found: dict[str, np.ndarray] = {}
    for key, value in tensors.items():
        name = dynamic.canonical(key)
        first = found.setdefault(name, value)
        if first is not value and not _same(first, value):
            raise InputError(
                f"{key} and {name} are two names of one tensor, but differ; "
                "save the state dict of the network again."
            )
    return found


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    if a.shape != b.shape:
        return False
    if a.__array_interface__["data"] == b.__array_interface__["data"] and a.strides == b.strides:
        return True
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
