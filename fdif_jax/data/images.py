"""Volumes and labels read from files, checked: whatever is wrong is one sentence with the file.

Arrays keep the axes of the file; channels, and the tasks of a label, come last.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.io import nifti

Shape = tuple[int, ...]
_LARGEST = 2**31 - 1
_REMAP = "scripts/make_datalist --remap_labels writes labels with other ids"


class Image(NamedTuple):
    """A volume with all its channels."""

    voxels: np.ndarray
    """(D, H, W, C) float32."""
    affine: np.ndarray
    """(4, 4) float64, indices of D, H, W to RAS+ world, mm."""


def read_image(paths: Sequence[Path], channels: int | None = None) -> Image:
    """The volume in one file, or in one file for each channel; the first file's affine.

    Args:
      paths: 3-D files, or one 4-D file with its channels on the first or the last axis.
      channels: how many there are, where it is known: tells which axis of a 4-D file they are on.

    Raises:
      InputError: a file cannot be read or does not fit the others, has other channels or axes
        than it should, or holds NaN or infinity.
    """
    volumes = [_read_channels(path, channels if len(paths) == 1 else 1) for path in paths]
    first = volumes[0]
    for path, volume in zip(paths, volumes, strict=True):
        if volume.voxels.shape[:3] != first.voxels.shape[:3]:
            raise InputError(
                f"{path} has {_size(volume.voxels)} voxels, {paths[0]} of the same case has "
                f"{_size(first.voxels)}; all channels need one grid."
            )
    voxels = [volume.voxels for volume in volumes]
    whole = voxels[0] if len(voxels) == 1 else np.concatenate(voxels, axis=-1)
    if channels is not None and whole.shape[-1] != channels:
        raise InputError(
            f"{paths[0]} has {counted(whole.shape[-1], 'channel')}, the network takes {channels}."
        )
    return Image(whole, first.affine)


def read_label(
    paths: Sequence[Path], shape: tuple[int, int, int], classes: Sequence[int] = ()
) -> np.ndarray:
    """The ids in one file, or in one file for each task, in the smallest unsigned type.

    Args:
      paths: one file, with several tasks on its last axis, or a file for each task.
      shape: (D, H, W) of the image.
      classes: for each task how many classes there are, background included; empty where that is
        not known, then any id passes.

    Returns:
      (D, H, W), or (D, H, W, tasks) with several tasks.

    Raises:
      InputError: a file cannot be read, is not of the image's shape, holds other numbers than
        integers of at least 0, or an id that is no class.
    """
    volumes = [_read_ids(path, shape) for path in paths]
    label = volumes[0] if len(volumes) == 1 else np.concatenate(volumes, axis=-1)
    tasks = label.shape[-1]
    if classes and tasks != len(classes):
        raise InputError(
            f"{paths[0]} has labels of {counted(tasks, 'task')}, where {len(classes)} "
            f"{'is' if len(classes) == 1 else 'are'} expected; --multi_task trains on several."
        )
    for task, count in enumerate(classes):
        highest = int(label[..., task].max())
        if highest >= count:
            raise InputError(
                f"{paths[min(task, len(paths) - 1)]} holds the label {highest}, {count} classes "
                f"allow 0 to {count - 1}; give a larger --out_channel, or remap ({_REMAP})."
            )
    highest = max(classes) - 1 if classes else int(label.max())
    label = label.astype(np.min_scalar_type(highest), copy=False)
    return label if tasks > 1 else label[..., 0]


def channel_axis(shape: Shape, channels: int | None = None) -> int | None:
    """Which axis of a file holds the channels: 0 or 3, None where it has none.

    Where ``channels`` does not decide it, the shorter of the two, and the last of equals.

    Args:
      shape: as ``squeezed`` leaves it.
      channels: how many there are, where it is known.

    Raises:
      InputError: there are not three axes, or four; the message fits behind the file's name.
    """
    if len(shape) == 3:
        return None
    if len(shape) != 4:
        raise InputError(f"has the shape {shape}; it needs three axes, and one more for channels.")
    fitting = [axis for axis in (3, 0) if shape[axis] == channels]
    if len(fitting) == 1:
        return fitting[0]
    return 3 if shape[3] <= shape[0] else 0


def squeezed(shape: Shape) -> Shape:
    """Without axes of length one behind the third, which NIfTI has before vectors."""
    return shape[:3] + tuple(size for size in shape[3:] if size != 1)


def _read_channels(path: Path, channels: int | None) -> Image:
    values, affine = _read(path)
    try:
        axis = channel_axis(values.shape, channels)
    except InputError as error:
        raise InputError(f"{path} {error}") from error
    voxels = values[..., None] if axis is None else np.moveaxis(values, axis, -1)
    with np.errstate(over="ignore"):  # beyond float32 is infinity, refused below
        voxels = np.ascontiguousarray(voxels, dtype=np.float32)
    bad = voxels.size - int(np.count_nonzero(np.isfinite(voxels)))
    if bad:
        raise InputError(f"{path} holds NaN or infinity in {counted(bad, 'voxel')}; mend it.")
    return Image(voxels, affine)


def _read_ids(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """(D, H, W, tasks) integers of at least 0."""
    values, _ = _read(path)
    if values.ndim == 3:
        values = values[..., None]
    elif values.shape[:1] == (1,) and values.shape[1:] == shape:
        values = values[0][..., None]
    if values.shape[:3] != shape or values.ndim != 4:
        raise InputError(
            f"{path} has the shape {values.shape if values.ndim != 4 else _size(values)}, its "
            f"image {_times(shape)}; a label has its image's voxels."
        )
    if values.dtype.kind == "f":
        wrong = values[~(np.abs(values) <= _LARGEST) | (values != np.rint(values))]
        if wrong.size:
            raise InputError(f"{path} holds the label {wrong[0]:g}; labels are integers; mend it.")
    if values.min() < 0:
        raise InputError(
            f"{path} holds the label {values.min():g}; they start at 0, the background; mend it."
        )
    return values if values.dtype.kind in "ui" else values.astype(np.int32)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels as the file has them, scaled where it says so, and the affine."""
    try:
        image = nifti.load(path)
        values = np.asanyarray(image.dataobj)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing.") from error
    except nifti.UNREADABLE as error:
        raise InputError(f"{path} {unreadable(error)}") from error
    except MemoryError as error:
        raise EnvironmentFault(f"{path} does not fit into memory.") from error
    if values.dtype.kind not in "uif":
        raise InputError(f"{path} holds {values.dtype} voxels; they need to be one number each.")
    if not values.size:
        raise InputError(f"{path} has no voxels (shape {values.shape}).")
    return values.reshape(squeezed(values.shape)), image.affine.astype(np.float64)


def unreadable(error: BaseException) -> str:
    """Why a file could not be read; fits behind its name."""
    if isinstance(error, InputError):
        return f"{str(error).rstrip('.')}."
    reason = getattr(error, "strerror", None) or (str(error).splitlines() or [repr(error)])[0]
    return f"cannot be read ({reason.rstrip('.')})."


def _size(voxels: np.ndarray) -> str:
    return _times(voxels.shape[:3])


def _times(shape: Shape) -> str:
    return " x ".join(map(str, shape))


def counted(count: int, noun: str) -> str:
    """``1 voxel``, ``2 voxels``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
