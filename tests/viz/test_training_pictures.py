"""Pictures of a run folder: what is drawn, and where."""

import numpy as np
import pytest
from matplotlib.image import imread

from fdif_jax.errors import EnvironmentFault
from fdif_jax.io import metrics
from fdif_jax.viz import drawing, training

ROWS = [
    {"update": 10, "loss": 2.0, "ce": 1.0, "gradient_norm": 9.0, "learning_rate": 1e-4},
    {"update": 10, "validation": {"dice": 0.5, "by_class": {"a": 0.4, "b": None}, "cases": 2}},
    {"update": 20, "loss": None, "ce": 0.5, "learning_rate": 5e-5, "updates_per_second": 3.0},
    {"update": 20, "validation": {"dice": 0.6, "by_class": {"a": 0.5, "b": 0.7}, "cases": 2}},
]


def case(name="case", *, fullest=5, tasks=False):
    """A cube of class 1 whose plane ``fullest`` across the last axis is larger."""
    reference = np.zeros((12, 14, 16), np.uint8)
    reference[4:8, 4:8, 3:9] = 1
    reference[2:9, 2:10, fullest] = 1
    prediction = np.roll(reference, 2, 0)
    prediction[:, 6, :] *= 2
    if tasks:
        reference, prediction = (np.stack([x, 0 * x], -1) for x in (reference, prediction))
    image = np.random.default_rng(0).normal(size=(12, 14, 16)).astype(np.float32)
    return training.Drawn(name, image, reference, prediction)


def shows(path, rgb) -> bool:
    return bool((np.abs(imread(path)[..., :3] - np.array(rgb)).max(-1) < 0.01).any())


def test_curves_hold_what_was_measured():
    found = dict(training.panels(ROWS))
    assert list(found) == [
        "loss",
        "norm of the gradient",
        "learning rate",
        "validation Dice",
        "validation Dice by class",
    ]
    np.testing.assert_equal(
        found["loss"], {"loss": ([10, 20], [2.0, np.nan]), "ce": ([10, 20], [1.0, 0.5])}
    )
    assert found["norm of the gradient"] == {"gradient_norm": ([10], [9.0])}
    assert found["learning rate"] == {"learning_rate": ([10, 20], [1e-4, 5e-5])}
    assert found["validation Dice"] == {"dice": ([10, 20], [0.5, 0.6])}
    np.testing.assert_equal(found["validation Dice by class"]["b"], ([10, 20], [np.nan, 0.7]))


@pytest.mark.parametrize(("classes", "drawn"), [(1, False), (20, True), (21, False)])
def test_curves_by_class_where_they_can_be_told_apart(classes, drawn):
    by_class = {f"class{i}": 0.5 for i in range(classes)}
    row = {"update": 1, "validation": {"dice": 0.5, "by_class": by_class}}
    assert ("validation Dice by class" in dict(training.panels([row]))) == drawn


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1]], ids=["all", "no-validation"])
def test_curves_become_a_picture(tmp_path, rows):
    (tmp_path / "metrics.jsonl").write_bytes(b"".join(map(metrics.encode, rows)))
    training.write_curves(tmp_path / "metrics.jsonl", tmp_path / "curves.png")
    assert imread(tmp_path / "curves.png").shape[1] == 800
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "metrics.jsonl"]


def test_nothing_measured_is_no_picture(tmp_path):
    training.write_curves(tmp_path / "metrics.jsonl", tmp_path / "curves.png")
    training.write_predictions(tmp_path, [])
    assert list(tmp_path.iterdir()) == []


def test_errors_are_of_three_kinds():
    reference, prediction = np.array([0, 1, 1, 0, 2]), np.array([0, 1, 0, 2, 1])
    assert training.errors_of(reference, prediction).tolist() == [0, 0, 1, 2, 3]


def test_predictions_show_classes_and_the_fullest_plane(tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr("matplotlib.axes.Axes.set_ylabel", lambda self, text: titles.append(text))
    training.write_predictions(tmp_path, [case(f"case {i}", fullest=3 + i) for i in range(5)])
    assert titles == [
        *(f"case {i}\naxial, k = {3 + i}" for i in range(4)),
        "axial, k = 3",
        "coronal, j = 4",
        "sagittal, i = 4",
    ]
    for name in (training.CASES, training.PLANES):
        assert shows(tmp_path / name, drawing.colour(np.array(1)))
        assert shows(tmp_path / name, drawing.colour(np.array(2)))
        assert not shows(tmp_path / name, drawing.colour(np.array(3)))


def test_planes_run_right_and_up_with_square_voxels(monkeypatch):
    """Right is the first axis of a plane and up the second; a voxel is as tall as it is in mm."""
    seen = []
    monkeypatch.setattr(drawing, "show", lambda axes, pixels, aspect: seen.append((pixels, aspect)))
    one = case()._replace(spacing=(1.0, 2.0, 5.0))
    training._table([(one, 2), (one, 0)], lambda case, where: where)
    reference = seen[1][0]
    np.testing.assert_array_equal(reference, drawing.coloured(one.reference[:, :, 5].T))
    assert [aspect for _, aspect in seen[::4]] == [2.0, 2.5]


def test_of_several_tasks_the_first_is_drawn(tmp_path):
    for name, tasks in (("one", False), ("two", True)):
        training.write_predictions(tmp_path / name, [case(tasks=tasks)])
    one, two = ((tmp_path / name / training.CASES).read_bytes() for name in ("one", "two"))
    assert one == two


def test_the_plane_without_a_reference():
    empty = np.zeros((12, 14, 16), np.uint8)
    nothing = case()._replace(reference=empty)
    assert training._fullest(nothing, 2) == 5
    assert training._fullest(nothing._replace(prediction=empty), 2) == 8


def test_a_picture_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match="make room"):
        training.write_predictions(tmp_path / "file", [case()])


def test_available(monkeypatch):
    assert training.available()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not training.available()
