"""Blosc2 files: plain blosc2 reads them, equal input gives equal bytes, damage is noticed."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import blosc2
import numpy as np
import pytest

from fdif_jax.errors import InputError
from fdif_jax.io import b2nd
from fdif_jax.io.stamp import Stamp

STAMP = Stamp("0123456789abcdef", "training", 7, "image")


def volume(*shape, seed=0):
    """Smooth, like a rendered one."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape[1:]), indexing="ij")
    phase = np.random.default_rng(seed).uniform(1, 3)
    return np.exp(-phase * sum(axis**2 for axis in axes)).astype(np.float32)[None]


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(volume(1, 9, 8, 11), id="odd"),
        pytest.param(volume(1, 72, 64, 80), id="several-blocks"),
        pytest.param(np.zeros((1, 16, 16, 16), np.float32), id="zeros"),
        pytest.param(np.full((1, 8, 8, 8), 3.5, np.float32), id="constant"),
        pytest.param(volume(1, 8, 10, 12).swapaxes(1, 3), id="not-contiguous"),
    ],
)
def test_plain_blosc2_reads_what_was_written(tmp_path, array):
    path = tmp_path / "case.b2nd"
    path.write_bytes(b2nd.encode(array, STAMP, 8))
    for more in ({}, {"mmap_mode": "r"}):
        found = blosc2.open(urlpath=str(path), mode="r", **more)
        assert (found.shape, found.dtype) == (array.shape, np.float32)
        np.testing.assert_array_equal(found[...], array)
    assert found.schunk.cparams.codec == blosc2.Codec.ZSTD
    assert found.schunk.cparams.clevel == 8
    assert found.schunk.meta["fdif"].startswith(STAMP.text())
    np.testing.assert_array_equal(b2nd.decode(path.read_bytes()), array)
    assert b2nd.flaw(path.read_bytes(), STAMP) is None


def test_a_low_level_is_that_of_the_file_too():
    array = volume(1, 16, 16, 16)
    fast, small = (b2nd.encode(array, STAMP, level) for level in (1, 9))
    assert blosc2.ndarray_from_cframe(fast).schunk.cparams.clevel == 1
    assert len(small) < len(fast)


def test_threads_give_the_same_bytes():
    """Blosc2's own threads do not: blocks lie in the order in which they were finished."""
    array = volume(1, 96, 96, 96)
    array[:, :32] += np.random.default_rng(0).standard_normal((32, 96, 96), np.float32)
    alone = b2nd.encode(array, STAMP, 1)  # three blocks, the first of which takes longest
    with ThreadPoolExecutor(4) as pool:
        encoded = pool.map(lambda _: b2nd.encode(array, STAMP, 1), range(12))
        assert set(encoded) == {alone}


def test_blocks_are_slabs_just_above_the_slow_size():
    assert b2nd._cut((1, 96, 96, 96)) == ((1, 32, 96, 96), True)
    assert b2nd._cut((1, 97, 96, 96)) == ((1, 97, 96, 96), True)
    assert b2nd._cut((1, 64, 64, 64)) == ((1, 64, 64, 64), False)


DATA = b2nd.encode(volume(1, 16, 16, 16), STAMP, 1)
FOREIGN = bytes(blosc2.asarray(volume(1, 8, 8, 8)).to_cframe())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"no volume at all" * 9, "is no Blosc2 file", id="text"),
        pytest.param(DATA[:-1], "is cut off", id="cut"),
        pytest.param(DATA[:40], "is cut off", id="only-a-head"),
        pytest.param(FOREIGN, "was not written by fdif", id="foreign"),
        pytest.param(DATA[:900] + b"?" + DATA[901:], "was changed after", id="edited"),
        pytest.param(DATA + b"more", "was changed after", id="longer"),
    ],
)
def test_flaws_are_told_apart(data, reason):
    assert reason in b2nd.flaw(data, STAMP)


@pytest.mark.parametrize(
    "change", [{"index": 8}, {"split": "validation"}, {"config_hash": "f" * 16}]
)
def test_another_sample_is_noticed(change):
    found = b2nd.flaw(DATA, dataclasses.replace(STAMP, **change))
    assert found == f"holds another sample ({STAMP.text().removeprefix('fdif ')})"


@pytest.mark.parametrize("data", [b"", b"text" * 9, DATA[:-9], DATA[:24] + bytes(len(DATA) - 24)])
def test_what_is_no_volume_is_one_sentence(data):
    with pytest.raises(InputError, match=r"^is (empty|no|cut off|damaged)"):
        b2nd.decode(data)
