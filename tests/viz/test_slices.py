"""Pictures of samples: there, right in their colours, safe in threads."""

import builtins
import io
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from matplotlib.image import imread

from fdif_jax.errors import EnvironmentFault
from fdif_jax.viz import drawing, slices


@pytest.fixture
def sample():
    label = np.zeros((12, 14, 16), np.uint8)
    label[3:9, 3:9, 3:9] = 2
    return (label * 64).astype(np.uint8), label


def pixels(png: bytes) -> np.ndarray:
    return imread(io.BytesIO(png), format="png")[..., :3]


def shows(picture: np.ndarray, rgb: np.ndarray) -> bool:
    return bool((np.abs(picture - rgb).max(-1) < 0.01).any())


def test_a_picture_shows_image_label_and_overlay(sample):
    picture = pixels(slices.picture(*sample, "sample_00000"))
    hue = drawing.colour(np.array(2))
    assert shows(picture, hue)
    assert shows(picture, 0.5 * hue + 0.5)  # over an image that is white there
    assert not shows(picture, drawing.colour(np.array(3)))


def test_several_tasks_show_the_first(sample):
    image, label = sample
    stacked = np.stack([label, label * 0], axis=-1)
    assert slices.picture(image, stacked, "s") == slices.picture(image, label, "s")


def test_neighbouring_ids_have_colours_of_their_own():
    colours = drawing.colour(np.arange(1, 110))
    assert colours.shape == (109, 3)
    assert colours.min() >= 0
    assert colours.max() <= 1
    assert len(np.unique(colours.round(3), axis=0)) == 109
    assert np.abs(np.diff(colours, axis=0)).max(-1).min() > 0.2


def test_pictures_do_not_depend_on_threads(sample):
    alone = slices.picture(*sample, "s")
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: slices.picture(*sample, "s"), range(6))) == {alone}


def test_without_matplotlib_the_message_names_the_extra(sample, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(EnvironmentFault, match=r"fdif-jax\[viz\]"):
        slices.picture(*sample, "s")


def test_only_missing_pictures_are_drawn(tmp_path, monkeypatch, sample):
    from fdif_jax.io import nifti
    from fdif_jax.io.layout import SampleRef, view_of_volumes

    (tmp_path / "x.nii.gz").write_bytes(nifti.encode(sample[0]))
    (tmp_path / "y.nii.gz").write_bytes(nifti.encode(sample[1]))
    layout = types.SimpleNamespace(
        files=lambda ref: ("x.nii.gz", "y.nii.gz"),
        picture_file=lambda ref: f"visualizations/sample_{ref.index:05d}.png",
        view=lambda ref, contents: view_of_volumes("sample.png", contents),
    )
    refs = [SampleRef("training", i) for i in range(2)]
    assert len(slices.write_pictures(tmp_path, layout, refs[:1], workers=2)) == 1
    drawn = slices.write_pictures(tmp_path, layout, refs, workers=2)
    assert drawn == ["visualizations/sample_00001.png"]
    assert (tmp_path / drawn[0]).read_bytes().startswith(b"\x89PNG")


def test_a_picture_without_labels_shows_the_image_alone(sample):
    image, label = sample
    alone, beside = (pixels(slices.picture(image, part, "s")) for part in (None, label))
    assert 3 * alone.shape[1] == beside.shape[1]
    assert not shows(alone, drawing.colour(np.asarray(2)))
    assert shows(beside, drawing.colour(np.asarray(2)))
