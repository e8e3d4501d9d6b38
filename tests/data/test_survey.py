"""Headers looked at before anything runs."""

import dataclasses
import gzip

import numpy as np
import pytest
from tiny_volumes import oblique, real, save

from fdif_jax.data.datalist import Case, DataList, read_datalist
from fdif_jax.data.survey import check_datalist, lowest_voxel
from fdif_jax.errors import InputError

SHAPE = (4, 5, 6)


@pytest.fixture
def sound(tmp_path):
    """Two cases to train on, one to validate."""
    cases = []
    for name in "abc":
        image = save(tmp_path / f"{name}.nii.gz", np.zeros(SHAPE, np.int16) - 3, oblique())
        label = save(tmp_path / f"{name}_seg.nii.gz", np.zeros(SHAPE, np.uint8), oblique())
        cases.append(Case(name, (image,), (label,)))
    return DataList(tmp_path / "dataset.json", tuple(cases[:2]), tuple(cases[2:]))


def test_a_sound_data_set(sound):
    found = check_datalist(sound)
    assert found.channels == 1
    assert found.shapes == (SHAPE,) * 3
    assert found.notes == ()
    assert lowest_voxel(sound.training) == -3


def test_only_headers_are_read(sound):
    """Files that are cut off behind the header pass: thousands of volumes are not unpacked."""
    image = sound.training[0].images[0]
    save(image, np.random.default_rng(0).normal(size=SHAPE), oblique())
    image.write_bytes(image.read_bytes()[:600])
    assert check_datalist(sound).channels == 1
    with pytest.raises(InputError, match="is cut off"):
        lowest_voxel(sound.training)


def test_the_hippocampus_set_is_sound():
    found = check_datalist(read_datalist(real("hippocampus")))
    assert len(found.shapes) == 200
    assert found.notes == ()


def spoiled(folder, name):
    image, label = folder / "b.nii.gz", folder / "b_seg.nii.gz"
    if name == "missing":
        image.unlink()
    elif name == "damaged":
        label.write_bytes(b"\x1f\x8b nothing")
    elif name == "empty":
        label.write_bytes(b"")
    elif name == "shape":
        save(label, np.zeros((4, 5, 7), np.uint8))
    elif name == "channels":
        save(image, np.zeros((*SHAPE, 2), np.int16), oblique())
    elif name == "tasks":
        save(label, np.zeros((*SHAPE, 2), np.uint8), oblique())
    elif name == "affine":
        raw = bytearray(gzip.decompress(image.read_bytes()))
        for row in (280, 296, 312):  # of the sform; its third column
            raw[row + 8 : row + 12] = bytes(4)
        image.write_bytes(gzip.compress(raw))
    else:
        save(image, np.zeros(SHAPE[:2], np.int16))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", r"b.nii.gz is missing"),
        ("damaged", r"b_seg.nii.gz cannot be read"),
        ("empty", r"b_seg.nii.gz is cut off or empty"),
        ("shape", r"b_seg.nii.gz has 4 x 5 x 7 voxels, .*b.nii.gz has 4 x 5 x 6"),
        ("channels", r"b.nii.gz has 2 channels, not 1; .*--in_channels"),
        ("tasks", r"b_seg.nii.gz has labels of 2 tasks"),
        ("affine", r"b.nii.gz has an affine with a voxel size of 0"),
        ("flat", r"b.nii.gz has the shape \(4, 5\); it needs three axes"),
    ],
)
def test_each_fault_is_one_sentence(sound, tmp_path, name, message):
    spoiled(tmp_path, name)
    with pytest.raises(InputError, match=message):
        check_datalist(sound)


def test_several_faults_are_counted(sound, tmp_path):
    for path in tmp_path.glob("*_seg.nii.gz"):
        path.unlink()
    with pytest.raises(InputError, match=r"a_seg.nii.gz is missing. .3 cases have problems"):
        check_datalist(sound)


def test_what_is_declared_or_asked_for_counts(sound):
    declared = dataclasses.replace(sound, modality=("T1", "T2"))
    with pytest.raises(InputError, match="has 1 channel, not 2"):
        check_datalist(declared)
    assert check_datalist(declared, channels=1).channels == 1
    tasks = dataclasses.replace(sound, tasks={"shape": {}, "mapper": {}})
    with pytest.raises(InputError, match="has labels of 1 task, 2 declared"):
        check_datalist(tasks)


def test_cases_without_labels_and_lists_without_cases(sound):
    bare = dataclasses.replace(sound.validation[0], label=())
    with pytest.raises(InputError, match=r"c\.nii\.gz has no label in the list"):
        check_datalist(dataclasses.replace(sound, validation=(bare,)))
    with pytest.raises(InputError, match="lists no training cases"):
        check_datalist(dataclasses.replace(sound, training=()))
    assert check_datalist(dataclasses.replace(sound, validation=())).notes == ()


def test_labels_that_lie_elsewhere_are_noted(sound, tmp_path):
    nearly, away = oblique(), oblique()
    nearly[0, 3] += 0.005  # mm; what rounding in headers does
    away[0, 3] += 8.0
    save(tmp_path / "a_seg.nii.gz", np.zeros(SHAPE, np.uint8), nearly)
    assert check_datalist(sound).notes == ()
    save(tmp_path / "b_seg.nii.gz", np.zeros(SHAPE, np.uint8), away)
    (note,) = check_datalist(sound).notes
    assert note.startswith("b: the headers of its files place them 10 voxels apart")


def test_cases_in_both_lists_are_noted(sound):
    (note,) = check_datalist(dataclasses.replace(sound, validation=sound.training[:1])).notes
    assert note.startswith("a is a validation and a training case")
