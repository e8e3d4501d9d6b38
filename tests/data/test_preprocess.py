"""The chain against the goldens, step by step; on real images; its record."""

import json
import math

import numpy as np
import pytest
from tiny_volumes import GOLDENS, oblique, real, save

from fdif_jax.data import intensities
from fdif_jax.data.datalist import Case
from fdif_jax.data.images import Image, read_image, read_label
from fdif_jax.data.intensities import Intensity
from fdif_jax.data.preprocess import Preprocessing, prepare, prepare_case
from fdif_jax.data.restore import restore_labels
from fdif_jax.errors import InputError

CT = Intensity("ct")
SPACING = (1.5, 1.5, 2.0)
STEPS = {
    "crop": {"orient": False},
    "orient": {},
    "spacing": {"spacing": SPACING},
    "pad": {"spacing": SPACING, "pad_to": (32, 32, 32)},
}
"""After which step of the original's chain ours, with these options, must be where it is."""
ROUNDING = 1e-12  # of affines, mm
NOTHING = Preprocessing(Intensity("none"), crop=False, orient=False)


def golden(name):
    arrays = np.load(GOLDENS / f"preproc_{name}.npz")
    image = read_image([GOLDENS / f"{name}_image.nii.gz"])
    label = read_label([GOLDENS / f"{name}_label.nii.gz"], image.voxels.shape[:3])
    return arrays, image, label


@pytest.mark.parametrize("name", ["lps", "ipr"])
def test_reading_and_intensities_equal_the_original(name):
    arrays, image, label = golden(name)
    np.testing.assert_array_equal(image.voxels[..., 0], arrays["load_image"][0])
    np.testing.assert_array_equal(label, arrays["load_label"][0])
    np.testing.assert_array_equal(image.affine, arrays["load_image_affine"])
    scaled = intensities.apply(CT, image.voxels)
    np.testing.assert_array_equal(scaled[..., 0], arrays["scale_image"][0])


@pytest.mark.parametrize("name", ["lps", "ipr"])
@pytest.mark.parametrize("step", list(STEPS))
def test_every_step_equals_the_original(name, step):
    arrays, image, label = golden(name)
    prepared = prepare(image, label, Preprocessing(CT, **STEPS[step]))
    np.testing.assert_array_equal(prepared.image[..., 0], arrays[f"{step}_image"][0])
    np.testing.assert_array_equal(prepared.label, arrays[f"{step}_label"][0])
    affine = prepared.geometry.prepared_affine
    np.testing.assert_allclose(affine, arrays[f"{step}_image_affine"], rtol=0, atol=ROUNDING)
    np.testing.assert_array_equal(prepared.geometry.start, arrays["crop_start"])
    np.testing.assert_array_equal(prepared.geometry.stop, arrays["crop_end"])
    assert prepared.image.dtype == np.float32
    assert prepared.label.dtype == label.dtype == np.uint8


def test_nothing_to_do_leaves_the_volume_as_it_is():
    voxels = np.random.default_rng(0).normal(size=(4, 5, 6, 2)).astype(np.float32)
    prepared = prepare(Image(voxels, oblique()), None, NOTHING)
    np.testing.assert_array_equal(prepared.image, voxels)
    np.testing.assert_array_equal(prepared.geometry.prepared_affine, oblique())
    assert prepared.label is None


@pytest.mark.parametrize("kind", ["ct", "zscore", "percentile", "none"])
def test_without_foreground_nothing_is_cropped(kind):
    empty = Image(np.full((4, 5, 6, 1), -1000, np.float32), np.eye(4))
    prepared = prepare(empty, None, Preprocessing(Intensity(kind)))
    assert prepared.image.shape == (4, 5, 6, 1)
    assert np.isfinite(prepared.image).all()


@pytest.mark.parametrize(
    ("kind", "box"),
    [
        pytest.param("ct", (slice(1, 3), slice(2, 4), slice(3, 5)), id="above-the-window"),
        pytest.param("zscore", (slice(0, 3), slice(2, 5), slice(3, 6)), id="above-the-lowest"),
    ],
)
def test_foreground_is_what_any_channel_shows(kind, box):
    voxels = np.full((4, 5, 6, 2), -1000, np.float32)
    voxels[1, 2, 3, 0] = voxels[2, 3, 4, 1] = 40
    voxels[0, 4, 5, 1] = -999
    voxels[..., 1] += 5  # each channel has its own lowest value
    prepared = prepare(Image(voxels, np.eye(4)), None, Preprocessing(Intensity(kind)))
    geometry = prepared.geometry
    assert tuple(map(slice, geometry.start, geometry.stop)) == box


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_axes_of_one_voxel(axis):
    shape = [5, 5, 5, 1]
    shape[axis] = 1
    voxels = np.random.default_rng(axis).normal(size=shape).astype(np.float32)
    plan = Preprocessing(Intensity("zscore"), SPACING, pad_to=(8, 8, 8), crop=False)
    prepared = prepare(Image(voxels, oblique()), None, plan)
    assert prepared.image.shape == (8, 8, 8, 1)
    assert np.isfinite(prepared.image).all()


def test_record_survives_json():
    plans = [
        NOTHING,
        Preprocessing(Intensity("ct", (-100.0, 200.0)), SPACING, pad_to=(96, 96, 64)),
    ]
    for plan in plans:
        assert Preprocessing.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    short = {"kind": "ct", "window": [-175, 250]}  # all that an imported model may say
    assert Preprocessing.from_json(short) == Preprocessing(CT)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"kind": "pet"},
        {"kind": "ct", "window": [3]},
        {"kind": "ct", "window": [250, -175]},
        {"kind": "ct", "window": [-math.inf, math.inf]},
        {"kind": "ct", "spacing": [1, 1, math.inf]},
        {"kind": "ct", "spacing": 1.5},
        {"kind": "ct", "spacing": [1, 1, 0]},
        {"kind": "ct", "spacing": ["a", 1, 1]},
        {"kind": "ct", "pad_to": [1, 2]},
        [],
    ],
)
def test_damaged_records_are_refused(record):
    with pytest.raises(InputError):
        Preprocessing.from_json(record)


def test_errors_of_a_case_name_its_file(tmp_path):
    flat = np.diag([1.0, 1.0, 1.0, 1.0])
    flat[:3, 2] = flat[:3, 1]
    image = save(tmp_path / "flat.nii.gz", np.ones((4, 4, 4), np.float32), flat)
    with pytest.raises(InputError, match=r"flat\.nii\.gz has an affine whose axes"):
        prepare_case(Case("flat", (image,)), Preprocessing(CT))
    huge = save(tmp_path / "huge.nii.gz", np.ones((4, 4, 4), np.float32), np.diag([9e3] * 3 + [1]))
    with pytest.raises(InputError, match=r"huge\.nii\.gz has 4 x 4 x 4 voxels, which would be 180"):
        prepare_case(Case("huge", (huge,)), Preprocessing(CT, SPACING))


def test_a_real_ct_with_its_organs_goes_there_and_back():
    case = Case("ct", (real("ct/ct.nii.gz"),), (real("ct/ct_organs.nii.gz"),))
    with pytest.raises(InputError, match=r"ct_organs.nii.gz holds the label 117, 14 classes"):
        prepare_case(case, Preprocessing(CT), (14,))
    image, label, geometry = prepare_case(case, Preprocessing(CT, SPACING), (118,))
    assert image.shape[:3] == label.shape == geometry.prepared
    assert image.min() == 0
    assert image.max() == 1
    own = read_label(case.label, geometry.shape)
    for organ in np.argsort(np.bincount(own.ravel()))[-4:-1]:  # the three largest
        there = geometry.prepared_affine[:3] @ _centre(label == organ)
        here = geometry.affine[:3] @ _centre(own == organ)
        np.testing.assert_allclose(there, here, atol=1.0)  # mm; the file's voxels are 3 mm
    classes = (label > 0).astype(np.float32)
    planes = ((z, np.stack([1 - plane, plane], -1)[None]) for z, plane in enumerate(classes))
    np.testing.assert_array_equal(restore_labels(planes, geometry), own > 0)


def test_a_real_mr_in_lps_comes_to_ras():
    case = Case("mr", (real("ct/mr_lps.nii.gz"),), (real("ct/mr_lps_organs.nii.gz"),))
    image, label, geometry = prepare_case(case, Preprocessing(Intensity("zscore")), (118,))
    assert geometry.flips == (True, True, False)
    raw = read_image(case.images)
    box = tuple(map(slice, geometry.start, geometry.stop))
    scaled = intensities.apply(Intensity("zscore"), raw.voxels)
    np.testing.assert_array_equal(image, scaled[box][::-1, ::-1])
    np.testing.assert_array_equal(
        label, read_label(case.label, raw.voxels.shape[:3])[box][::-1, ::-1]
    )
    np.testing.assert_allclose(np.diag(geometry.prepared_affine)[:3], 3.0, rtol=1e-6)


def _centre(mask):
    return np.append(np.mean(np.nonzero(mask), axis=1), 1.0)
