"""Weight files: safetensors with numpy alone, ``.pth`` where PyTorch is installed.

A ``.pth`` is a pickle. It is only ever opened with ``weights_only=True``, which builds tensors
and plain containers and refuses everything that would run code.
"""

import json
import os
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from fdif_jax.errors import EnvironmentFault, InputError

_HEADER_LIMIT = 100 * 2**20  # bytes; what the format's own reader allows
_DTYPES: dict[str, np.dtype] = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I16": np.dtype(np.int16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
# Where checkpoints keep the tensors beside other things.
_INNER = ("state_dict", "network_weights", "model_state_dict", "model", "model_state")


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file by name, whatever their own prefix.

    Raises:
      InputError: no such file, truncated, not a weight file, or a pickle that wants more than
        tensors.
      EnvironmentFault: a ``.pth`` without PyTorch.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    if path.suffix in (".pth", ".pt", ".ckpt", ".bin"):
        return _read_pickle(path)
    raise InputError(f"{path}: weights are read from .safetensors, .pth, .pt, .ckpt and .bin.")


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file; the header is checked before anything is trusted.

    Raises:
      InputError: the file is truncated or not safetensors.
    """
    data = Path(path).read_bytes()
    broken = InputError(f"{path}: truncated, or not a safetensors file.")
    if len(data) < 8:
        raise broken
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(_HEADER_LIMIT, len(data) - 8):
        raise broken
    try:
        header = json.loads(data[8 : 8 + length])
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise broken from None
    if not isinstance(header, dict):
        raise broken
    header.pop("__metadata__", None)
    body = memoryview(data)[8 + length :]
    return {name: _one_tensor(body, entry, broken) for name, entry in header.items()}


def write_safetensors(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes a safetensors file, complete or not at all."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, array in tensors.items():
        end = offset + array.nbytes
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).tobytes())
    partial.replace(path)


def write_pickle(path: Path, content: Mapping[str, Any], shared: Mapping[str, str] | None = None):
    """Writes a ``.pth`` of plain containers, strings, numbers and tensors.

    Args:
      path: the file.
      content: numpy arrays at any depth become tensors.
      shared: alias to name: within the dict that holds ``name``, ``alias`` becomes the same
        tensor, with the same storage.

    Raises:
      EnvironmentFault: PyTorch is not installed.
    """
    torch = import_torch("writing a .pth file")

    def convert(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return torch.from_numpy(np.array(value))
        if isinstance(value, Mapping):
            found = {key: convert(inner) for key, inner in value.items()}
            for alias, name in (shared or {}).items():
                if name in found:
                    found[alias] = found[name]
            return found
        return value

    partial = path.with_name(path.name + ".part")
    torch.save(convert(content), partial)
    partial.replace(path)


def import_torch(purpose: str) -> Any:
    """PyTorch, or an error that names the extra to install.

    Raises:
      EnvironmentFault: it is not installed.
    """
    try:
        import torch
    except ImportError:
        raise EnvironmentFault(
            f"{purpose} needs PyTorch: pip install 'fdif-jax[torch]', or use .safetensors."
        ) from None
    return torch


def _one_tensor(body: memoryview, entry: Any, broken: InputError) -> np.ndarray:
    try:
        dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
        start, end = entry["data_offsets"]
        fits = 0 <= start <= end <= len(body)
        if not fits or end - start != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
            raise broken
        array = np.frombuffer(body[start:end], dtype).reshape(shape)
    except (KeyError, TypeError, ValueError) as error:
        raise broken from error
    return array.astype(np.float32) if dtype == _DTYPES["BF16"] else array


def _read_pickle(path: Path) -> dict[str, np.ndarray]:
    torch = import_torch(f"{path}: reading it")
    try:
        content = torch.load(os.fspath(path), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            f"{path}: refused, for it is not a plain weight file: it asks to run code or build "
            "objects. Save the state dict alone, or as .safetensors."
        ) from None
    except (RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: truncated, or not a weight file ({reason}).") from None
    tensors = _find_tensors(content, torch)
    if not tensors:
        raise InputError(f"{path}: holds no tensors by name.")
    arrays = {}
    for key, value in tensors.items():
        value = value.detach()
        arrays[key] = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return arrays


def _find_tensors(content: Any, torch: Any) -> dict[str, Any]:
    """The dict of tensors, which may stand one level down under a usual name."""
    if not isinstance(content, Mapping):
        return {}
    for name in _INNER:
        if isinstance(content.get(name), Mapping):
            return _find_tensors(content[name], torch)
    return {str(k): v for k, v in content.items() if isinstance(v, torch.Tensor)}
