"""Safetensors with numpy alone.

A file is eight bytes (the length of the header), the header as JSON, and the tensors' bytes. The
header is checked against the file before anything in it is trusted.
"""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from fdif_jax.errors import InputError
from fdif_jax.interop.content import Content
from fdif_jax.interop.saving import saving

OURS = "fdif_jax"
"""The entry of the metadata under which our own files say what their tensors cannot."""
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


def read_safetensors(path: Path) -> Content:
    """The content of a safetensors file.

    Raises:
      InputError: the file is truncated, not safetensors, or holds another kind of numbers.
    """
    data = Path(path).read_bytes()
    broken = InputError(
        f"{path}: truncated, or not a safetensors file ({len(data)} bytes); get or export it again."
    )
    if len(data) < 8:
        raise broken
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(_HEADER_LIMIT, len(data) - 8):
        raise broken
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError):
        raise broken from None
    if not isinstance(header, dict):
        raise broken
    metadata = header.pop("__metadata__", None)
    body = memoryview(data)[8 + length :]
    tensors = {
        name: _one_tensor(body, entry, broken, f"{path}: {name}") for name, entry in header.items()
    }
    return Content(tensors, beside=_our_metadata(metadata))


def write_safetensors(
    path: Path, tensors: Mapping[str, np.ndarray], ours: Mapping[str, Any] | None = None
) -> None:
    """Writes a safetensors file, complete or not at all.

    Args:
      path: the file.
      tensors: by name.
      ours: what the tensors do not say, for our own reader; others pass it over.

    Raises:
      EnvironmentFault: the file cannot be written.
    """
    metadata = {"format": "pt"} | ({OURS: json.dumps(dict(ours))} if ours else {})
    header: dict[str, Any] = {"__metadata__": metadata}
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
    with saving(Path(path)) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).tobytes())


def _one_tensor(body: memoryview, entry: Any, broken: InputError, what: str) -> np.ndarray:
    try:
        kind, shape = entry["dtype"], entry["shape"]
        start, end = entry["data_offsets"]
        sound = all(type(n) is int and n >= 0 for n in (*shape, start, end))
        if not sound or not start <= end <= len(body):
            raise broken
    except (KeyError, TypeError, ValueError) as error:
        raise broken from error
    if kind not in _DTYPES:
        raise InputError(f"{what} is {kind}; weights are read as {', '.join(_DTYPES)}.")
    dtype = _DTYPES[kind]
    if end - start != dtype.itemsize * math.prod(shape):
        raise broken
    array = np.frombuffer(body[start:end], dtype).reshape(shape)
    return array.astype(np.float32) if kind == "BF16" else array


def _our_metadata(metadata: Any) -> dict[str, Any]:
    """What we wrote into the metadata, if anything."""
    try:
        ours = json.loads(metadata[OURS])
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return {OURS: ours}
