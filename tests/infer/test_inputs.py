"""Which images there are, and what they are called."""

import json

import numpy as np
import pytest
from image_files import volume, write

from fdif_jax.errors import InputError
from fdif_jax.infer.inputs import check_cases, find_cases


def files(root, *names):
    for name in names:
        write(root / name, volume((4, 4, 4)))
    return root


def found(path, channels=1, split=None):
    return {c.id: [p.name for p in c.images] for c in find_cases(path, channels, split)}


def test_every_file_of_a_folder_is_a_case(tmp_path):
    files(tmp_path, "a.nii.gz", "sub/b_0001.nii", ".hidden.nii.gz")
    (tmp_path / "notes.txt").write_text("")
    assert found(tmp_path) == {"a": ["a.nii.gz"], "b_0001": ["b_0001.nii"]}
    assert found(tmp_path / "a.nii.gz") == {"a": ["a.nii.gz"]}


def test_channels_in_files_of_their_own_are_one_case(tmp_path):
    names = ["a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz", "b_0001.nii.gz"]
    files(tmp_path, *names)
    assert found(tmp_path, 2) == {"a": names[:2], "b": names[2:]}
    assert found(tmp_path / "b_0000.nii.gz", 2) == {"b": names[2:]}
    assert found(tmp_path / "b_0000.nii.gz", 1) == {"b": names[2:3]}
    assert found(tmp_path / "b_0001.nii.gz", 2) == {"b_0001": names[3:]}
    assert list(found(tmp_path, 1)) == ["a_0000", "a_0001", "b_0000", "b_0001"]


def test_the_first_channel_alone_lends_its_name(tmp_path):
    assert list(found(files(tmp_path, "a_0000.nii.gz", "b_0000.nii.gz"))) == ["a", "b"]
    assert list(found(files(tmp_path, "c.nii.gz"))) == ["a_0000", "b_0000", "c"]


@pytest.mark.parametrize(
    ("split", "cases"),
    [
        (None, ["v"]),
        ("training", ["t"]),
        ("validation", ["v"]),
        ("test", ["x"]),
        ("all", ["v", "x", "t"]),
    ],
)
def test_splits_of_a_data_list(tmp_path, split, cases):
    record = {
        "training": [{"image": "t.nii.gz", "label": "t.nii.gz"}],
        "validation": [{"image": "v.nii.gz", "label": "v.nii.gz"}],
        "test": ["x.nii.gz"],
    }
    (tmp_path / "data.json").write_text(json.dumps(record))
    assert list(found(tmp_path, 1, split)) == cases
    assert list(found(tmp_path / "data.json", 1, split)) == cases
    if split is None:
        for gone, left in (("validation", ["x"]), ("test", ["t"])):
            record[gone] = []
            (tmp_path / "data.json").write_text(json.dumps(record))
            assert list(found(tmp_path)) == left
        with pytest.raises(InputError, match="lists no test cases"):
            found(tmp_path, 1, "test")
        (tmp_path / "data.json").write_text(json.dumps({"training": []}))
        with pytest.raises(InputError, match="lists no cases"):
            found(tmp_path)


@pytest.mark.parametrize("size", [-5, 0])
def test_a_header_without_voxels_is_refused(tmp_path, size):
    path = write(tmp_path / "a.nii", volume((4, 4, 4)))
    raw = bytearray(path.read_bytes())
    raw[42:44] = size.to_bytes(2, "little", signed=True)
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"a.nii has no voxels"):
        check_cases(find_cases(path, 1), 1)


@pytest.mark.parametrize(
    ("names", "path", "split", "message"),
    [
        ([], "nowhere", None, "nowhere does not exist"),
        ([], ".", None, "holds no images"),
        (["a.nii", "sub/a.nii.gz"], ".", None, "are both called a"),
        (["a.nii"], ".", "test", "--split chooses from a data list"),
    ],
)
def test_nothing_to_predict_is_refused(tmp_path, names, path, split, message):
    files(tmp_path, *names)
    with pytest.raises(InputError, match=message):
        found(tmp_path / path, 1, split)


def test_predictions_in_the_folder_are_no_images(tmp_path):
    files(tmp_path, "a.nii.gz", "out/a.nii.gz", "out/probabilities/a.nii.gz", "outer/b.nii.gz")
    cases = find_cases(tmp_path, 1, out_dir=tmp_path / "out")
    assert [case.id for case in cases] == ["a", "b"]
    (case,) = find_cases(tmp_path / "out/probabilities", 1, out_dir=tmp_path / "out")
    assert case.images == (tmp_path / "out/probabilities/a.nii.gz",)


@pytest.mark.parametrize("name", ["../a", "a/b", ".a", "a\0", "\ud800", "x" * 240, None])
def test_names_that_are_none_of_a_file_in_the_folder_are_refused(tmp_path, name):
    record = {"training": [{"image": ".nii.gz", "id": name}]}
    (tmp_path / "data.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="cannot name a file"):
        found(tmp_path)


def test_headers_are_looked_at_before_anything_else(tmp_path):
    files(tmp_path, "a.nii.gz", "b.nii.gz", "c.nii.gz")
    write(tmp_path / "d.nii.gz", np.zeros((4, 5, 6, 2)))
    (tmp_path / "b.nii.gz").write_bytes(b"no image")
    cases = find_cases(tmp_path, 1)
    with pytest.raises(InputError, match=r"b.nii.gz .* 1 more images have problems"):
        check_cases(cases, 1)
    with pytest.raises(InputError, match=r"d.nii.gz has 2 channel\(s\), the model takes 1"):
        check_cases(cases[3:], 1)
    write(tmp_path / "long.nii.gz", np.zeros((40000, 1, 1)), nifti2=True)
    with pytest.raises(InputError, match=r"long.nii.gz has 40000 voxels along an axis"):
        check_cases(find_cases(tmp_path / "long.nii.gz", 1), 1)
    (header,) = check_cases(cases[3:], 2)
    assert header.shape == (4, 5, 6)
    write(tmp_path / "e_0000.nii.gz", np.zeros((4, 5, 6)))
    write(tmp_path / "e_0001.nii.gz", np.zeros((4, 5, 7)))
    with pytest.raises(InputError, match=r"e_0001.nii.gz has another shape"):
        check_cases(find_cases(tmp_path / "e_0000.nii.gz", 2), 2)
