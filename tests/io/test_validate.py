"""validate: our data sets pass, those of others by their own rules, every flaw is named."""

import json
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
from fake_generate import generation, write

from fdif_jax.errors import InputError
from fdif_jax.io.validate import validate


def save(path: Path, array, affine=None, zooms=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(np.asarray(array), np.eye(4) if affine is None else affine)
    nibabel.save(image, path)


def edit(path: Path, **changes):
    record = json.loads(path.read_text())
    record.update(changes)
    path.write_text(json.dumps({k: v for k, v in record.items() if v is not None}))


@pytest.fixture
def nnunet(tmp_path):
    """An nnU-Net raw data set made by somebody else: two cases, two channels."""
    root = tmp_path / "Dataset123_Other"
    for case in ("a", "b"):
        for channel in range(2):
            save(root / f"imagesTr/{case}_{channel:04d}.nii.gz", np.ones((4, 5, 6), np.float32))
        save(root / f"labelsTr/{case}.nii.gz", np.arange(120).reshape(4, 5, 6).astype(np.int16) % 3)
    record = {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "organ": 1, "tumour": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(record))
    return root


@pytest.fixture
def decathlon(tmp_path):
    """A Decathlon list made by somebody else, with one four-dimensional image."""
    root = tmp_path / "Task01"
    save(root / "imagesTr/a.nii.gz", np.ones((4, 5, 6, 2), np.float32))
    save(root / "labelsTr/a.nii.gz", np.ones((4, 5, 6), np.uint8))
    record = {
        "modality": {"0": "T1", "1": "T2"},
        "labels": {"0": "background", "1": "organ"},
        "numTraining": 1,
        "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
        "test": ["./imagesTr/a.nii.gz"],
    }
    (root / "dataset.json").write_text(json.dumps(record))
    return root


@pytest.mark.parametrize("layout", ["monai", "nnunet"])
@pytest.mark.parametrize("multi_task", [False, True])
def test_our_data_sets_are_valid(tmp_path, layout, multi_task):
    made = generation(num_val_samples=2, layout=layout, multi_task=multi_task)
    write(tmp_path, made, scenes=True)
    homes = ["."] if layout == "monai" else [p.name for p in tmp_path.iterdir()]
    for home in homes:
        found = validate(tmp_path / home)
        assert (found.errors, found.warnings) == ((), ())
    assert found.cases in (2, 5, 7)


@pytest.mark.parametrize("place", [".", "data", "data/data.json"])
def test_a_monai_data_set_is_found_by_folder_data_folder_or_file(tmp_path, place):
    write(tmp_path, generation())
    assert validate(tmp_path / place).cases == 5


def test_a_moved_data_folder_is_still_valid(tmp_path):
    write(tmp_path, generation())
    (tmp_path / "data").rename(tmp_path / "moved")
    assert validate(tmp_path / "moved").errors == ()


def test_data_sets_of_others_are_valid(nnunet, decathlon):
    assert validate(nnunet).errors == ()
    found = validate(decathlon)
    assert (found.errors, found.cases) == (("a.nii.gz is listed twice",), 2)
    edit(decathlon / "dataset.json", test=[])
    assert validate(decathlon).errors == ()


IMAGE = "imagesTr/b_0001.nii.gz"
LABEL = "labelsTr/b.nii.gz"
GOOD = np.zeros((4, 5, 6), np.uint8)
SHIFTED = np.diag([1.0, 1.0, 2.0, 1.0])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda r: (r / LABEL).unlink(), r"labelsTr/b.nii.gz: is missing"),
        (lambda r: (r / IMAGE).unlink(), r"imagesTr/b_0001.nii.gz: is missing"),
        (lambda r: (r / LABEL).write_bytes(b""), r"labelsTr/b.nii.gz: is empty"),
        (
            lambda r: (r / LABEL).write_bytes((r / LABEL).read_bytes()[:-4]),
            r"labelsTr/b.nii.gz: is cut off",
        ),
        (lambda r: (r / IMAGE).write_text("no volume" * 9), r"imagesTr/b_0001.nii.gz: is damaged"),
        (lambda r: save(r / LABEL, GOOD + 17), r"label 17 is not declared \(declared: 0\.\.2\)"),
        (lambda r: save(r / LABEL, GOOD.astype(np.float32) + 0.5), r"label 0\.5 is not declared"),
        (lambda r: save(r / LABEL, GOOD[:3]), r"shape \(3, 5, 6\), but a_0000|shape \(3, 5, 6\)"),
        (lambda r: save(r / LABEL, GOOD, SHIFTED), r"spacing \(1.0, 1.0, 2.0\), but"),
        (lambda r: save(r / IMAGE, np.full((4, 5, 6), np.nan, np.float32)), r"NaN"),
        (lambda r: save(r / "imagesTr/c_0000.nii.gz", GOOD), r"imagesTr/c_0001.nii.gz: is missing"),
        (lambda r: save(r / "labelsTr/c.nii.gz", GOOD), r"labelsTr/c.nii.gz: belongs to no case"),
        (lambda r: edit(r / "dataset.json", numTraining=3), r"numTraining is 3, 2 cases"),
        (
            lambda r: edit(r / "dataset.json", labels={"background": 0, "a": 1, "b": 3}),
            r"a gap: 2 is missing below 3",
        ),
        (
            lambda r: edit(r / "dataset.json", labels={"organ": 1, "tumour": 2}),
            r"'background' must be declared",
        ),
        (
            lambda r: edit(r / "dataset.json", labels={"background": 0, "a": "x"}),
            r"label 'a' has id 'x'",
        ),
        (
            lambda r: edit(r / "dataset.json", channel_names={"0": "T1"}),
            r"_0001.nii.gz: belongs to no case",
        ),
        (lambda r: edit(r / "dataset.json", file_ending=None), r"lacks file_ending"),
    ],
)
def test_nnunet_rules(nnunet, damage, message):
    damage(nnunet)
    with_errors = validate(nnunet)
    text = "\n".join(with_errors.errors)
    assert text
    assert re.search(message, text), text


def test_regions_and_ignore_are_labels(nnunet):
    names = {"background": 0, "whole": [1, 2], "core": [2], "ignore": 3}
    edit(nnunet / "dataset.json", labels=names)
    assert validate(nnunet).errors == ()


def test_cases_may_be_listed(nnunet):
    listed = {
        "x": {
            "images": ["imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz"],
            "label": "labelsTr/a.nii.gz",
        }
    }
    edit(nnunet / "dataset.json", dataset=listed, numTraining=1)
    for name in ("b_0000", "b_0001"):
        (nnunet / f"imagesTr/{name}.nii.gz").unlink()
    (nnunet / "labelsTr/b.nii.gz").unlink()
    assert validate(nnunet).errors == ()


def test_a_differing_origin_is_a_warning(nnunet):
    affine = np.eye(4)
    affine[0, 3] = 7
    save(nnunet / LABEL, GOOD, affine)
    found = validate(nnunet)
    assert found.errors == ()
    assert found.warnings == (
        "labelsTr/b.nii.gz: origin or direction differs from that of b_0000.nii.gz",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modality": {"0": "T1"}}, "2 channels, 1 are declared"),
        ({"labels": {"0": "background"}}, r"label 1 is not declared \(declared: 0\.\.0\)"),
        ({"labels": {"0": "background", "2": "x"}}, "a gap: 1 is missing"),
        ({"labels": {"zero": "background"}}, "from id to name"),
        ({"training": [{"label": "x"}]}, r"training\[0\] has no readable"),
        (
            {"training": [{"image": "gone.nii.gz", "label": "labelsTr/a.nii.gz"}]},
            "gone.nii.gz: is m",
        ),
        ({"training": [], "numTraining": 0, "test": []}, "no cases"),
    ],
)
def test_decathlon_rules(decathlon, change, message):
    edit(decathlon / "dataset.json", **{"test": [], **change})
    assert re.search(message, "\n".join(validate(decathlon).errors))


def test_other_volume_formats_are_read(decathlon):
    save(decathlon / "imagesTr/b.nii", np.ones((4, 5, 6, 2), np.float32))
    nibabel.save(
        nibabel.MGHImage(np.ones((4, 5, 6), np.uint8), np.eye(4)), decathlon / "labelsTr/b.mgz"
    )
    entry = {"image": "imagesTr/b.nii", "label": "labelsTr/b.mgz"}
    edit(decathlon / "dataset.json", test=[], training=[entry])
    assert validate(decathlon).errors == ()


OURS = "data/label/batch_0000/sample_00001_y.nii.gz"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.unlink(), "sample_00001_y.nii.gz: is missing"),
        (lambda p: p.write_bytes(p.read_bytes()[:-4]), "sample_00001_y.nii.gz: is cut off"),
        (lambda p: save(p, np.zeros((8, 9, 10), np.uint8)), "was not written by fdif"),
        (
            lambda p: p.write_bytes(p.with_name("sample_00002_y.nii.gz").read_bytes()),
            "sample_00001_y.nii.gz: holds another sample",
        ),
        (
            lambda p: p.with_name("extra.nii.gz").write_bytes(p.read_bytes()),
            "extra.nii.gz: belongs to no case",
        ),
    ],
)
def test_flaws_of_our_own_data_sets(tmp_path, damage, message):
    write(tmp_path, generation())
    damage(tmp_path / OURS)
    found = validate(tmp_path)
    assert len(found.errors) == 1
    assert message in found.errors[0]


def test_multi_task_labels_are_checked_per_task(tmp_path):
    write(tmp_path, generation(multi_task=True))
    (tmp_path / "generation.json").unlink()
    label = np.zeros((8, 9, 10, 2), np.uint8)
    label[..., 1] = 3
    save(tmp_path / OURS, label)
    assert "label 3 is not declared (declared: 0..2)" in validate(tmp_path).errors[0]
    save(tmp_path / OURS, label[..., :1])
    assert "must hold 2 tasks" in validate(tmp_path).errors[0]


def test_an_unfinished_data_set_says_what_is_missing(tmp_path):
    write(tmp_path, generation())
    (tmp_path / "data/data.json").unlink()
    (tmp_path / OURS).unlink()
    for place in (tmp_path, tmp_path / "data"):
        with pytest.raises(InputError, match="1 of 5 samples are missing"):
            validate(place)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds none of"),
        ("{", "is no JSON"),
        ("[]", "holds no JSON object"),
        ("{}", "neither a Decathlon list"),
        ('{"channel_names": {}, "labels": [], "file_ending": ".nii.gz"}', "labels is no object"),
        ('{"channel_names": {}, "labels": {}, "file_ending": ".png"}', "file_ending is '.png'"),
    ],
)
def test_what_is_no_data_set_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(InputError, match=message):
        validate(tmp_path)


def test_a_folder_of_data_sets_names_one(tmp_path):
    write(tmp_path, generation(layout="nnunet"))
    with pytest.raises(InputError, match=r"did you mean .*Dataset999_SDFSynthetic\?"):
        validate(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        validate(tmp_path / "nowhere")
