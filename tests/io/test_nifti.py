"""The NIfTI files: exact, deterministic, and suspicious of what fdif did not write."""

import gzip
import io

import nibabel
import numpy as np
import pytest

from fdif_jax.errors import InputError
from fdif_jax.io import nifti
from fdif_jax.io.stamp import Stamp

STAMP = Stamp("0123456789abcdef", "training", 7, "image")


@pytest.fixture
def volume():
    return np.random.default_rng(0).integers(0, 129, (5, 6, 7), dtype=np.uint8)


def load(data: bytes) -> nibabel.Nifti1Image:
    holder = nibabel.FileHolder(fileobj=io.BytesIO(gzip.decompress(data)))
    return nibabel.Nifti1Image.from_file_map({"header": holder, "image": holder})


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(5, 6, 7), (5, 6, 7, 3), (5, 6, 7, 1)])
def test_nibabel_reads_the_array_as_it_is(shape, dtype):
    array = np.arange(np.prod(shape)).astype(dtype).reshape(shape)
    image = load(nifti.encode(array, STAMP))
    assert image.get_data_dtype() == dtype
    assert np.array_equal(np.asanyarray(image.dataobj), array)
    assert np.array_equal(image.affine, np.eye(4))
    assert image.header.get_zooms()[:3] == (1, 1, 1)


def test_decode_inverts_encode(volume):
    array, text = nifti.decode(nifti.encode(volume, STAMP))
    assert np.array_equal(array, volume)
    assert array.dtype == volume.dtype
    assert text.startswith("fdif 0123456789abcdef training 7 image ")


def test_bytes_carry_no_time_and_no_name(volume):
    data = nifti.encode(volume, STAMP)
    assert data == nifti.encode(volume.copy(order="F"), STAMP)
    assert data[3] == 0  # flags: no name
    assert data[4:8] == bytes(4)  # time


def test_the_longest_stamp_fits():
    longest = Stamp("0" * 16, "validation", 9_999_999, "label_displacement")
    assert len(longest.text()) + 9 < 80


def foreign(volume):
    image = nibabel.Nifti1Image(volume, np.eye(4))
    return gzip.compress(image.to_bytes())


def edited(volume):
    image = load(nifti.encode(volume, STAMP))
    return gzip.compress(nibabel.Nifti1Image(volume // 2, np.eye(4), image.header).to_bytes())


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda v: nifti.encode(v, STAMP), None, id="intact"),
        pytest.param(lambda v: b"", "is empty", id="empty"),
        pytest.param(lambda v: nifti.encode(v, STAMP)[:-9], "is cut off", id="truncated"),
        pytest.param(lambda v: nifti.encode(v, STAMP)[:20], "is cut off", id="only-a-head"),
        pytest.param(lambda v: b"no gzip at all", "is damaged", id="text"),
        pytest.param(
            lambda v: nifti.encode(v, STAMP)[:-8] + b"abcd" + nifti.encode(v, STAMP)[-4:],
            "is damaged",
            id="checksum",
        ),
        pytest.param(foreign, "not written by fdif", id="foreign"),
        pytest.param(edited, "was changed", id="edited-under-our-header"),
        pytest.param(
            lambda v: nifti.encode(v, Stamp(STAMP.config_hash, "training", 8, "image")),
            "another sample",
            id="neighbour",
        ),
        pytest.param(
            lambda v: nifti.encode(v, Stamp("f" * 16, "training", 7, "image")),
            "another sample",
            id="other-configuration",
        ),
    ],
)
def test_flaw_names_what_is_wrong(volume, make, reason):
    found = nifti.flaw(make(volume), STAMP)
    assert (found is None) == (reason is None)
    assert found is None or reason in found


@pytest.mark.parametrize(
    "data",
    [b"", b"xx", gzip.compress(b"short", mtime=0), gzip.compress(bytes(400), mtime=0)],
    ids=["empty", "no-gzip", "short", "no-magic"],
)
def test_decode_refuses_what_is_no_volume(data):
    with pytest.raises(InputError):
        nifti.decode(data)
