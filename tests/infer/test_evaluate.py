"""Scores of label files: values, empty classes, matching by name, refusals."""

import csv
import json
import math

import numpy as np
import pytest
from label_files import AFFINE, boxes, write

from fdif_jax.errors import InputError
from fdif_jax.infer import report
from fdif_jax.infer.evaluate import Settings, evaluate
from fdif_jax.infer.metrics import dice_by_class, mean_dice
from fdif_jax.infer.pairing import Pair, pair_files

ONE = ((2, 2, 2), (6, 6, 6))


def score(tmp_path, prediction, reference, names=None, settings=None):
    paths = write(tmp_path / "p.nii.gz", prediction), write(tmp_path / "r.nii.gz", reference)
    return evaluate([Pair("a", paths[0], (paths[1],))], names or {}, settings or Settings())


def test_a_box_that_is_shifted(tmp_path):
    moved = boxes(_1=((3, 2, 2), (7, 6, 6)))
    (row,) = score(tmp_path, moved, boxes(_1=ONE), {"": {1: "organ"}})
    assert row[:4] == ("a", "", 1, "organ")
    assert row.dice == pytest.approx(2 * 48 / 128)
    assert row.hd95_mm == 1.0
    assert row.nsd == 1.0
    assert row.prediction_ml == row.reference_ml == pytest.approx(64 * 6 / 1000)
    (row,) = score(tmp_path, moved, boxes(_1=ONE), settings=Settings(tolerance=0.5))
    # Of 56 surface voxels, the 16 of the leading face lie 1 mm off, and the 4 inside the other.
    assert row.nsd == pytest.approx(36 / 56)


def test_dice_and_its_mean_are_those_of_training(tmp_path):
    rng = np.random.default_rng(0)
    volumes = [rng.integers(0, 4, (2, 12, 10, 8)) for _ in range(3)]
    volumes[1][volumes[1] == 2] = 0
    pairs = [
        Pair(str(i), write(tmp_path / f"{i}p.nii.gz", p), (write(tmp_path / f"{i}r.nii.gz", r),))
        for i, (p, r) in enumerate(volumes)
    ]
    rows = evaluate(pairs, {}, Settings())
    expected = [dice_by_class(p, r, 4) for p, r in volumes]
    np.testing.assert_allclose(np.reshape([r.dice for r in rows], (3, 3)), expected)
    assert report.overall(rows).dice == pytest.approx(mean_dice(expected)[0])


@pytest.mark.parametrize(
    ("settings", "absent", "spurious"),
    [
        pytest.param(Settings(), math.nan, math.nan, id="nan"),
        pytest.param(Settings(empty_is=1.0), 1.0, 0.0, id="1"),
        pytest.param(Settings(empty_is=0.0), 0.0, 0.0, id="0"),
    ],
)
def test_empty_classes(tmp_path, settings, absent, spurious):
    """1 is in both, 2 only predicted, 3 missed, 4 declared but nowhere, 7 only predicted."""
    prediction = boxes(_1=ONE, _2=((7, 7, 1), (9, 9, 3)), _7=((0, 0, 0), (1, 1, 1)))
    reference = boxes(_1=ONE, _3=((7, 7, 4), (9, 9, 6)))
    names = {"": {0: "background", 4: "gland"}}
    rows = score(tmp_path, prediction, reference, names, settings)
    assert [row.label for row in rows] == [1, 2, 3, 4, 7]
    expected = [1.0, spurious, 0.0, absent, spurious]
    np.testing.assert_array_equal([row.dice for row in rows], expected)
    np.testing.assert_array_equal([row.nsd for row in rows], expected)
    np.testing.assert_array_equal([row.hd95_mm for row in rows], [0.0] + 4 * [math.nan])
    means = report.by_class(rows)
    assert [mean.missed for mean in means] == [0, 0, 1, 0, 0]
    assert [mean.spurious for mean in means] == [0, 1, 0, 0, 1]
    assert report.overall(rows).dice == pytest.approx(np.nanmean(expected))


def test_a_class_of_another_case_has_a_row_in_every_case(tmp_path):
    empty, full = boxes(), boxes(_2=ONE)
    pairs = [
        Pair(name, write(tmp_path / f"{name}.nii", p), (write(tmp_path / f"{name}r.nii", p),))
        for name, p in (("a", empty), ("b", full))
    ]
    rows = evaluate(pairs, {}, Settings())
    assert [(row.case, row.label) for row in rows] == [("a", 2), ("b", 2)]
    assert math.isnan(rows[0].dice)
    assert report.by_class(rows)[0].cases == report.overall(rows).cases == 1


def test_tasks_are_scored_apart(tmp_path):
    both = np.stack([boxes(_1=ONE), boxes(_2=ONE)], axis=-1)
    other = np.stack([boxes(_1=ONE), boxes(_1=ONE)], axis=-1)
    rows = score(tmp_path, other, both, {"shape": {1: "ball"}, "surface": {1: "flat", 2: "rough"}})
    assert [(r.task, r.name, r.dice) for r in rows[:1]] == [("shape", "ball", 1.0)]
    assert [(r.task, r.name) for r in rows[1:]] == [("surface", "flat"), ("surface", "rough")]
    np.testing.assert_array_equal([r.dice for r in rows[1:]], [math.nan, 0])
    files = [write(tmp_path / f"{i}.nii", both[..., i]) for i in range(2)]
    pair = Pair("a", tmp_path / "r.nii.gz", tuple(files))
    assert [r.dice for r in evaluate([pair], {}, Settings())] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": boxes((12, 10, 9))}, "12 x 10 x 9 voxels, its reference .* 12 x 10 x 8"),
        ({"affine": np.diag([1.0, 2.0, 3.1, 1.0])}, "lies 0.7 voxels off"),
        ({"affine": np.diag([-1.0, 2.0, 3.0, 1.0])}, "lies 22 voxels off"),
        ({"labels": np.stack([boxes()] * 2, -1)}, "labels of 2 tasks, its reference of 1"),
    ],
)
def test_predictions_elsewhere_are_refused(tmp_path, change, message):
    prediction = write(tmp_path / "p.nii.gz", **{"labels": boxes(), "affine": AFFINE, **change})
    pair = Pair("a", prediction, (write(tmp_path / "r.nii.gz", boxes()),))
    with pytest.raises(InputError, match=message):
        evaluate([pair], {}, Settings())


def test_a_header_rounded_to_float32_is_the_same_grid(tmp_path):
    affine = AFFINE.copy()
    affine[:3, 3] = 123.456789
    prediction = write(tmp_path / "p.nii.gz", boxes(), affine + 1e-6)
    pair = Pair("a", prediction, (write(tmp_path / "r.nii.gz", boxes(), affine),))
    assert evaluate([pair], {"": {1: "organ"}}, Settings())[0].label == 1


def names_of(pairing):
    return [(p.case, p.prediction.name, [r.name for r in p.reference]) for p in pairing.pairs]


@pytest.fixture
def folders(tmp_path):
    for case in ("a", "b", "c"):
        write(tmp_path / f"labels/{case}.nii.gz", boxes(_1=ONE))
    for case in ("b", "a"):
        write(tmp_path / f"predicted/{case}.nii", boxes(_1=ONE))
    (tmp_path / "predicted/scores.csv").write_text("")
    return tmp_path


def test_folders_are_matched_by_name(folders):
    found = pair_files(folders / "predicted", folders / "labels")
    assert names_of(found) == [("a", "a.nii", ["a.nii.gz"]), ("b", "b.nii", ["b.nii.gz"])]
    assert found.unpredicted == ("c",)
    found = pair_files(folders / "predicted/b.nii", folders / "labels")
    assert names_of(found) == [("b", "b.nii", ["b.nii.gz"])]
    assert names_of(pair_files(folders / "predicted/b.nii", folders / "labels/a.nii.gz")) == [
        ("a", "b.nii", ["a.nii.gz"])
    ]


def datalist(root, *, by):
    """Cases x, y (validation) and z, whose files are a, b, c; found by id, image or label."""
    entries = [
        {
            "image": f"images/{name if by == 'image' else 'image_of_' + name}.nii.gz",
            "label": f"labels/{name}.nii.gz",
            "id": name if by == "id" else f"case_{name}",
        }
        for name in "abc"
    ]
    record = {
        "labels": {"0": "background", "1": "organ"},
        "training": entries[2:],
        "validation": entries[:2],
    }
    (root / "data.json").write_text(json.dumps(record))


@pytest.mark.parametrize("by", ["id", "image", "label"])
@pytest.mark.parametrize("reference", ["data.json", "."])
def test_cases_of_a_data_list_are_found(folders, by, reference):
    datalist(folders, by=by)
    found = pair_files(folders / "predicted", folders / reference)
    assert [pair.reference[0].name for pair in found.pairs] == ["a.nii.gz", "b.nii.gz"]
    assert found.names == {"": {0: "background", 1: "organ"}}
    assert found.unpredicted == ()
    (folders / "predicted/a.nii").unlink()
    unpredicted = pair_files(folders / "predicted", folders / reference).unpredicted
    assert unpredicted == ("a" if by == "id" else "case_a",)


def test_training_cases_alone_expect_no_validation_cases(folders):
    datalist(folders, by="label")
    for name in "ab":
        (folders / f"predicted/{name}.nii").unlink()
    write(folders / "predicted/c.nii.gz", boxes())
    assert pair_files(folders / "predicted", folders / "data.json").unpredicted == ()


@pytest.mark.parametrize(
    ("prediction", "reference", "message"),
    [
        ("nowhere", "labels", "nowhere does not exist"),
        ("predicted", "labels/a.nii.gz", "is a folder and .* a file"),
        ("labels", "predicted", "c.nii.gz has no reference of that name in"),
        ("empty", "labels", "empty holds no label files"),
        ("twice", "labels", "have one name"),
    ],
)
def test_what_cannot_be_matched_is_refused(folders, prediction, reference, message):
    (folders / "empty").mkdir()
    for name in ("one/a.nii", "two/a.nii.gz"):
        write(folders / "twice" / name, boxes())
    with pytest.raises(InputError, match=message):
        pair_files(folders / prediction, folders / reference)


def test_two_predictions_of_one_case_are_refused(folders):
    datalist(folders, by="image")
    write(folders / "predicted/case_a.nii.gz", boxes())
    with pytest.raises(InputError, match="are both of the case case_a"):
        pair_files(folders / "predicted", folders / "data.json")


def test_names_of_one_task_are_not_taken_for_several(tmp_path):
    labels = np.stack([boxes(_1=ONE)] * 2, -1)
    with pytest.raises(InputError, match=r"labels of 2 tasks, and names are given .* of 1 task"):
        score(tmp_path, labels, labels, {"": {1: "organ"}})


@pytest.mark.parametrize("by", ["id", "image", "label"])
@pytest.mark.parametrize("splits", [("validation",), ("validation", "training")])
def test_a_name_of_two_cases_is_refused(folders, by, splits):
    entries = [
        {
            "id": f"case_{i}",
            "image": f"{i}/image_of_{i}.nii.gz",
            "label": f"{i}/label_of_{i}.nii.gz",
        }
        | {by: "a" if by == "id" else f"{i}/a.nii.gz"}
        for i in range(2)
    ]
    record = {splits[0]: entries[:1]}
    record[splits[-1]] = [*record.get(splits[-1], []), *entries[1:]]
    (folders / "data.json").write_text(json.dumps(record))
    if by == "id" and len(splits) == 1:
        pytest.skip("a list gives them long ids")
    with pytest.raises(InputError, match=r"a.nii may be of .*0/.* or of .*1/"):
        pair_files(folders / "predicted/a.nii", folders / "data.json")


def test_a_case_that_trains_and_validates_is_one(folders):
    datalist(folders, by="id")
    record = json.loads((folders / "data.json").read_text())
    record["training"] += record["validation"]
    (folders / "data.json").write_text(json.dumps(record))
    assert len(pair_files(folders / "predicted", folders / "data.json").pairs) == 2


def test_tables_hold_every_row(tmp_path):
    rows = score(tmp_path, boxes(_1=ONE), boxes(_1=ONE), {"": {1: "organ", 2: "gland"}})
    read = list(csv.DictReader(report.to_csv(rows).splitlines()))
    assert [row["name"] for row in read] == ["organ", "gland"]
    assert [row["dice"] for row in read] == ["1", "nan"]
    record = json.loads(report.to_json(rows, Settings(), ["c"]))
    assert [row["dice"] for row in record["scores"]] == [1.0, None]
    assert record["references_without_prediction"] == ["c"]
    assert record["mean"]["dice"] == 1.0


def test_the_terminal_shows_few_classes(tmp_path):
    names = {"": {i: f"organ {i}" for i in range(1, 31)}}
    lines = report.lines(score(tmp_path, boxes(_1=ONE), boxes(_1=ONE), names), Settings())
    assert len(lines) == 23
    assert "10 more classes" in lines[-2]
    assert lines[-1].split()[:3] == ["mean", "1", "1.0000"]
