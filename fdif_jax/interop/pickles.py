"""``.pth`` files, through PyTorch where it is installed.

A ``.pth`` is a pickle, alone or in a zip archive. It is only ever opened with
``weights_only=True``, which builds tensors, plain containers and numpy's numbers, and refuses
everything that would run code. Before that the archive's directory is read: PyTorch never
compresses, so an archive that would grow when it is opened is none of its own.
"""

import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.interop.content import Content
from fdif_jax.interop.saving import saving

# Where checkpoints keep the tensors beside other things; the first that holds any is taken.
_INNER = (
    "state_dict",
    "network_weights",
    "model_state_dict",
    "model",
    "model_state",
    "net",
    "network",
    "teacher",
    "ema",
    "student",
)
_DEEPEST = 3  # levels


def read_pickle(path: Path) -> Content:
    """The content of a ``.pth``.

    Raises:
      InputError: truncated, not a weight file, or a pickle that wants more than tensors.
      EnvironmentFault: PyTorch is not installed.
    """
    torch = import_torch(f"{path}: reading it")
    _check_archive(path)
    try:
        with torch.serialization.safe_globals(_numbers()):
            content = torch.load(os.fspath(path), map_location="cpu", weights_only=True)
    except Exception as error:  # of whatever kind: the bytes are no weights
        raise _unreadable(path, error) from None
    place, tensors = _find_tensors(content, torch)
    if not tensors:
        raise InputError(f"{path} holds no tensors by name; save a network's state dict.")
    arrays = {key: _to_numpy(path, key, value, torch) for key, value in tensors.items()}
    top = place.split(".")[0]
    beside = {k: v for k, v in content.items() if k != top and not isinstance(v, torch.Tensor)}
    return Content(arrays, place, beside)


def write_pickle(
    path: Path, content: Mapping[str, Any], shared: Mapping[str, str] | None = None
) -> None:
    """Writes a ``.pth`` of plain containers, strings, numbers and tensors.

    Args:
      path: the file.
      content: numpy arrays at any depth become tensors.
      shared: alias to name: within the dict that holds ``name``, ``alias`` becomes the same
        tensor, with the same storage.

    Raises:
      EnvironmentFault: PyTorch is not installed, or the file cannot be written.
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

    with saving(Path(path)) as file:
        try:
            torch.save(convert(content), file)
        except RuntimeError as error:  # what its writer makes of a full disk
            raise OSError(str(error).splitlines()[0]) from error


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


def _numbers() -> list[Any]:
    """The numbers of numpy and their types: checkpoints hold scores. Under both their names."""
    scalar = np.array(0.0)[()].__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in "?bhilqBHILQefdSU"}
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [np.dtype, *kinds, *((scalar, name) for name in names)]


def _check_archive(path: Path) -> None:
    """Refuses zip archives that PyTorch did not write, from their directory alone.

    Raises:
      InputError: records that are compressed or overlap, or no pickle in it.
    """
    if not zipfile.is_zipfile(path):
        return  # the older form, a bare pickle
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InputError(f"{path}: truncated, or not a weight file ({error}).") from None
    names = [record.filename for record in records]
    if any(name.endswith("/constants.pkl") for name in names):
        raise InputError(f"{path} is a TorchScript program; save its state_dict() instead.")
    if not any(name.endswith("/data.pkl") for name in names):
        raise InputError(f"{path} is a zip archive, but not a weight file: no data.pkl in it.")
    stored = all(record.compress_type == zipfile.ZIP_STORED for record in records)
    if not stored or sum(record.file_size for record in records) > path.stat().st_size:
        raise InputError(
            f"{path}: refused, for its records are compressed or overlap, which PyTorch never "
            "writes; save the state dict with torch.save, or as .safetensors."
        )


def _unreadable(path: Path, error: Exception) -> InputError:
    """The reader's error in one sentence."""
    text = str(error)
    asked = re.search(r"GLOBAL (\S+)|unrecognized function (.+)|unsupported class (.+)", text)
    if asked:
        name = next(found for found in asked.groups() if found)
        return InputError(
            f"{path}: refused, for it is not a plain weight file: it asks to run code or build "
            f"objects ({name}); save the state dict alone, or as .safetensors."
        )
    # Behind its advice, which is about loading the file without the check.
    reason = text.split("WeightsUnpickler error:")[-1].strip().split("\n")[0][:120].rstrip(". ")
    return InputError(
        f"{path}: truncated, or not a weight file ({reason or type(error).__name__}); "
        "get or save it again."
    )


def _to_numpy(path: Path, key: str, value: Any, torch: Any) -> np.ndarray:
    """A dense array on the host.

    Raises:
      InputError: numbers that numpy does not know, or more of them than the file holds.
    """
    allowed = "save the weights as dense float32, float16 or bfloat16"
    if value.layout is not torch.strided or value.is_quantized or value.is_meta:
        raise InputError(f"{path}: {key} is a sparse, quantized or empty tensor; {allowed}.")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise InputError(f"{path}: {key} claims more numbers than the file holds; {allowed}.")
    value = value.detach().resolve_conj().resolve_neg()
    try:
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    except TypeError:
        raise InputError(f"{path}: {key} is {value.dtype}; {allowed}.") from None


def _find_tensors(content: Any, torch: Any, depth: int = 0) -> tuple[str, dict[str, Any]]:
    """The dict of tensors and its place: at the top, or below it."""
    if not isinstance(content, Mapping) or depth > _DEEPEST:
        return "", {}
    for name in (*_INNER, *(() if depth else _others(content, torch))):
        if isinstance(content.get(name), Mapping):
            place, tensors = _find_tensors(content[name], torch, depth + 1)
            if tensors:
                return f"{name}.{place}".rstrip("."), tensors
    return "", {k: v for k, v in content.items() if _is_named_tensor(k, v, torch)}


def _others(content: Mapping[Any, Any], torch: Any) -> list[str]:
    """Further keys that hold tensors by name, where none stand at the top."""
    if any(_is_named_tensor(k, v, torch) for k, v in content.items()):
        return []
    return [
        key
        for key, value in content.items()
        if isinstance(key, str)
        and isinstance(value, Mapping)
        and any(_is_named_tensor(k, v, torch) for k, v in value.items())
    ]


def _is_named_tensor(key: Any, value: Any, torch: Any) -> bool:
    return isinstance(key, str) and isinstance(value, torch.Tensor)
