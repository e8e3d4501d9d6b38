"""Volumes as text that a script can hold: gzipped NIfTI in base64, within a number of bytes.

A page opens from a folder, where browsers read no files but scripts and pictures. So a sample's
volumes stand in a script of their own, which is loaded when the sample is opened.
"""

import base64
import math
from typing import NamedTuple

import deflate
import nibabel
import numpy as np

from fdif_jax.view.volumes import Three, Volumes, thinned

MOST_VOXELS = 2**24
"""256^3: the graphics card takes 4 bytes for each voxel and layer."""
_FINE, _COARSE = 65535, 255  # greys
_INNER = (0.1, 99.9)  # per cent: what is beyond is black or white at first
_SMALLEST = float(np.finfo(np.float32).tiny)  # what the header can say of the step between greys
_LEVEL = 6
_LARGER = 1.05  # the least step to larger voxels
_FEWEST = 8  # along an axis: what is smaller is sent in any case
_SAMPLED = 2**20  # voxels that percentiles are taken of
_HEADER_BYTES = 352  # with the four that say: no extensions


class Packed(NamedTuple):
    """A sample's volumes as texts, and the size of the grid that they are on."""

    images: list[str]
    labels: list[str]
    predictions: list[str]
    shape: Three

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, (*self.images, *self.labels, *self.predictions)))


def pack(volumes: Volumes, most_bytes: int) -> Packed:
    """The volumes in at most ``most_bytes``.

    They are as exact as fits: images with 65536 greys, with 256, or with fewer voxels besides.
    Labels lose nothing but voxels.
    """
    voxel = min(volumes.spacing)
    grid = volumes
    while (excess := math.prod(grid.shape) / MOST_VOXELS) > 1:
        voxel *= max(_LARGER, math.cbrt(excess))
        grid = thinned(volumes, voxel)
    packed = _pack(grid, _FINE)
    if packed.size > most_bytes and any(map(_has_more_greys, grid.images)):
        packed = _pack(grid, _COARSE)
    while (excess := packed.size / most_bytes) > 1 and max(packed.shape) > _FEWEST:
        voxel *= max(_LARGER, math.cbrt(excess))
        packed = _pack(thinned(volumes, voxel), _COARSE)
    return packed


def window(values: np.ndarray) -> tuple[float, float]:
    """What is shown black and what white: nearly all values lie between the two."""
    few = values.ravel()[:: max(1, values.size // _SAMPLED)]
    low, high = np.percentile(few, _INNER).tolist()
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return low, high if high > low else low + 1


def _pack(volumes: Volumes, greys: int) -> Packed:
    affine = volumes.affine
    return Packed(
        [_image(array, affine, greys) for array in volumes.images],
        [_label(array, affine) for array in volumes.labels],
        [_label(array, affine) for array in volumes.predictions],
        volumes.shape,
    )


def _image(values: np.ndarray, affine: np.ndarray, greys: int) -> str:
    low, slope = _scale(values, greys)
    # Halves, since the difference of two numbers that float32 has may be none that it has.
    halves = (values / 2 - np.float32(low / 2)) / np.float32(slope / 2)
    levels = np.rint(halves).clip(0, greys)
    voxels = levels.astype(np.min_scalar_type(int(levels.max())))
    header = _header(voxels, affine)
    header.set_slope_inter(slope, low)
    header["cal_min"], header["cal_max"] = window(values)
    return _text(header, voxels)


def _has_more_greys(values: np.ndarray) -> bool:
    """Whether 256 greys lose anything."""
    return _scale(values, _COARSE)[1] != 1.0


def _scale(values: np.ndarray, greys: int) -> tuple[float, float]:
    """The value of the first grey, and the step to the next; integers stay as they are."""
    low, high = float(values.min()), float(values.max())
    if high - low <= greys and np.array_equal(values, np.rint(values)):
        return low, 1.0
    if greys < _FINE:
        low, high = window(values)
    slope = (high - low) / greys
    return low, slope if slope >= _SMALLEST else 1.0


def _label(places: np.ndarray, affine: np.ndarray) -> str:
    return _text(_header(places, affine), places)


def _header(voxels: np.ndarray, affine: np.ndarray) -> nibabel.Nifti1Header:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(voxels.dtype)
    header.set_data_shape(voxels.shape)
    header.set_sform(affine, code="aligned")
    header.set_slope_inter(1, 0)
    header.set_xyzt_units("mm")
    header["magic"], header["vox_offset"] = b"n+1", _HEADER_BYTES
    return header


def _text(header: nibabel.Nifti1Header, voxels: np.ndarray) -> str:
    """A NIfTI-1 file."""
    padding = bytes(_HEADER_BYTES - len(header.binaryblock))
    file = header.binaryblock + padding + voxels.tobytes(order="F")
    return base64.b64encode(deflate.gzip_compress(file, _LEVEL)).decode()
