"""Where files lie, and what data.json and dataset.json say."""

import json

import nibabel
import numpy as np
import pytest
from fake_generate import files, generation, producer, write

from fdif_jax.errors import InputError
from fdif_jax.io import manifest
from fdif_jax.io.layout import SampleRef, samples
from fdif_jax.io.layouts import layout_for


def test_monai_paths_are_those_of_the_specification():
    layout = layout_for(generation(num_samples=150, num_val_samples=60))
    assert layout.files(SampleRef("training", 0)) == (
        "data/image/batch_0000/sample_00000_x.nii.gz",
        "data/label/batch_0000/sample_00000_y.nii.gz",
    )
    assert layout.files(SampleRef("validation", 59))[0] == (
        "data/image/batch_0002/sample_00209_x.nii.gz"
    )


def test_nnunet_paths_are_those_of_the_specification():
    layout = layout_for(
        generation(num_samples=3, num_val_samples=1, layout="nnunet", multi_task=True)
    )
    assert layout.files(SampleRef("training", 2)) == (
        "Dataset999_SDFSynthetic/imagesTr/case_00002_0000.nii.gz",
        "Dataset999_SDFSynthetic/labelsTr/case_00002.nii.gz",
        "Dataset999_SDFSynthetic/labelsTr_mapper/case_00002.nii.gz",
    )
    assert layout.files(SampleRef("validation", 0))[1] == (
        "Dataset1000_SDFSynthetic_Val/labelsTr/case_00003.nii.gz"
    )


def test_no_two_samples_share_a_file():
    for name in ("monai", "nnunet"):
        layout = layout_for(generation(num_samples=120, num_val_samples=30, layout=name))
        paths = [path for ref in samples(layout.generation) for path in layout.files(ref)]
        assert len(set(paths)) == len(paths) == 300


def test_data_json_is_relative_and_says_what_it_is(tmp_path):
    made = generation(num_samples=2, num_val_samples=1)
    write(tmp_path, made)
    record = json.loads((tmp_path / "data/data.json").read_text())
    assert record["labels"] == {"0": "background", "1": "Sphere", "2": "Cone"}
    assert record["out_channel"] == 3
    assert record["modality"] == {"0": "SDF"}
    assert record["numTraining"] == 2
    assert record["seed"] == 1
    assert record["config_hash"] == made.config_hash
    assert [len(record[split]) for split in ("training", "validation")] == [2, 1]
    entry = record["validation"][0]
    assert entry == {
        "image": "image/batch_0000/sample_00002_x.nii.gz",
        "label": "label/batch_0000/sample_00002_y.nii.gz",
        "id": "sample_00002",
    }
    assert (tmp_path / "data" / entry["image"]).exists()


def test_multi_task_labels_are_four_dimensional_for_monai(tmp_path):
    made = generation(num_samples=1, multi_task=True)
    write(tmp_path, made)
    record = json.loads((tmp_path / "data/data.json").read_text())
    assert record["multi_task"] is True
    assert record["tasks"]["mapper"]["labels"]["modular_5"] == 2
    label = nibabel.load(tmp_path / "data/label/batch_0000/sample_00000_y.nii.gz")
    expected = producer(made)("training", 0).label
    assert label.get_data_dtype() == np.uint8
    assert np.array_equal(np.asanyarray(label.dataobj), expected)


def test_multi_task_labels_are_one_file_per_task_for_nnunet(tmp_path):
    made = generation(num_samples=1, num_val_samples=1, multi_task=True, layout="nnunet")
    write(tmp_path, made)
    home = tmp_path / "Dataset999_SDFSynthetic"
    expected = producer(made)("training", 0).label
    for axis, folder in enumerate(("labelsTr", "labelsTr_mapper")):
        found = nibabel.load(home / folder / "case_00000.nii.gz")
        assert np.array_equal(np.asanyarray(found.dataobj), expected[..., axis])
    record = json.loads((home / "dataset.json").read_text())
    assert record["labels"] == {"background": 0, "Cone": 1, "Sphere": 2}
    assert record["channel_names"] == {"0": "SDF"}
    assert record["file_ending"] == ".nii.gz"
    assert record["numTraining"] == 1
    assert sorted(record["tasks"]) == ["mapper", "shape"]
    assert (tmp_path / "Dataset1000_SDFSynthetic_Val/dataset.json").exists()


def test_nothing_but_cases_lies_in_the_nnunet_image_folder(tmp_path):
    write(tmp_path, generation(num_samples=2, layout="nnunet"), scenes=True)
    home = tmp_path / "Dataset999_SDFSynthetic"
    assert sorted(p.name for p in (home / "imagesTr").iterdir()) == [
        "case_00000_0000.nii.gz",
        "case_00001_0000.nii.gz",
    ]
    assert (home / "generation.json").exists()


def test_the_generation_record_reads_back(tmp_path):
    made = generation(num_val_samples=2, multi_task=True, layout="nnunet")
    write(tmp_path, made)
    for home in layout_for(made).homes:
        assert manifest.read(tmp_path / home) == made


def test_the_hash_ignores_what_does_not_change_a_sample():
    base = generation()
    same = generation(num_samples=9, num_val_samples=3, layout="nnunet", dataset_id=5)
    assert base.config_hash == same.config_hash
    assert base.config_hash != generation(seed=2).config_hash
    assert base.config_hash != generation(max_objects=6).config_hash


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": "x"}'])
def test_a_record_that_is_not_ours_is_refused(tmp_path, text):
    (tmp_path / "generation.json").write_text(text)
    with pytest.raises(InputError, match=r"generation\.json"):
        manifest.read(tmp_path)


def test_files_hold_what_was_produced(tmp_path):
    made = generation(num_samples=2)
    write(tmp_path, made)
    image = nibabel.load(tmp_path / "data/image/batch_0000/sample_00001_x.nii.gz")
    assert np.array_equal(np.asanyarray(image.dataobj), producer(made)("training", 1).image)
    assert not [name for name in files(tmp_path) if name.endswith(".tmp")]
