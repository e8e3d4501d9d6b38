"""What `fdif view` finds at a path."""

import json

import numpy as np
import pytest
import tiny_runs as t
import view_sets

from fdif_jax.errors import InputError
from fdif_jax.io import nifti
from fdif_jax.io.ssl3d import VOLUMES
from fdif_jax.io.stamp import Stamp
from fdif_jax.view.sources import find


@pytest.fixture
def listed(tmp_path):
    return t.write_set(tmp_path / "d", training=2, validation=1)


def test_a_list_gives_its_cases_with_splits_and_names(listed):
    for path in (listed, listed.parent):
        found = find(path)
        assert [s.split for s in found.samples] == ["training", "training", "validation"]
        assert all(s.images and s.labels and s.prediction is None for s in found.samples)
        assert found.names == {"": {0: "background", 1: "organ 1", 2: "organ 2"}}
        assert found.channels == ("MRI",)


def test_several_tasks_keep_their_names(tmp_path):
    listed = t.write_set(tmp_path, training=1, validation=0, tasks={"shape": 3, "mapper": 2})
    assert list(find(listed).names) == ["shape", "mapper"]
    assert find(listed).names["mapper"] == {0: "c0", 1: "c1"}


def test_nnunet_with_channels_regions_and_ignored_voxels(tmp_path):
    labels = {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}
    found = find(view_sets.nnunet(tmp_path / "Dataset001_a", channels=2, labels=labels))
    assert [len(s.images) for s in found.samples] == [2, 2]
    assert found.names == {"": {0: "background", 2: "core", 3: "ignore"}}


def test_classification_has_classes_of_volumes_and_the_first_folds_splits(tmp_path):
    found = find(view_sets.classification(tmp_path / "c"))
    assert [s.classes for s in found.samples] == [("class 0",), ("class 1",), ("class 2",)]
    assert [s.split for s in found.samples] == ["training", "training", "validation"]
    assert not any(s.labels for s in found.samples)


@pytest.mark.parametrize("file", ["images/training_1.nii.gz", "labels/training_1.nii.gz"])
def test_a_file_of_a_list_is_its_case(listed, file):
    found = find(listed.parent / file)
    assert [s.id for s in found.samples] == ["training_1"]
    assert found.samples[0].labels
    assert found.names[""][1] == "organ 1"


def test_a_json_file_above_may_be_of_something_else(tmp_path):
    t.save(tmp_path / "data/a/b.nii.gz", np.zeros((3, 4, 5), np.float32))
    for text in ('{"hello": 1}', "{"):
        (tmp_path / "data.json").write_text(text)
        (sample,) = find(tmp_path / "data/a/b.nii.gz").samples
        assert sample.id == "b"


def test_a_file_of_a_classification_set_is_its_case(tmp_path):
    root = view_sets.classification(tmp_path / "c")
    (sample,) = find(root / VOLUMES / "case_00002.b2nd").samples
    assert (sample.id, sample.classes) == ("case_00002", ("class 2",))


@pytest.mark.parametrize("end", ["x", "y"])
def test_rendered_files_belong_together_by_their_names(tmp_path, end):
    image, label = t.volume(np.random.default_rng(0))
    t.save(tmp_path / "scene_x.nii.gz", image)
    t.save(tmp_path / "scene_y.nii.gz", label)
    (sample,) = find(tmp_path / f"scene_{end}.nii.gz").samples
    assert (sample.id, len(sample.images), len(sample.labels)) == ("scene", 1, 1)


def test_a_folder_of_files_shows_images_and_stamped_labels(tmp_path):
    image, label = t.volume(np.random.default_rng(0))
    t.save(tmp_path / "a.nii.gz", image)
    stamp = Stamp("0" * 16, "prediction", 0, "label")
    (tmp_path / "b.nii.gz").write_bytes(nifti.encode(label, stamp))
    a, b = find(tmp_path).samples
    assert (len(a.images), len(a.labels)) == (1, 0)
    assert (len(b.images), len(b.labels)) == (0, 1)


def test_predictions_have_the_images_of_a_list(listed, tmp_path):
    folder = view_sets.predictions(tmp_path / "p", listed)
    (sample,) = find(folder, listed).samples
    assert sample.images
    assert sample.labels
    assert sample.prediction == folder / "validation_0.nii.gz"
    assert sample.split == "validation"


def test_predictions_of_unlabelled_cases_are_shown_too(listed, tmp_path):
    record = json.loads(listed.read_text())
    record["test"] = [record.pop("validation")[0]["image"]]
    folder = view_sets.predictions(tmp_path / "p", listed)
    listed.write_text(json.dumps(record))
    (sample,) = find(folder, listed).samples
    assert (sample.split, sample.labels) == ("test", ())
    assert sample.images


def test_predictions_against_label_files_have_no_images(listed, tmp_path):
    folder = view_sets.predictions(tmp_path / "p", listed)
    (sample,) = find(folder, listed.parent / "labels").samples
    assert (sample.images, len(sample.labels)) == ((), 1)
    (sample,) = find(
        folder / "validation_0.nii.gz", listed.parent / "labels/training_0.nii.gz"
    ).samples
    assert sample.prediction == folder / "validation_0.nii.gz"


def test_a_prediction_of_no_case_is_refused(listed, tmp_path):
    t.save(tmp_path / "p/other.nii.gz", np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(InputError, match=r"other\.nii\.gz has no reference of that name"):
        find(tmp_path / "p", listed)
