"""Prepared cases: once, whole, and only for the files they were made of."""

import os
import threading

import nibabel
import numpy as np
import pytest

from fdif_jax.data import cache
from fdif_jax.data.datalist import Case
from fdif_jax.data.intensities import Intensity
from fdif_jax.data.preprocess import Preprocessing
from fdif_jax.errors import EnvironmentFault

PLAN = Preprocessing(Intensity("zscore"), pad_to=(8, 8, 8))


def make_case(folder, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.random((6, 9, 7)).astype(np.float32) * 50
    label = (image > 40).astype(np.uint8)
    paths = []
    for name, array in (("image", image), ("label", label)):
        paths.append(folder / f"{name}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), paths[-1])
    return Case("one", (paths[0],), (paths[1],))


@pytest.fixture
def reads(monkeypatch):
    """How often a case was prepared."""
    calls = []
    prepare = cache.prepare_case

    def counted(*args):
        calls.append(args)
        return prepare(*args)

    monkeypatch.setattr(cache, "prepare_case", counted)
    return calls


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_case_is_prepared_once(tmp_path, reads):
    case = make_case(tmp_path)
    volumes = cache.Volumes(PLAN, (2,), tmp_path / "cache")
    first, second = volumes.load(case), cache.Volumes(PLAN, (2,), tmp_path / "cache").load(case)
    assert len(reads) == 1
    plain = cache.Volumes(PLAN, (2,)).load(case)
    assert same(first, plain)
    assert same(second, plain)
    assert plain.image.dtype == np.float32
    assert plain.foreground.size == (plain.label > 0).sum() > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda case: os.utime(case.label[0], ns=(1, 1)),
        lambda case: case.images[0].write_bytes(case.images[0].read_bytes() + b"\0"),
    ],
)
def test_a_changed_file_is_read_again(tmp_path, reads, change):
    case = make_case(tmp_path)
    volumes = cache.Volumes(PLAN, (2,), tmp_path / "cache")
    volumes.load(case)
    change(case)
    volumes.load(case)
    assert len(reads) == 2


def test_another_preprocessing_is_another_entry(tmp_path, reads):
    case = make_case(tmp_path)
    for plan in (PLAN, Preprocessing(Intensity("none"))):
        cache.Volumes(plan, (2,), tmp_path / "cache").load(case)
    assert len(reads) == 2


@pytest.mark.parametrize("name", ["image.npy", "label.npy", "foreground.npy"])
def test_a_damaged_entry_is_made_again(tmp_path, name):
    case = make_case(tmp_path)
    volumes = cache.Volumes(PLAN, (2,), tmp_path / "cache")
    plain = cache.Volumes(PLAN, (2,)).load(case)
    volumes.load(case)
    (file,) = (tmp_path / "cache").glob(f"*/{name}")
    file.write_bytes(file.read_bytes()[:-8])
    assert same(volumes.load(case), plain)
    assert same(volumes.load(case), plain)


def test_several_at_once_agree_and_leave_nothing_behind(tmp_path):
    case = make_case(tmp_path)
    volumes = cache.Volumes(PLAN, (2,), tmp_path / "cache")
    found = []
    threads = [threading.Thread(target=lambda: found.append(volumes.load(case))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert all(same(volume, found[0]) for volume in found)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    case = make_case(tmp_path)
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(EnvironmentFault, match="--cache_dir"):
        cache.Volumes(PLAN, (2,), tmp_path / "cache").load(case)
