"""Data sets as declared: our own in both layouts, Decathlon's, nnU-Net's."""

import json

import pytest
from tiny_volumes import real

from fdif_jax.config import GenerateConfig
from fdif_jax.data.datalist import read_datalist
from fdif_jax.errors import InputError
from fdif_jax.io.layout import samples
from fdif_jax.io.layouts import layout_for
from fdif_jax.io.manifest import Classes, Generation

ONE_TASK = Classes({0: "background", 1: "Sphere", 2: "Cone"}, 3, {}, "uint8")
TASK_IDS = {"shape": {"background": 0, "Cone": 1}, "mapper": {"background": 0, "x": 1, "y": 2}}
TASKS = Classes({0: "background", 1: "a"}, 5, TASK_IDS, "uint8")
ENTRY = {"image": "images/a.nii.gz", "label": "labels/a.nii.gz"}


def generate(root, classes, layout):
    """A data set as ``fdif generate`` leaves it, with empty files."""
    config = GenerateConfig(
        num_samples=3, num_val_samples=2, multi_task=bool(classes.tasks), layout=layout
    )
    made = layout_for(Generation(config, 1, classes))
    contents = made.metadata()
    contents |= {name: b"" for ref in samples(made.generation) for name in made.files(ref)}
    for name, data in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def read(tmp_path, record):
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps(record))
    return read_datalist(path)


@pytest.mark.parametrize("layout", ["monai", "nnunet"])
@pytest.mark.parametrize("classes", [ONE_TASK, TASKS], ids=["one-task", "tasks"])
def test_what_fdif_generates_is_read(tmp_path, classes, layout):
    generate(tmp_path, classes, layout)
    found = read_datalist(tmp_path / "Dataset999_SDFSynthetic" if layout == "nnunet" else tmp_path)
    assert [len(found.training), len(found.validation)] == [3, 2]
    assert found.synthetic
    assert found.modality == ("SDF",)
    files = [p for c in (*found.training, *found.validation) for p in (*c.images, *c.label)]
    assert len(set(files)) == len(files)
    assert all(path.is_file() for path in files)
    assert len({case.id for case in (*found.training, *found.validation)}) == 5
    if classes.tasks:
        assert found.tasks == {
            "shape": {0: "background", 1: "Cone"},
            "mapper": {0: "background", 1: "x", 2: "y"},
        }
        assert list(found.tasks) == ["shape", "mapper"]
        assert found.labels == {}
        assert found.out_channel is None
        assert len(found.training[0].label) == (2 if layout == "nnunet" else 1)
    else:
        assert found.labels == ONE_TASK.labels
        assert found.out_channel == 3
        assert found.tasks == {}


def test_the_hippocampus_list_is_read():
    found = read_datalist(real("hippocampus/dataset.json"))
    assert [len(found.training), len(found.validation)] == [160, 40]
    assert found.modality == ("MRI",)
    assert found.out_channel == 3
    assert found.training[0].id == "hippocampus_001"
    assert all(path.is_file() for case in found.training for path in (*case.images, *case.label))


def test_nnunet_channels_and_no_validation(tmp_path):
    root = tmp_path / "Dataset004_X"
    for name in ("imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "labelsTr/a.nii.gz"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    record = {
        "channel_names": {"1": "ADC", "0": "T2"},
        "labels": {"tumour": 2, "background": 0, "organ": 1},
        "numTraining": 1,
        "file_ending": ".nii.gz",
    }
    found = read(root, record)
    assert found.modality == ("T2", "ADC")
    assert list(found.labels.items()) == [(0, "background"), (1, "organ"), (2, "tumour")]
    assert found.out_channel == 3
    (case,) = found.training
    assert [path.name for path in case.images] == ["a_0000.nii.gz", "a_0001.nii.gz"]
    assert found.validation == ()
    assert not found.synthetic


def test_the_least_that_a_list_may_say(tmp_path):
    found = read(tmp_path, {"training": [ENTRY], "test": ["images/b.nii.gz"]})
    assert found.training[0].images == (tmp_path / "images/a.nii.gz",)
    assert found.training[0].id == "a"
    assert (found.validation, found.modality, found.labels, found.out_channel) == ((), (), {}, None)
    assert found.test[0].images == (tmp_path / "images/b.nii.gz",)
    assert found.test[0].label == ()


def test_lists_of_files_and_equal_names(tmp_path):
    entries = [
        {"image": [f"{case}/t1.nii", f"{case}/t2.nii"], "label": f"{case}/seg.nii"} for case in "ab"
    ]
    found = read(tmp_path, {"training": entries, "modality": ["T1", "T2"]})
    assert [case.id for case in found.training] == ["a_t1", "b_t1"]
    assert len(found.training[0].images) == 2
    assert found.modality == ("T1", "T2")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"training": [{"label": "a.nii"}]}, r"training\[0\] has no readable image"),
        ({"training": [{"image": 3}]}, r"training\[0\] has no readable image"),
        ({"training": ["", ENTRY]}, r"training\[0\] has no readable image"),
        ({"training": 5}, "training is not a list of cases"),
        ({"training": [ENTRY], "labels": {"liver": 1}}, "labels must go from id to name"),
        ({"training": [ENTRY], "labels": ["liver"]}, "labels must go from id to name"),
        ({"training": [ENTRY], "out_channel": "3"}, "out_channel is '3'"),
        (
            {"training": [ENTRY], "out_channel": 2, "labels": {"0": "a", "2": "b"}},
            "out_channel is 2, its labels go up to 2",
        ),
        ({"training": [ENTRY], "tasks": {"shape": 1}}, "tasks must go from task to its labels"),
        ({"images": []}, "neither a Decathlon list"),
        ({"channel_names": {"0": "CT"}, "labels": {"whole": [1, 2]}}, "whole.*one integer"),
        ({"channel_names": {"0": "CT"}, "labels": {"ignore": 2}}, "declares voxels to ignore"),
        ({"channel_names": {"0": "CT"}, "file_ending": ".mha", "labels": {}}, "fdif reads .nii"),
    ],
)
def test_what_is_no_list_is_refused_in_one_sentence(tmp_path, record, message):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, record)
    assert str(tmp_path / "dataset.json") in str(caught.value)


def test_a_path_that_holds_no_data_set(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_datalist(tmp_path / "missing.json")
    with pytest.raises(InputError, match="holds none of"):
        read_datalist(tmp_path)
    (tmp_path / "data.json").write_text("[1, 2")
    with pytest.raises(InputError, match="is no JSON"):
        read_datalist(tmp_path)
