"""Images and labels from files: layouts of channels, and a sentence for whatever is wrong."""

import gzip

import nibabel
import numpy as np
import pytest
from tiny_volumes import oblique, save

from fdif_jax.data.images import read_image, read_label
from fdif_jax.errors import InputError

SHAPE = (4, 5, 6)
VOXELS = np.random.default_rng(0).normal(size=(*SHAPE, 2)).astype(np.float32)
LABEL = np.random.default_rng(1).integers(0, 3, SHAPE).astype(np.uint8)


@pytest.mark.parametrize(
    "forms",
    [
        pytest.param([VOXELS], id="channels-last"),
        pytest.param([np.moveaxis(VOXELS, -1, 0)], id="channels-first"),
        pytest.param([VOXELS[:, :, :, None]], id="a-vector-as-itk-writes-it"),
        pytest.param([VOXELS[..., 0], VOXELS[..., 1]], id="a-file-each"),
    ],
)
@pytest.mark.parametrize("channels", [None, 2])
def test_channels_come_last(tmp_path, forms, channels):
    paths = [save(tmp_path / f"{i}.nii.gz", form, oblique()) for i, form in enumerate(forms)]
    image = read_image(paths, channels)
    np.testing.assert_array_equal(image.voxels, VOXELS)
    np.testing.assert_allclose(image.affine, oblique(), atol=1e-6)  # float32 in the header
    assert image.voxels.dtype == np.float32
    assert image.affine.dtype == np.float64


def test_the_number_of_channels_tells_their_axis(tmp_path):
    path = save(tmp_path / "a.nii", np.zeros((2, 5, 6, 3), np.float32))
    assert read_image([path], 3).voxels.shape == (2, 5, 6, 3)
    assert read_image([path], 2).voxels.shape == (5, 6, 3, 2)
    one = save(tmp_path / "b.nii", np.zeros((1, 5, 6, 3), np.float32))
    assert read_image([one], 1).voxels.shape == (5, 6, 3, 1)


def test_scaled_integers_and_thin_volumes(tmp_path):
    raw = np.arange(20, dtype=np.int16).reshape(4, 5, 1)
    image = nibabel.Nifti1Image(raw, np.eye(4))
    image.header.set_slope_inter(0.5, -3)
    nibabel.save(image, tmp_path / "a.nii.gz")
    voxels = read_image([tmp_path / "a.nii.gz"]).voxels
    assert voxels.shape == (4, 5, 1, 1)
    np.testing.assert_array_equal(voxels[..., 0], raw * 0.5 - 3)


def broken(tmp_path):
    """name: file, each wrong in one way."""
    nan = VOXELS[..., 0].copy()
    nan[1, 2, 3], nan[0, 0, 0] = np.nan, np.inf
    rgb = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    files = {
        "nan": save(tmp_path / "nan.nii.gz", nan),
        "huge": save(tmp_path / "huge.nii.gz", np.full(SHAPE, 1e300)),
        "flat": save(tmp_path / "flat.nii.gz", np.zeros((4, 5), np.float32)),
        "five": save(tmp_path / "five.nii.gz", np.zeros((4, 5, 6, 2, 2), np.float32)),
        "rgb": save(tmp_path / "rgb.nii.gz", rgb),
        "other": save(tmp_path / "other.nii.gz", np.zeros((4, 5, 7), np.float32)),
        "good": save(tmp_path / "good.nii.gz", VOXELS[..., 0]),
        "missing": tmp_path / "missing.nii.gz",
        "folder": tmp_path / "folder.nii.gz",
        "empty": tmp_path / "empty.nii.gz",
        "text": tmp_path / "text.nii",
        "cut": tmp_path / "cut.nii.gz",
        "short": tmp_path / "short.nii",
        "foreign": tmp_path / "foreign.mha",
    }
    data = files["good"].read_bytes()
    files["folder"].mkdir()
    files["empty"].write_bytes(b"")
    files["text"].write_text("no volume at all " * 40)
    files["cut"].write_bytes(data[:-40])
    files["short"].write_bytes(gzip.decompress(data)[:-40])
    files["foreign"].write_text("ObjectType = Image")
    return files


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nan"], "holds NaN or infinity in 2 voxels"),
        (["huge"], "holds NaN or infinity in 120 voxels"),
        (["flat"], r"has the shape \(4, 5\); it needs three axes"),
        (["five"], r"has the shape \(4, 5, 6, 2, 2\)"),
        (["rgb"], "they need to be one number each"),
        (["good", "other"], r"other.nii.gz has 4 x 5 x 7 voxels, .*good.nii.gz of the same case"),
        (["good", "good", "good"], "has 3 channels, the network takes 2"),
        (["missing"], "is missing"),
        (["folder"], "cannot be read"),
        (["empty"], "is empty"),
        (["text"], "cannot be read"),
        (["cut"], "is cut off"),
        (["short"], "cannot be read .Expected 480 bytes, got 440"),
        (["foreign"], "cannot be read"),
    ],
)
def test_bad_images_are_refused_in_one_sentence(tmp_path, names, message):
    files = broken(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        read_image([files[name] for name in names], 2 if len(names) > 1 else None)
    assert str(files[names[-1]]) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "form",
    [LABEL, LABEL.astype(np.float64), LABEL.astype(np.int16)[..., None], LABEL[None].astype("i4")],
    ids=["bytes", "floats", "an-axis-more", "an-axis-before"],
)
def test_labels_become_the_smallest_integers(tmp_path, form):
    label = read_label([save(tmp_path / "a.nii.gz", form)], SHAPE, (3,))
    np.testing.assert_array_equal(label, LABEL)
    assert label.dtype == np.uint8


def test_labels_of_several_tasks(tmp_path):
    stacked = np.stack([LABEL, LABEL.astype(np.uint16) * 200], -1)
    one = save(tmp_path / "both.nii.gz", stacked)
    each = [save(tmp_path / f"{t}.nii.gz", stacked[..., t]) for t in range(2)]
    for paths in ([one], each):
        label = read_label(paths, SHAPE, (3, 401))
        np.testing.assert_array_equal(label, stacked)
        assert label.dtype == np.uint16
        with pytest.raises(InputError, match="holds the label 400, 300 classes allow 0 to 299"):
            read_label(paths, SHAPE, (3, 300))
    with pytest.raises(InputError, match="labels of 2 tasks, where 1 is expected; --multi_task"):
        read_label([one], SHAPE, (3,))


def changed(value):
    label = LABEL.astype(np.float32)
    label[2, 2, 2] = value
    return label


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (changed(3), "holds the label 3, 3 classes allow 0 to 2"),
        (changed(17), "holds the label 17, 3 classes allow 0 to 2; give a larger --out_channel"),
        (changed(-1), "holds the label -1; they start at 0"),
        (changed(0.5), "holds the label 0.5; labels are integers"),
        (changed(np.nan), "holds the label nan; labels are integers"),
        (changed(np.inf), "holds the label inf; labels are integers"),
        (changed(1e20), "holds the label 1e.20; labels are integers"),
        (LABEL[:, :, 1:], r"has the shape \(4, 5, 5, 1\)|has 4 x 5 x 5|4 x 5 x 6"),
        (np.zeros((*SHAPE, 2, 2), np.uint8), "a label has its image's voxels"),
    ],
)
def test_bad_labels_are_refused_in_one_sentence(tmp_path, form, message):
    path = save(tmp_path / "label.nii.gz", form)
    with pytest.raises(InputError, match=message) as caught:
        read_label([path], SHAPE, (3,))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
