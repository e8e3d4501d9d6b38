"""validate: classification sets of ours and of others, every flaw named with file and value."""

import json

import blosc2
import numpy as np
import pytest
from fake_generate import classification, write

from fdif_jax.errors import InputError
from fdif_jax.io.validate import validate

VOLUMES = "nnUNetResEncUNetLPlans_3d_fullres"


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blosc2.asarray(np.ascontiguousarray(array)).to_cframe())


@pytest.fixture
def other(tmp_path):
    """A set made by somebody else: two channels, volumes of different sizes, any names."""
    labels = {"a": 0, "b": 1, "c": 0, "d": 1}
    for i, case in enumerate(labels):
        save(tmp_path / VOLUMES / f"{case}.b2nd", np.ones((2, 4, 5, 6 + i), np.float32))
    put(tmp_path / "labelsTr.json", labels)
    folds = [{"train": ["a", "b"], "val": ["c", "d"]}, {"train": ["c", "d"], "val": ["a", "b"]}]
    put(tmp_path / "splits_final.json", folds)
    return tmp_path


def put(path, record):
    path.write_text(json.dumps(record))


def change(path, edit):
    record = json.loads(path.read_text())
    edit(record)
    put(path, record)


@pytest.mark.parametrize("options", [{}, {"labels_style": "pair"}, {"multilabel": True}])
@pytest.mark.parametrize("place", ["", "labelsTr.json"])
def test_our_sets_are_valid(tmp_path, options, place):
    write(tmp_path, classification(**options))
    found = validate(tmp_path / place)
    assert (found.errors, found.warnings, found.cases) == ((), (), 9)


def test_sets_of_others_are_valid(other):
    assert (validate(other).errors, validate(other).cases) == ((), 4)


LABELS, SPLITS, VOLUME = "labelsTr.json", "splits_final.json", f"{VOLUMES}/b.b2nd"
ONES = np.ones((2, 4, 5, 6), np.float32)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda r: (r / VOLUME).unlink(), "b.b2nd: is missing"),
        (lambda r: (r / VOLUME).write_bytes(b""), "b.b2nd: is empty"),
        (
            lambda r: (r / VOLUME).write_bytes((r / VOLUME).read_bytes()[:-3]),
            "b.b2nd: is cut off",
        ),
        (lambda r: (r / VOLUME).write_text("text" * 9), "b.b2nd: is no Blosc2 file"),
        (lambda r: save(r / VOLUME, ONES[0]), "b.b2nd: shape (4, 5, 6) float32; (C, D, H, W)"),
        (lambda r: save(r / VOLUME, ONES.astype(float)), "float64; (C, D, H, W) float32"),
        (lambda r: save(r / VOLUME, ONES * np.nan), "b.b2nd: holds NaN"),
        (lambda r: save(r / VOLUME, ONES[:1]), "b.b2nd: 1 channels, most others have 2"),
        (lambda r: save(r / VOLUMES / "e.b2nd", ONES), "e.b2nd: belongs to no case"),
        (lambda r: change(r / LABELS, lambda x: x.update(b=-1)), "b has label -1; give class ids"),
        (lambda r: change(r / LABELS, lambda x: x.update(b="x")), "b has label 'x'"),
        (lambda r: change(r / LABELS, lambda x: x.update(b=True)), "b has label True"),
        (lambda r: change(r / LABELS, lambda x: x.update(b=[1, 1])), "of another form than"),
        (lambda r: change(r / LABELS, lambda x: x.update(d=2)), "fold 0 validates class 2, of"),
        (lambda r: change(r / LABELS, lambda x: x.pop("b")), "names b, which labelsTr.json does"),
        (lambda r: change(r / SPLITS, lambda x: x.pop()), "holds 1 folds; 2 or more"),
        (
            lambda r: change(r / SPLITS, lambda x: x[1]["val"].append("c")),
            "fold 1 has c in both 'train' and 'val'",
        ),
        (
            lambda r: change(r / SPLITS, lambda x: x[0]["val"].append("d")),
            "fold 0 names d 2 times in 'val'",
        ),
        (lambda r: change(r / SPLITS, lambda x: x[0].update(val=[])), "fold 0 has no cases in"),
        (lambda r: change(r / SPLITS, lambda x: x[0].pop("val")), "fold 0 has no lists 'train'"),
    ],
)
def test_rules(other, damage, message):
    damage(other)
    text = "\n".join(validate(other).errors)
    assert message in text, text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labelsTr.json", "{", "is no JSON"),
        ("labelsTr.json", "[]", "holds no JSON object"),
        ("splits_final.json", "{}", "holds no JSON list"),
        ("splits_final.json", None, "splits_final.json cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused(other, name, content, message):
    (other / name).unlink()
    if content is not None:
        (other / name).write_text(content)
    with pytest.raises(InputError, match=message):
        validate(other / "labelsTr.json")


def swap(root):
    """A volume of ours under the name of another."""
    data = (root / VOLUMES / "case_00000.b2nd").read_bytes()
    (root / VOLUMES / "case_00005.b2nd").write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (swap, "case_00005.b2nd: holds another sample"),
        (
            lambda r: save(r / VOLUMES / "case_00005.b2nd", np.ones((1, 8, 9, 10), np.float32)),
            "case_00005.b2nd: was not written by fdif",
        ),
        (
            lambda r: change(r / LABELS, lambda x: x.update(case_00005=0)),
            "labelsTr.json: was changed after fdif wrote it",
        ),
        (
            lambda r: change(r / SPLITS, lambda x: x[0]["train"].pop()),
            "splits_final.json: was changed after fdif wrote it",
        ),
    ],
)
def test_flaws_of_our_own_sets(tmp_path, damage, message):
    write(tmp_path, classification())
    damage(tmp_path)
    assert message in "\n".join(validate(tmp_path).errors)


def test_configuration_and_data_module_are_for_the_person_to_edit(tmp_path):
    write(tmp_path, classification())
    for name in ("sdf_classification.py", "sdf_classification.yaml"):
        (tmp_path / name).write_text("mine")
    assert validate(tmp_path).errors == ()
