"""Many images: which are done, what is refused, what a run that stopped leaves behind."""

import dataclasses
import errno

import nibabel
import numpy as np
import pytest
from flax import nnx
from image_files import AFFINES, TwoHeads, above_half, predictor, volume, write

from fdif_jax.data.intensities import Intensity
from fdif_jax.data.preprocess import Preprocessing
from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.infer.inputs import check_cases, find_cases
from fdif_jax.infer.predict import Job, Report, fingerprint, predict_cases
from fdif_jax.io import atomic

ZSCORE = Preprocessing(Intensity("zscore"))


@pytest.fixture
def images(tmp_path):
    """a, b and c in three orientations."""
    for i, (name, affine) in enumerate(zip("abc", AFFINES.values(), strict=True)):
        write(tmp_path / f"images/{name}.nii.gz", volume(seed=i), affine)
    return tmp_path / "images"


def job(images, out_dir, channels=1, **options):
    cases = find_cases(images, channels)
    options = {"fingerprint": "0123456789abcdef", "channels": channels, **options}
    return Job(cases, check_cases(cases, channels), out_dir, **options)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.nii.gz"))}


def test_labels_have_the_image_s_grid_and_affine(images, tmp_path):
    assert predict_cases(predictor(), job(images, tmp_path / "out")) == Report(3, 0)
    for i, (name, affine) in enumerate(zip("abc", AFFINES.values(), strict=True)):
        file = nibabel.load(tmp_path / f"out/{name}.nii.gz")
        np.testing.assert_allclose(file.affine, affine, atol=1e-6)
        np.testing.assert_allclose(file.header.get_qform(), affine, atol=1e-5)
        assert file.get_data_dtype() == np.uint8
        np.testing.assert_array_equal(np.asarray(file.dataobj), volume(seed=i) > 0.5)


def test_a_sheared_affine_is_kept(tmp_path):
    affine = AFFINES["lps"].copy()
    affine[0, 2] = 0.7
    image = nibabel.Nifti1Image(volume(), affine)
    (tmp_path / "in").mkdir()
    nibabel.save(image, tmp_path / "in/a.nii.gz")
    predict_cases(predictor(), job(tmp_path / "in", tmp_path / "out"))
    file = nibabel.load(tmp_path / "out/a.nii.gz")
    np.testing.assert_allclose(file.affine, affine, atol=1e-6)
    assert file.header.get_qform(coded=True)[0] is None


def test_a_run_that_stopped_goes_on_where_it_was(images, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    predict_cases(predictor(), job(images, whole))
    calls = []

    def dies(x):
        calls.append(len(x))
        if len(calls) == 12:
            raise KeyboardInterrupt
        return above_half(x)

    with pytest.raises(KeyboardInterrupt):
        predict_cases(predictor(apply=dies, batch=1), job(images, broken))
    assert 0 < len(contents(broken)) < 3
    there = len(contents(broken))
    assert predict_cases(predictor(), job(images, broken)) == Report(3 - there, there)
    assert contents(broken) == contents(whole)
    assert predict_cases(predictor(), job(images, broken)) == Report(0, 3)


@pytest.mark.parametrize("change", ["image", "model", "foreign", "cut"])
def test_what_something_else_made_is_not_taken_over(images, tmp_path, change):
    out_dir = tmp_path / "out"
    predict_cases(predictor(), job(images, out_dir))
    changed = job(images, out_dir)
    if change == "image":
        write(images / "b.nii.gz", volume(seed=9), AFFINES["lps"])
    elif change == "model":
        changed = job(images, out_dir, fingerprint="fedcba9876543210")
    elif change == "foreign":
        write(out_dir / "b.nii.gz", volume())
    else:
        (out_dir / "b.nii.gz").write_bytes((out_dir / "b.nii.gz").read_bytes()[:-9])
    before = contents(out_dir)
    with pytest.raises(InputError, match=r"is there, but not of this model.*--overwrite"):
        predict_cases(predictor(), changed)
    assert contents(out_dir) == before
    again = job(images, out_dir, fingerprint=changed.fingerprint, overwrite=True)
    assert predict_cases(predictor(), again) == Report(3, 0)


def test_probabilities_are_written_before_the_labels_and_leave_with_them(images, tmp_path):
    out_dir = tmp_path / "out"
    predict_cases(predictor(), job(images, out_dir))
    labels = contents(out_dir)
    assert predict_cases(predictor(), job(images, out_dir, probabilities=True)) == Report(3, 0)
    assert contents(out_dir) == labels
    for i, (name, affine) in enumerate(zip("abc", AFFINES.values(), strict=True)):
        file = nibabel.load(out_dir / f"probabilities/{name}.nii.gz")
        assert file.get_data_dtype() == np.float32
        np.testing.assert_allclose(file.affine, affine, atol=1e-6)
        values = np.asarray(file.dataobj)
        assert values.shape == (*volume().shape, 2)
        np.testing.assert_array_equal(values[..., 1] > 0.5, volume(seed=i) > 0.5)
    whole = contents(out_dir / "probabilities")
    cut = out_dir / "probabilities/b.nii.gz"
    for damaged in (whole[cut.name][:-1], whole[cut.name][:100], b""):
        cut.write_bytes(damaged)
        assert predict_cases(predictor(), job(images, out_dir, probabilities=True)) == Report(1, 2)
        assert contents(out_dir / "probabilities") == whole
    predict_cases(predictor(), job(images, out_dir, overwrite=True))
    assert contents(out_dir / "probabilities") == {}


def test_a_full_disk_ends_in_one_sentence_and_keeps_what_is_there(images, tmp_path, monkeypatch):
    write_once = atomic._write_once

    def full(path, data):
        if path.name == "c.nii.gz":
            raise OSError(errno.ENOSPC, "No space left on device")
        write_once(path, data)

    monkeypatch.setattr(atomic, "_write_once", full)
    with pytest.raises(EnvironmentFault, match=r"c.nii.gz .*No space left on device\); 2 of 3 are"):
        predict_cases(predictor(), job(images, tmp_path / "out"))
    assert list(contents(tmp_path / "out")) == ["a.nii.gz", "b.nii.gz"]


def test_images_are_never_replaced(images):
    before = contents(images)
    with pytest.raises(InputError, match="is an image to predict"):
        predict_cases(predictor(), job(images, images, overwrite=True))
    assert contents(images) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_images_where_probabilities_go_are_left_alone(images, tmp_path, overwrite):
    before = contents(images)
    images.rename(tmp_path / "probabilities")
    with pytest.raises(InputError, match=r"probabilities/a.nii.gz is an image to predict"):
        predict_cases(predictor(), job(tmp_path / "probabilities", tmp_path, overwrite=overwrite))
    assert contents(tmp_path / "probabilities") == before


@pytest.mark.parametrize("name", ["a.nii.gz", "probabilities/a.nii.gz"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_in_a_file_s_place_is_refused(images, tmp_path, name, overwrite):
    (tmp_path / "out" / name).mkdir(parents=True)
    with pytest.raises(InputError, match=f"{name} is a folder; choose another --out_dir"):
        predict_cases(predictor(), job(images, tmp_path / "out", overwrite=overwrite))


def test_a_header_that_asks_for_too_much_is_named_and_leaves_no_folder(images, tmp_path):
    changed = job(images, tmp_path / "out")
    headers = [header._replace(shape=(30000, 30000, 30000)) for header in changed.headers]
    changed = dataclasses.replace(changed, headers=headers)
    with pytest.raises(InputError, match=r"images/a.nii.gz has 30000 x 30000 x 30000 voxels"):
        predict_cases(predictor(), changed)
    assert not (tmp_path / "out").exists()


def test_too_little_memory_ends_in_one_sentence(images, tmp_path):
    def full(x):
        raise MemoryError

    with pytest.raises(EnvironmentFault, match="not enough memory; lower --batch"):
        predict_cases(predictor(apply=full), job(images, tmp_path / "out"))


def test_voxels_that_are_no_numbers_stop_the_run(images, tmp_path):
    voxels = volume()
    voxels[3, 3, 3] = np.nan
    write(images / "b.nii.gz", voxels)
    with pytest.raises(InputError, match=r"b.nii.gz holds NaN"):
        predict_cases(predictor(), job(images, tmp_path / "out"))
    assert list(contents(tmp_path / "out")) == ["a.nii.gz"]


def test_progress_ends_with_all_windows(images, tmp_path):
    calls = []
    predict_cases(predictor(), job(images, tmp_path / "out"), lambda *call: calls.append(call))
    dones, totals = zip(*calls, strict=True)
    assert list(dones) == list(range(1, totals[-1] + 1))
    assert list(totals) == sorted(totals, reverse=True)


def test_a_fingerprint_tells_weights_and_settings_apart():
    one, other = (TwoHeads(nnx.Rngs(seed)) for seed in (0, 1))
    same = fingerprint(one, predictor(batch=1))
    assert same == fingerprint(one, predictor(batch=4))
    others = [
        fingerprint(other, predictor()),
        fingerprint(one, predictor(ZSCORE)),
        fingerprint(one, predictor(mirror=True)),
        fingerprint(one, predictor(overlap=0.5)),
        fingerprint(one, predictor(blending="gaussian")),
    ]
    assert len({same, *others}) == 6
