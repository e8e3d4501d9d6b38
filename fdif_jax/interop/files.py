"""Weight files by their suffix."""

from pathlib import Path

import numpy as np

from fdif_jax.errors import EnvironmentFault, FdifError, InputError
from fdif_jax.interop.content import Content
from fdif_jax.interop.pickles import read_pickle, write_pickle
from fdif_jax.interop.tensor_files import read_safetensors, write_safetensors

__all__ = ["read_content", "read_tensors", "write_pickle", "write_safetensors"]

_PICKLES = (".pth", ".pt", ".ckpt", ".bin")


def read_content(path: Path | str) -> Content:
    """What a weight file holds; nothing in it is executed.

    Raises:
      InputError: no such file, truncated, not a weight file, or a pickle that wants more than
        tensors.
      EnvironmentFault: a ``.pth`` without PyTorch, or a file that cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a weight file, .safetensors or .pth.")
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
    if path.suffix not in (".safetensors", *_PICKLES):
        raise InputError(f"{path}: weights are read from .safetensors, .pth, .pt, .ckpt and .bin.")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path}: truncated, it is empty; get or export it again.")
        return read_safetensors(path) if path.suffix == ".safetensors" else read_pickle(path)
    except FdifError:
        raise
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read ({error.strerror or error}).") from error


def read_tensors(path: Path | str) -> dict[str, np.ndarray]:
    """The tensors of a file by name, whatever their own prefix. See ``read_content``."""
    return read_content(path).tensors
