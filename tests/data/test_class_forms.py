"""Classification sets: three forms, one content; what is wrong is said in a sentence."""

import json

import numpy as np
import pytest
from class_sets import VOLUMES, arrays, write_archive, write_folder, write_table

from fdif_jax.data.class_forms import read_classified
from fdif_jax.data.classified import check_examples
from fdif_jax.data.fit import fit
from fdif_jax.errors import InputError


def counts(found):
    return len(found.training), len(found.validation), len(found.test)


def test_a_folder_has_the_cases_of_its_fold(tmp_path):
    root = write_folder(tmp_path, channels=2)
    one, other = (read_classified(root, fold=fold) for fold in (0, 1))
    assert [e.id for e in one.training] == [e.id for e in other.validation]
    assert one.labels == {"class": ("0", "1")}
    assert (one.smoothing, one.prepared) == (0.2, True)
    assert [e.label for e in one.training] == [(0,), (1,), (0,), (1,)]
    assert one.training[0].read().voxels.shape == (8, 8, 16, 2)


@pytest.mark.parametrize(
    ("labels", "names", "first"),
    [
        pytest.param([[1, 1], [0, 0]], {"class": ("0", "1")}, (1,), id="pairs"),
        pytest.param([[1, 0], [0, 2]], {"label 0": 2, "label 1": 3}, (1, 0), id="two labels"),
    ],
)
def test_several_labels_are_told_from_one_written_twice(tmp_path, labels, names, first):
    given = {f"c{i}": labels[i % 2] for i in range(4)}
    folds = [{"train": ["c0", "c1"], "val": ["c2", "c3"]}]
    found = read_classified(write_folder(tmp_path, given, folds))
    wanted = {k: tuple(map(str, range(v))) if isinstance(v, int) else v for k, v in names.items()}
    assert found.labels == wanted
    assert found.training[0].label == first


def test_an_archive_scales_bytes_and_keeps_floats(tmp_path):
    found = read_classified(write_archive(tmp_path / "a.npz"))
    assert counts(found) == (6, 4, 2)
    assert (found.smoothing, found.labels) == (0.0, {"class": ("0", "1")})
    image = found.training[1].read().voxels
    np.testing.assert_allclose(image[..., 0], arrays()["train_images"][1] / 255, rtol=1e-6)
    floats = np.full((6, 4, 4, 4, 3), 300.0)
    others = dict.fromkeys(("val_images", "val_labels", "test_images", "test_labels"))
    again = read_classified(write_archive(tmp_path / "b.npz", train_images=floats, **others))
    assert np.all(again.training[0].read().voxels == 300)
    assert again.training[0].read().voxels.shape == (4, 4, 4, 3)


def test_a_table_names_its_classes(tmp_path):
    found = read_classified(write_table(tmp_path / "t.csv"))
    assert counts(found) == (4, 4, 0)
    assert (found.labels, found.prepared) == ({"class": ("a", "b")}, False)
    rows = ["x.nii.gz,10,left", "y.nii.gz,9,right"]
    two = read_classified(write_table(tmp_path / "u.csv", rows, "image,grade,side"))
    assert two.labels == {"grade": ("9", "10"), "side": ("left", "right")}
    assert [e.label for e in two.training] == [(1, 0), (0, 1)]
    assert two.training[0].read().voxels.shape == (8, 8, 16, 1)
    assert "no validation cases" in check_examples(two)[0]


def put(path, record):
    path.write_text(json.dumps(record))


FOLDERS = [
    (lambda r: (r / "labelsTr.json").unlink(), "has no labelsTr.json"),
    (lambda r: put(r / "labelsTr.json", {"c0": "x"}), "c0 has label 'x'"),
    (lambda r: put(r / "labelsTr.json", {"c0": 10**9, "c1": 0}), "names c2, which"),
    (lambda r: put(r / "splits_final.json", {}), "holds no JSON list"),
    (lambda r: put(r / "splits_final.json", []), "holds no folds"),
    (lambda r: put(r / "splits_final.json", [{"train": ["c0"]}]), "no lists 'train' and 'val'"),
    (lambda r: (r / VOLUMES / "c1.b2nd").unlink(), "c1.b2nd is missing (1 of 4 in 'train')"),
]


@pytest.mark.parametrize(("damage", "message"), FOLDERS, ids=[m for _, m in FOLDERS])
def test_folders_that_contradict_themselves(tmp_path, damage, message):
    root = write_folder(tmp_path)
    damage(root)
    with pytest.raises(InputError) as error:
        read_classified(root)
    assert message in str(error.value)
    assert str(error.value).endswith(".")


SHORT = np.zeros((3, 1), np.uint8)
ARCHIVES = [
    ({"train_labels": None}, "give train_images and train_labels"),
    ({"val_labels": None}, "val_images without val_labels"),
    ({"train_labels": SHORT}, "train_labels have shape (3, 1), of 6 images"),
    ({"train_labels": np.full(6, -1)}, "are no class ids"),
    ({"train_labels": np.full(6, 0.5)}, "are no class ids"),
    ({"train_labels": np.full((6, 2), 1)}, "has [1, 2] labels an image"),
    ({"train_labels": np.arange(6) * 10**6}, "class id 5000000"),
    ({"train_images": np.zeros((6, 8, 8), np.uint8)}, "train_images have shape (6, 8, 8)"),
    ({"train_images": np.full((6, 4, 4, 4), "x")}, "train_images have shape"),
]


@pytest.mark.parametrize(("changes", "message"), ARCHIVES, ids=[m for _, m in ARCHIVES])
def test_archives_that_contradict_themselves(tmp_path, changes, message):
    with pytest.raises(InputError) as error:
        read_classified(write_archive(tmp_path / "a.npz", **changes))
    assert message in str(error.value)


def test_a_damaged_archive_is_named(tmp_path):
    path = tmp_path / "a.npz"
    for data in (b"", b"PK\3\4 nothing"):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"a\.npz is no \.npz of arrays, or damaged"):
            read_classified(path)


TABLES = [
    ("label,split", ["0,train"], "has the columns label, split; give the columns image"),
    ("image,split", ["i.nii.gz,train"], "give the columns image, label"),
    ("image,label,split", [], "has no rows"),
    ("image,label,split", ["i.nii.gz,,train"], "line 2: label is empty"),
    ("image,label,split", ["i.nii.gz,0"], "line 2: split is empty"),
    ("image,label,split", ["i.nii.gz,0,later"], "split is 'later'; give train, val or test"),
    ("image,label", ["i.nii.gz,0", "i.nii.gz,1"], "line 3: i.nii.gz is in line 2 too"),
    ("image,label,label", ["i.nii.gz,0,1"], "names a column twice"),
]


@pytest.mark.parametrize(("header", "rows", "message"), TABLES, ids=[m for *_, m in TABLES])
def test_tables_that_contradict_themselves(tmp_path, header, rows, message):
    with pytest.raises(InputError) as error:
        read_classified(write_table(tmp_path / "t.csv", rows, header))
    assert message in str(error.value)


def test_a_table_with_a_missing_image(tmp_path):
    path = write_table(tmp_path / "t.csv")
    (tmp_path / "i3.nii.gz").unlink()
    with pytest.raises(InputError, match=r"line 5: .*i3\.nii\.gz is missing"):
        read_classified(path)


def test_what_is_no_set(tmp_path):
    (tmp_path / "a.txt").write_text("")
    for path in (tmp_path / "a.txt", tmp_path / "nothing.npz"):
        with pytest.raises(InputError, match=r"give a folder.*, an \.npz or a \.csv"):
            read_classified(path)
    with pytest.raises(InputError, match="leave --fold out"):
        read_classified(write_archive(tmp_path / "a.npz"), fold=1)


UNLEARNABLE = [
    (["a.nii.gz,0,val", "b.nii.gz,1,val"], "has no training cases"),
    (["a.nii.gz,0,train", "b.nii.gz,0,train"], "training cases of one class only"),
    (["a.nii.gz,0,train", "b.nii.gz,1,train", "c.nii.gz,2,val"], "validates class '2'"),
]


@pytest.mark.parametrize(("rows", "message"), UNLEARNABLE, ids=[m for _, m in UNLEARNABLE])
def test_sets_that_nothing_can_be_learnt_from(tmp_path, rows, message):
    found = read_classified(write_table(tmp_path / "t.csv", rows))
    with pytest.raises(InputError) as error:
        check_examples(found)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("shape", "inner"),
    [
        pytest.param((4, 6, 8), (slice(2, 6), slice(1, 7), slice(4, 12)), id="small"),
        pytest.param((8, 8, 32), (slice(2, 6), slice(2, 6), slice(0, 16)), id="large"),
        pytest.param((8, 8, 16), (slice(None),) * 3, id="as it is"),
    ],
)
def test_an_image_fits_its_patch_in_its_proportions(shape, inner):
    found = fit(np.ones((*shape, 2), np.float32), (8, 8, 16))
    wanted = np.zeros((8, 8, 16, 2), np.float32)
    wanted[inner] = 1
    np.testing.assert_array_equal(found, wanted)


def test_the_order_of_classes_does_not_depend_on_the_process(tmp_path):
    """Sets have an order of their own in every process."""
    rows = ["a.nii.gz,1", "b.nii.gz,01", "c.nii.gz,001", "d.nii.gz,0"]
    found = read_classified(write_table(tmp_path / "t.csv", rows, "image,label"))
    assert found.labels["class"] == ("0", "001", "01", "1")
