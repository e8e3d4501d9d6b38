"""What is read of a sample, what is counted, and how it is packed."""

import base64
import gzip

import nibabel
import numpy as np
import pytest
import tiny_runs as t
import view_sets

from fdif_jax.errors import InputError
from fdif_jax.infer.evaluate import Settings, evaluate
from fdif_jax.infer.pairing import Pair
from fdif_jax.io.ssl3d import VOLUMES
from fdif_jax.view import packing
from fdif_jax.view.sources import Sample, find
from fdif_jax.view.volumes import Volumes, by_place, counts, read, thinned


def unpacked(text):
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))


def volumes(image, label=None, spacing=(1.0, 1.0, 1.0)):
    labels = () if label is None else (label,)
    return Volumes((image.astype(np.float32),), labels, (), np.diag([*spacing, 1.0]))


def test_axes_are_turned_to_the_right_the_front_and_up(tmp_path):
    image, label = t.volume(np.random.default_rng(0))
    t.save(tmp_path / "a.nii.gz", image, view_sets.LPS)
    t.save(tmp_path / "l.nii.gz", label, view_sets.LPS)
    found = read(Sample("a", (tmp_path / "a.nii.gz",), (tmp_path / "l.nii.gz",)), 1)
    np.testing.assert_array_equal(found.images[0], image[::-1, ::-1])
    np.testing.assert_array_equal(found.labels[0], label[::-1, ::-1])
    assert found.spacing == (1.5, 1.0, 2.0)
    corner = nibabel.affines.apply_affine(view_sets.LPS, [9, 11, 0])
    np.testing.assert_allclose(found.affine[:3, 3], corner)


def test_channels_tasks_and_classification_volumes(tmp_path):
    sample = find(view_sets.nnunet(tmp_path / "n", channels=2)).samples[0]
    found = read(sample, 1)
    np.testing.assert_allclose(found.images[1], found.images[0] + 1)
    listed = t.write_set(tmp_path / "d", training=1, validation=0, tasks={"a": 3, "b": 2})
    assert len(read(find(listed).samples[0], 2).labels) == 2
    root = view_sets.classification(tmp_path / "c")
    assert read(find(root).samples[0], 1).shape == (8, 10, 12)
    (root / VOLUMES / "case_00000.b2nd").write_bytes(b"no")
    with pytest.raises(InputError, match=r"case_00000\.b2nd is no Blosc2 file"):
        read(find(root).samples[0], 1)


def test_dice_is_that_of_evaluate(tmp_path):
    listed = t.write_set(tmp_path / "d", training=0, validation=2, classes=4)
    source = find(view_sets.predictions(tmp_path / "p", listed), listed)
    for sample in source.samples:
        pair = Pair(sample.id, sample.prediction, sample.labels)
        expected = {
            row.label: row.dice for row in evaluate([pair], {}, Settings()) if row.reference_ml
        }
        (found,) = counts(read(sample, 1))
        assert {one.label: one.dice for one in found} == pytest.approx(expected)


def test_a_class_that_is_only_predicted_has_no_dice():
    label, prediction = np.zeros((2, 4, 4, 4), np.uint8)
    prediction[0, 0, :3] = 7
    found = Volumes((), (label,), (prediction,), np.eye(4))
    assert counts(found) == [[(7, 0, 3, None)]]
    assert counts(found._replace(labels=())) == [[(7, None, 3, None)]]
    assert counts(found._replace(predictions=(), labels=(prediction,))) == [[(7, 3, None, None)]]


def test_places_stand_for_ids():
    label = np.array([0, 5, 117, 5, 40000]).reshape(1, 1, 5)
    found = volumes(np.zeros((1, 1, 5)), label)
    placed = by_place(found, counts(found)).labels[0]
    assert placed.ravel().tolist() == [0, 1, 2, 1, 3]
    assert placed.dtype == np.uint8


def test_grids_must_agree(tmp_path):
    t.save(tmp_path / "a.nii.gz", np.zeros((4, 4, 4), np.float32))
    t.save(tmp_path / "l.nii.gz", np.zeros((4, 4, 5), np.uint8))
    files = (tmp_path / "a.nii.gz",), (tmp_path / "l.nii.gz",)
    with pytest.raises(InputError, match="a label has its image's voxels"):
        read(Sample("a", *files), 1)
    with pytest.raises(InputError, match="a label has its image's"):
        read(Sample("a", *files, prediction=tmp_path / "l.nii.gz"), 1)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        pytest.param(np.arange(129), np.uint8, id="as-generated"),
        pytest.param(np.arange(-1024, 3000), np.uint16, id="ct"),
        pytest.param(np.linspace(-3, 4, 5000), np.uint16, id="fractions"),
        pytest.param(np.full(8, 0.5), np.uint8, id="one-value"),
    ],
)
def test_what_fits_is_packed_as_it_is(values, dtype):
    image = np.random.default_rng(0).permutation(values).reshape(-1, 1, 2 - values.size % 2)
    found = unpacked(packing.pack(volumes(image), 10**6).images[0])
    assert found.get_data_dtype() == dtype
    np.testing.assert_allclose(found.get_fdata(), image, atol=np.ptp(values) / 65535)


def test_what_does_not_fit_loses_greys_first_and_then_voxels():
    image = np.random.default_rng(0).normal(size=(40, 40, 40))
    label = (image > 0).astype(np.uint8)
    whole = volumes(image, label)
    fine, coarse, few = (packing.pack(whole, share) for share in (300_000, 120_000, 40_000))
    assert unpacked(fine.images[0]).get_data_dtype() == np.uint16
    assert unpacked(coarse.images[0]).get_data_dtype() == np.uint8
    assert fine.shape == coarse.shape == (40, 40, 40)
    np.testing.assert_array_equal(unpacked(coarse.labels[0]).dataobj, label)
    assert few.size <= 40_000
    assert 20 < few.shape[0] < 40
    assert few.size > 20_000  # no smaller than need be
    bright = unpacked(few.images[0]).get_fdata() > 0.02  # a grey
    above = np.asarray(unpacked(few.labels[0]).dataobj) > 0
    assert np.mean(bright != above) < 0.02  # of one and the same voxel


def test_fine_axes_are_thinned_first():
    found = thinned(volumes(np.zeros((20, 20, 5)), spacing=(1.0, 1.0, 3.0)), 2.0)
    assert found.shape == (10, 10, 5)
    np.testing.assert_allclose(found.spacing, (2, 2, 3))


def test_no_more_voxels_than_the_graphics_card_takes(monkeypatch):
    monkeypatch.setattr(packing, "MOST_VOXELS", 1000)
    packed = packing.pack(volumes(np.zeros((30, 30, 2))), 10**6)
    assert np.prod(packed.shape) <= 1000


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6], ids=["metres", "mm", "nanometres"])
def test_voxels_are_left_out_whatever_the_unit(scale):
    image = np.zeros((20, 20, 10), np.float32)
    affine = np.diag([scale, scale, 2 * scale, 1.0])
    affine[:3, 3] = 5 * scale
    small = thinned(Volumes((image,), (), (), affine), 2 * scale)
    assert small.shape == (10, 10, 10)
    np.testing.assert_allclose(small.spacing, [2 * scale] * 3)
    np.testing.assert_allclose(small.affine[:3, 3], 5 * scale, rtol=0.3)


@pytest.mark.parametrize("values", [[-3e38, 0, 3e38], [0, 1e-42, 2e-42]], ids=["huge", "tiny"])
def test_values_at_the_ends_of_float32(values):
    image = np.tile(np.array(values, np.float32), 9).reshape(3, 3, 3)
    (text,) = packing.pack(Volumes((image,), (), (), np.eye(4)), 10**6).images
    grey = (max(values) - min(values)) / 65535
    np.testing.assert_allclose(unpacked(text).get_fdata(), image, atol=grey + 1e-37)


def test_outliers_are_beyond_the_window():
    image = np.concatenate([np.linspace(0, 100, 10**5), [10**7, -(10**7)]]).reshape(2, 1, -1)
    low, high = packing.window(image)
    assert -1 < low < 1
    assert 99 < high < 101
    assert packing.window(np.full((2, 2, 2), 3.0)) == (3.0, 4.0)
