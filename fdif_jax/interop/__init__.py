"""Weights to and from MONAI, nnU-Net and SSL3D: one name table per network, both directions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fdif_jax.interop.exporting import TARGETS, export_file
from fdif_jax.interop.files import read_tensors, write_safetensors
from fdif_jax.interop.formats import load_state_dict, to_state_dict
from fdif_jax.interop.hints import Hints
from fdif_jax.interop.importing import Imported, import_file, load_pretrained, read_network
from fdif_jax.interop.inspecting import inspect_file

__all__ = [
    "TARGETS",
    "Hints",
    "Imported",
    "export_file",
    "import_file",
    "inspect_file",
    "load_monai_state_dict",
    "load_pretrained",
    "load_state_dict",
    "read_network",
    "read_tensors",
    "to_monai_state_dict",
    "to_state_dict",
    "write_safetensors",
]


def load_monai_state_dict(model: Any, tensors: Mapping[str, np.ndarray]) -> None:
    """Puts weights in MONAI's names into ``model``; all mismatches in one error."""
    load_state_dict(model, tensors)


def to_monai_state_dict(model: Any) -> dict[str, np.ndarray]:
    """The inverse of ``load_monai_state_dict``, complete for ``strict=True``."""
    return to_state_dict(model)
