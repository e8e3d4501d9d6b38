"""NIfTI-1 files as bytes: fast, deterministic, and stamped with what they hold.

A file's bytes depend on its array and its stamp only: the gzip header carries no time and no name.
The stamp lies in the 80-byte ``descrip`` field and ends with the CRC-32 of the voxels, so that a
file from another run, another sample or another program is noticed even where it is a valid NIfTI
file, and a label that was edited by hand is noticed even where the editor kept the header.
"""

import functools
import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import deflate
import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from fdif_jax.errors import InputError
from fdif_jax.io.stamp import Stamp

# libdeflate, since the same bytes give the same file on every processor and in every thread; ISA-L
# is twice as fast, but was seen to write another, equally valid stream now and then.
COMPRESSION_LEVEL = 1  # level 2 takes a third more time for 2 % fewer bytes
_HEADER_BYTES = 352  # header and the four bytes that say: no extensions
_DESCRIP = slice(148, 228)

ENDINGS = (".nii.gz", ".nii")
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    OverflowError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    WrapStructError,
)
"""What is raised for files that are damaged, or of no known form."""
_NIFTI_2 = ((540).to_bytes(4, "little"), (540).to_bytes(4, "big"))
_NIFTI_2_BYTES = 540


def encode(
    array: np.ndarray, stamp: Stamp | None = None, affine: np.ndarray | None = None
) -> bytes:
    """A gzipped NIfTI-1 file that holds ``array`` as it is.

    Args:
      array: unsigned integers, (D, H, W) or (D, H, W, tasks); index (i, j, k) of the file is
        [z, y, x] of the array, no transpose.
      stamp: what the file holds; a file without one is not recognised by ``flaw``.
      affine: (4, 4), indices to RAS+ world, mm; the identity where not given.
    """
    voxels = np.asarray(array).tobytes(order="F")
    text = "" if stamp is None else stamp.with_checksum(deflate.crc32(voxels))
    header = bytearray(_header(array.shape, np.dtype(array.dtype).str, _hashable(affine)))
    header[_DESCRIP] = text.encode("ascii").ljust(80, b"\0")
    return bytes(deflate.gzip_compress(bytes(header) + voxels, COMPRESSION_LEVEL))


def write_channels(file: BinaryIO, array: np.ndarray, affine: np.ndarray) -> None:
    """Writes (D, H, W, C) as gzipped NIfTI-1, channel by channel, without a second copy of it."""
    with gzip.GzipFile("", "wb", COMPRESSION_LEVEL, file, mtime=0) as packed:
        packed.write(_header(array.shape, np.dtype(array.dtype).str, _hashable(affine)))
        for channel in np.moveaxis(array, -1, 0):
            packed.write(channel.tobytes(order="F"))


def decode(data: bytes) -> tuple[np.ndarray, str]:
    """The array and the ``descrip`` text of a file that ``encode`` wrote.

    Raises:
      InputError: the file is cut off, damaged, or no NIfTI-1 file; the message fits behind
        the file's name.
    """
    raw = gunzip(data)
    if len(raw) < _HEADER_BYTES or raw[344:347] != b"n+1":
        raise InputError("is not a NIfTI-1 file")
    header = nibabel.Nifti1Header(raw[:348], check=False)
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    voxels = raw[_HEADER_BYTES:]
    if len(voxels) != int(np.prod(shape)) * dtype.itemsize:
        raise InputError(f"holds {len(voxels)} bytes of voxels, its header says {shape} {dtype}")
    array = np.frombuffer(voxels, dtype).reshape(shape, order="F")
    return array, _text(raw)


def load(path: Path) -> Any:
    """The image in ``path`` as nibabel has it, of any program and any form nibabel knows.

    NIfTI is read to its end, since nibabel alone skips the checksum.

    Raises:
      FileNotFoundError: there is no such file.
      Exception: one of ``UNREADABLE``.
    """
    if not path.name.endswith(ENDINGS):
        return nibabel.load(path)
    data = path.read_bytes()
    raw = gunzip(data) if path.name.endswith(".gz") else data
    kind = nibabel.Nifti2Image if raw[:4] in _NIFTI_2 else nibabel.Nifti1Image
    return kind.from_bytes(raw)


def load_header(path: Path) -> Any:
    """The header in ``path`` as nibabel has it; of NIfTI no more than that is read.

    Raises:
      FileNotFoundError: there is no such file.
      Exception: one of ``UNREADABLE``.
    """
    if not path.name.endswith(ENDINGS):
        return nibabel.load(path).header
    with (gzip.open if path.name.endswith(".gz") else open)(path, "rb") as file:
        raw = file.read(_NIFTI_2_BYTES)
    if len(raw) < _HEADER_BYTES:
        raise InputError("is cut off or empty")
    if raw[:4] in _NIFTI_2:
        return nibabel.Nifti2Header(raw)
    return nibabel.Nifti1Header(raw[:348])


def ends_as_it_says(path: Path) -> bool:
    """Whether a gzipped file is there and as long as its header says, by the length at its end."""
    try:
        header = load_header(path)
        with path.open("rb") as file:
            file.seek(-4, os.SEEK_END)
            length = int.from_bytes(file.read(), "little")
    except UNREADABLE:
        return False
    voxels = math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
    return length == (_HEADER_BYTES + voxels) % 2**32


def flaw(data: bytes, stamp: Stamp) -> str | None:
    """Why ``data`` is not the intact file with this stamp, or None where it is.

    The answer fits behind the file's name.
    """
    try:
        raw = gunzip(data)
    except InputError as error:
        return str(error)
    found = _text(raw) if len(raw) >= _HEADER_BYTES else ""
    return stamp.contradiction(found, deflate.crc32(raw[_HEADER_BYTES:]))


def gunzip(data: bytes) -> bytes:
    """The content of a gzip stream, its checksum proven.

    Raises:
      InputError: it is empty, cut off or damaged; the message fits behind the file's name.
    """
    if not data:
        raise InputError("is empty")
    try:
        return gzip.decompress(data)  # deflate's own trusts the length in the trailer
    except EOFError as error:
        raise InputError("is cut off") from error
    except (OSError, zlib.error) as error:
        raise InputError("is damaged (gzip checksum or stream)") from error


def _text(raw: bytes) -> str:
    return raw[_DESCRIP].split(b"\0", 1)[0].decode("latin-1")


def _hashable(affine: np.ndarray | None) -> tuple[float, ...]:
    return tuple(np.eye(4).ravel() if affine is None else np.asarray(affine, np.float64).ravel())


@functools.lru_cache(maxsize=64)
def _header(shape: tuple[int, ...], dtype: str, affine: tuple[float, ...]) -> bytes:
    """Made once for each kind of file, since nibabel needs a millisecond."""
    world = np.reshape(affine, (4, 4))
    axes = world[:3, :3] / np.linalg.norm(world[:3, :3], axis=0)
    sheared = not np.allclose(axes.T @ axes, np.eye(3), atol=1e-4)
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.dtype(dtype))
    header.set_data_shape(shape)
    header.set_sform(world, code="aligned")
    header.set_qform(world, code="unknown" if sheared else "aligned")  # it cannot hold shears
    header.set_xyzt_units("mm")
    header.set_slope_inter(1, 0)
    header["magic"] = b"n+1"
    header["vox_offset"] = _HEADER_BYTES
    return header.binaryblock + bytes(4)
