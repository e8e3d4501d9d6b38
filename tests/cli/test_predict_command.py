"""`fdif predict` from the command line, with a small network."""

import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from fdif_jax.models import create_model
from flax import nnx
from one_sentence import assert_one_sentence

from fdif_jax.data.intensities import Intensity
from fdif_jax.data.preprocess import Preprocessing
from fdif_jax.model_io import ModelInfo, save_model

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("FDIF_DATA_DIR", ROOT.parent / "shared/data"))
AFFINE = np.array([[-1.0, 0, 0, 30], [0, -1.2, 0, 20], [0, 0, 2, -7], [0, 0, 0, 1]])
PATCH = (16, 16, 16)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """One that says all, and one as `fdif import` makes it."""
    folder = tmp_path_factory.mktemp("models")
    network = create_model("vnet", rngs=nnx.Rngs(0), width=2, out_channels=3)
    plan = Preprocessing(Intensity("zscore"), spacing=(1.5, 1.5, 2.0))
    save_model(folder / "trained", network, ModelInfo(network.config, PATCH, plan.to_json()))
    save_model(folder / "imported", network)
    (folder / "run").mkdir()
    (folder / "run/config.json").write_text("{}")
    (folder / "run/model_best").symlink_to(folder / "trained")
    return folder


@pytest.fixture
def image(tmp_path):
    (tmp_path / "in").mkdir()
    voxels = np.random.default_rng(0).integers(1, 99, (20, 18, 9)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), tmp_path / "in/a.nii.gz")
    return voxels


def test_an_image_gets_labels_on_its_grid(fdif, tmp_path, models, image):
    line = f"predict --model {models / 'trained'} --input in --out_dir out"
    result = fdif(line)
    assert result.exit_code == 0, result.output
    assert "wrote 1 label files to out" in result.stdout
    assert "window" in result.stderr
    file = nibabel.load(tmp_path / "out/a.nii.gz")
    np.testing.assert_allclose(file.affine, AFFINE, atol=1e-6)
    labels = np.asarray(file.dataobj)
    assert labels.shape == image.shape
    assert labels.dtype == np.uint8
    assert 0 < labels.max() <= 2
    before = (tmp_path / "out/a.nii.gz").read_bytes()
    assert "wrote 0 label files" in (again := fdif(line + " --quiet")).stdout
    assert "1 were there" in again.stdout
    assert again.stderr == ""
    options = "--intensity zscore --spacing 1.5 1.5 2 --grid_size 16 16 16"
    imported = f"predict --model {models / 'imported'} --input in --out_dir other {options}"
    assert fdif(imported).exit_code == 0
    assert (tmp_path / "other/a.nii.gz").read_bytes() == before
    assert_one_sentence(fdif(line + " --mirror"), "a.nii.gz is there", "--overwrite")
    assert (tmp_path / "out/a.nii.gz").read_bytes() == before


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize(
    ("model", "args", "part"),
    [
        ("nowhere", "", "not a model folder"),
        ("run", "", "run is the folder of a run; give"),
        ("imported", "", "give --intensity ct|zscore|percentile|none and --spacing MM MM MM"),
        ("imported", "--intensity zscore", "and --spacing MM MM MM"),
        ("imported", "--intensity ct --spacing native", "give --grid_size D H W"),
        ("imported", "--intensity ct --spacing 1 1", "spacing is 1 1; give three sizes in mm"),
        ("imported", "--intensity ct --spacing 1 -1 1", "spacing is 1 -1 1"),
        ("imported", "--intensity ct --spacing nan 1 1", "spacing is nan 1 1"),
        ("imported", "--intensity mr --spacing 1 1 1", "'mr' is not one of"),
        ("trained", "--intensity ct", "leave out --intensity and --spacing"),
        ("trained", "--grid_size 20 20 20", "multiples of 16"),
        ("trained", "--overlap 1", "overlap is 1.0; allowed: 0 to below 1"),
        ("trained", "--batch 0", "batch is 0"),
        ("trained", "--batch 100000000", "a grid of 100000000x16x16x16 needs about"),
        ("trained", "--devices 64", "devices is 64; allowed: 1 to"),
        ("trained", "--input nothing", "nothing does not exist"),
        ("trained", "--input empty", "empty holds no images"),
        ("trained", "--input two.nii", "two.nii has 2 channel(s), the model takes 1"),
        ("trained", "--input broken.nii.gz", "broken.nii.gz"),
        ("trained", "--out_dir in", "in/a.nii.gz is an image to predict"),
        ("trained", "--out_dir loop", "loop cannot be made a folder"),
        ("trained", f"--out_dir {'a' * 300}", "is too long for a file's name"),
        ("trained", "--out_dir two.nii", "two.nii cannot be made a folder (File exists)"),
    ],
)
def test_mistakes_end_in_one_sentence(fdif, tmp_path, models, model, args, part):
    (tmp_path / "empty").mkdir()
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 5, 6, 2), np.uint8), AFFINE), "two.nii")
    (tmp_path / "broken.nii.gz").write_bytes(b"\x1f\x8bnothing")
    (tmp_path / "loop").symlink_to("loop")
    line = f"predict --model {models / model} --input in --out_dir out --quiet {args}"
    assert_one_sentence(fdif(line), part)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_real_image_to_the_left_and_back(fdif, tmp_path, models):
    path = DATA / "ct/mr_lps.nii.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    result = fdif(f"predict --model {models / 'trained'} --input {path} --out_dir out --quiet")
    assert result.exit_code == 0, result.output
    image, labels = nibabel.load(path), nibabel.load(tmp_path / "out/mr_lps.nii.gz")
    assert labels.shape == image.shape
    np.testing.assert_allclose(labels.affine, image.affine, atol=1e-5)
    assert len(np.unique(np.asarray(labels.dataobj))) > 1


@pytest.mark.slow
def test_a_swin_unetr_of_several_tasks(fdif, tmp_path):
    tasks = {"shape": 3, "surface": 2}
    network = create_model("swin_unetr", rngs=nnx.Rngs(0), feature_size=12, out_channels=tasks)
    plan = Preprocessing(Intensity("none"))
    save_model("swin", network, ModelInfo(network.config, (32, 32, 64), plan.to_json()))
    voxels = np.random.default_rng(0).random((40, 20, 64), np.float32)
    nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), "a.nii.gz")
    line = "predict --model swin --input a.nii.gz --out_dir out --probabilities --blending gaussian"
    result = fdif(line)
    assert result.exit_code == 0, result.output
    labels = np.asarray(nibabel.load(tmp_path / "out/a.nii.gz").dataobj)
    assert labels.shape == (40, 20, 64, 2)
    probabilities = np.asarray(nibabel.load(tmp_path / "out/probabilities/a.nii.gz").dataobj)
    assert probabilities.shape == (40, 20, 64, 5)
    np.testing.assert_array_equal(probabilities[..., :3].argmax(-1), labels[..., 0])
    result = fdif("evaluate --prediction out --reference out --quiet")
    assert result.exit_code == 0, result.output
