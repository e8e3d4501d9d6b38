"""`fdif evaluate` from the command line."""

import json

import nibabel
import numpy as np
import pytest
from one_sentence import assert_one_sentence


@pytest.fixture
def folders(tmp_path):
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[2:5, 2:5, 2:5] = 1
    for folder in ("predicted", "labels"):
        (tmp_path / folder).mkdir()
        for name in "ab":
            image = nibabel.Nifti1Image(labels, np.eye(4))
            nibabel.save(image, tmp_path / folder / f"{name}.nii.gz")


@pytest.mark.usefixtures("folders")
def test_scores_are_shown_and_written(fdif, tmp_path):
    result = fdif("evaluate --prediction predicted --reference labels --names liver --out_dir out")
    assert result.exit_code == 0, result.output
    assert "liver      2  1.0000     0.00" in result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "scores.csv",
        "scores.json",
    ]
    assert json.loads((tmp_path / "out/scores.json").read_text())["mean"]["dice"] == 1.0


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize(
    ("args", "part"),
    [
        ("--prediction nowhere --reference labels", "nowhere does not exist"),
        ("--prediction predicted", "Missing option '--reference'"),
        ("--prediction predicted --reference labels --tolerance -1", "tolerance is -1.0"),
        ("--prediction predicted --reference labels --empty_is 2", "'2' is not one of"),
        ("--prediction predicted --reference labels --out_dir file --quiet", "cannot be written"),
    ],
)
def test_mistakes_end_in_one_sentence(fdif, tmp_path, args, part):
    (tmp_path / "file").write_text("mine")
    result = fdif(f"evaluate {args}")
    if "--out_dir" in args:
        assert result.stderr.startswith("Error: file/scores.csv cannot be written")
        assert result.exit_code == 2
    else:
        assert_one_sentence(result, part)


@pytest.mark.usefixtures("folders")
def test_a_damaged_file_is_named(fdif, tmp_path):
    data = (tmp_path / "predicted/b.nii.gz").read_bytes()
    (tmp_path / "predicted/b.nii.gz").write_bytes(data[:-20])
    result = fdif("evaluate --prediction predicted --reference labels --quiet")
    assert_one_sentence(result, "predicted/b.nii.gz is cut off")
