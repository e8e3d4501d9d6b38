"""Blosc2 files (``.b2nd``) as bytes: one compressed volume, stamped with what it holds.

A file's bytes depend on its array, its stamp and the compression level only: one thread compresses
it, since several put their blocks into the order in which they finish, and how it is cut is
decided here, not by the size of the machine's caches. The stamp lies in the file's header and ends
with the CRC-32 of the file, the checksum's own digits counted as zeros: a file that is cut off,
damaged, edited or of another sample is noticed without a look at its voxels.
"""

import functools
import re
import zlib
from types import ModuleType
from typing import Any

import deflate
import numpy as np

from fdif_jax.errors import InputError
from fdif_jax.io.stamp import Stamp

ENDING = ".b2nd"
_KEY = "fdif"
_STAMP = re.compile(rb"fdif [0-9a-f]{16} [a-z]+ [0-9]+ [a-z_]+ (?P<checksum>[0-9a-f]{8})")
_ZEROS = b"0" * 8
_MAGIC, _LENGTH = slice(2, 10), slice(16, 24)
_HEADER_BYTES = 1024
"""The stamp lies among the first ones."""
_SLOW_PIECE = 2**18
"""Up to so many bytes ZSTD searches a piece more thoroughly, which takes twice the time for
nothing (96^3 voxels at level 8: 330 ms in pieces of 72 KiB, 155 ms in pieces of 288 KiB)."""


def encode(array: np.ndarray, stamp: Stamp, level: int) -> bytes:
    """A Blosc2 file that holds ``array``.

    Args:
      array: float32, (1, D, H, W).
      stamp: what the file holds.
      level: of ZSTD, in Blosc2's count: 1 to 9.
    """
    blosc2 = _blosc2()
    array = np.ascontiguousarray(array, np.float32)
    block, split = _cut(array.shape)
    options = {
        "codec": blosc2.Codec.ZSTD,
        "clevel": level,
        # Bytes of one significance together, then as differences: 5 % smaller, for 15 % more time.
        "filters": [blosc2.Filter.SHUFFLE, blosc2.Filter.BYTEDELTA],
        "filters_meta": [0, array.itemsize],
        "splitmode": blosc2.SplitMode.ALWAYS_SPLIT if split else blosc2.SplitMode.NEVER_SPLIT,
        "typesize": array.itemsize,
        "nthreads": 1,
    }
    # Compressed apart from the file, since this alone leaves Python's lock to other threads.
    size = int(np.prod(block)) * array.itemsize
    chunk = blosc2.compress2(array, cparams=blosc2.CParams(**options, blocksize=size))
    file = blosc2.empty(
        array.shape,
        dtype=array.dtype,
        chunks=array.shape,
        blocks=block,
        cparams=options,
        contiguous=True,
        meta={_KEY: stamp.with_checksum(0)},
    )
    file.schunk.update_chunk(0, chunk)
    data = bytearray(file.to_cframe())
    found = _STAMP.search(data, 0, _HEADER_BYTES)
    assert found is not None
    place = slice(*found.span("checksum"))
    data[place] = f"{deflate.crc32(bytes(data)):08x}".encode()
    return bytes(data)


def decode(data: bytes) -> np.ndarray:
    """The array in a Blosc2 file, whoever wrote it.

    Raises:
      InputError: the file is cut off, damaged, or no Blosc2 array; the message fits behind the
        file's name.
    """
    if (reason := _damage(data)) is not None:
        raise InputError(reason)
    try:
        return np.asarray(_blosc2().ndarray_from_cframe(data)[...])
    except Exception as error:  # whatever Blosc2 and its readers of headers raise
        raise InputError("is damaged, or holds no Blosc2 array") from error


def flaw(data: bytes, stamp: Stamp) -> str | None:
    """Why ``data`` is not the intact file with this stamp, or None where it is.

    The answer fits behind the file's name.
    """
    if (reason := _damage(data)) is not None:
        return reason
    found = _STAMP.search(data, 0, _HEADER_BYTES)
    if found is None:
        return stamp.contradiction("", 0)
    start, end = found.span("checksum")
    crc = zlib.crc32(data[end:], zlib.crc32(_ZEROS, zlib.crc32(data[:start])))
    return stamp.contradiction(found[0].decode(), crc)


def _damage(data: bytes) -> str | None:
    """What the length and the first bytes alone tell."""
    if not data:
        return "is empty"
    if data[_MAGIC] != b"b2frame\0":
        return "is no Blosc2 file"
    if len(data) < int.from_bytes(data[_LENGTH], "big"):
        return "is cut off"
    return None


def _cut(shape: tuple[int, ...]) -> tuple[tuple[int, ...], bool]:
    """The shape of a block, and whether its four byte planes are compressed one by one.

    Blocks are equal slabs of depth, as small as their pieces stay above ``_SLOW_PIECE``.
    """
    depth, plane = shape[1], shape[2] * shape[3]
    slabs = [n for n in range(1, depth + 1) if depth % n == 0 and depth // n * plane > _SLOW_PIECE]
    count = max(slabs, default=1)
    return (1, depth // count, *shape[2:]), bool(slabs)


@functools.cache
def _blosc2() -> ModuleType | Any:
    """Blosc2, loaded when it is needed; its compressor shall not hold Python's lock."""
    import blosc2

    blosc2.set_releasegil(True)
    return blosc2
