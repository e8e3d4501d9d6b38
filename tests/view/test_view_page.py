"""The files of a page: what they say of the samples, and that they need nothing else."""

import errno
import hashlib
import json
import os
import re
import urllib.parse
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tiny_runs as t
import view_sets

import fdif_jax.view
from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.view import assets, folder, page, runs, thumbnails
from fdif_jax.view.sources import Sample, Source, find
from fdif_jax.viz import drawing

HERE = Path(fdif_jax.view.__file__).parent


def value(script: Path, name: str):
    """What a script of the page assigns."""
    text = script.read_text("utf-8")
    assert text.startswith(f"{name} = ")
    return json.loads(text.removeprefix(f"{name} = ").removesuffix(";\n"))


@pytest.fixture
def written(tmp_path):
    """The page of one prediction, three organs, one of them not named."""
    listed = t.write_set(tmp_path / "d", training=1, validation=1, classes=4)
    record = json.loads(listed.read_text())
    del record["labels"]["3"]
    listed.write_text(json.dumps(record))
    predictions = view_sets.predictions(tmp_path / "p", listed)
    page.write_page(find(predictions, listed), tmp_path / "page", most=9, workers=2)
    return tmp_path / "page"


def test_the_list_says_what_there_is(written):
    found = value(written / "data.js", "fdif.page")
    (sample,) = found["samples"]
    assert sample["id"] == "validation_0"
    assert sample["split"] == "validation"
    assert (sample["shape"], sample["spacing"], sample["shown"]) == ([10, 12, 18], [1, 1, 1], None)
    assert sample["compared"]
    assert [row[0] for row in sample["counts"][0]] == [1, 2, 3]
    scores = [row[3] for row in sample["counts"][0]]
    assert sample["dice"] == pytest.approx(np.mean(scores), abs=1e-4)
    assert all(0 < score < 1 for score in scores)
    names = {i: name for i, (name, _) in found["tasks"][0]["classes"].items()}
    assert names == {"1": "organ 1", "2": "organ 2", "3": "class 3"}


def test_a_class_has_the_colour_that_it_has_in_all_pictures(written):
    classes = value(written / "data.js", "fdif.page")["tasks"][0]["classes"]
    for i, (_, colour) in classes.items():
        rgb = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        np.testing.assert_allclose(rgb, 255 * drawing.colour(np.array(int(i))), atol=0.5)


def test_volumes_and_thumbnails_lie_beside(written):
    (file,) = (written / "volumes").iterdir()
    found = value(file, "fdif.volumes[0]")
    assert [len(found[kind]) for kind in ("images", "labels", "predictions")] == [1, 1, 1]
    with PIL.Image.open(written / "thumbnails/00000.jpg") as picture:
        assert max(picture.size) == thumbnails.SIDE
        assert picture.size[0] == round(thumbnails.SIDE * 10 / 12)


def test_a_page_needs_nothing_that_is_not_in_its_folder(written):
    index = (written / "index.html").read_text()
    linked = re.findall(r'(?:src|href)="(?!data:)([^"#]+)"', index)
    assert all((written / name).is_file() for name in linked)
    assert [name for name in linked if name.endswith(".js")] == [
        "page/start.js",
        "data.js",
        *(f"page/{name}" for name in assets.SCRIPTS if name != "start.js"),
    ]
    assert "default-src 'none'" in index
    for name in (assets.INDEX, "run.html", assets.STYLE, *assets.SCRIPTS):
        assert not re.search(r"https?:|//cdn|url\(", assets.text(name)), name


def test_names_are_never_markup():
    """Text comes from data sets: scripts may put it into the page as text only."""
    markup = r"innerHTML|outerHTML|insertAdjacent|document\.write"
    assert not [name for name in assets.SCRIPTS if re.search(markup, assets.text(name))]


def test_the_viewer_is_the_one_on_record():
    told = (HERE / "niivue/README.md").read_text()
    digest = hashlib.sha256((HERE / "niivue/niivue.umd.js").read_bytes()).hexdigest()
    assert f"`{digest}`" in told
    assert "Copyright (c) 2021, Niivue" in (HERE / "niivue/LICENSES.txt").read_text()


@pytest.mark.parametrize(
    ("have", "most", "chosen"),
    [(3, 9, [0, 1, 2]), (10, 4, [0, 2, 5, 7]), (5, 1, [0])],
)
def test_samples_are_spread_over_all(have, most, chosen):
    samples = [Sample(str(i)) for i in range(have)]
    assert [int(one.id) for one in page.choose(samples, most)] == chosen


def test_each_sample_has_its_share_of_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "PAGE_BYTES", 12_000)
    monkeypatch.setattr(page, "_LEAST_BYTES", 0)
    found = page.write_page(find(t.write_set(tmp_path / "d")), tmp_path / "page", most=9, workers=1)
    assert found == (6, 6, 0)
    sizes = [file.stat().st_size for file in (tmp_path / "page/volumes").iterdir()]
    assert sum(sizes) < 12_000 + 6 * 100
    assert value(tmp_path / "page/data.js", "fdif.page")["samples"][0]["shown"]


def test_a_sample_that_cannot_be_read_ends_it(tmp_path):
    listed = t.write_set(tmp_path / "d")
    (listed.parent / "images/training_2.nii.gz").write_bytes(b"")
    with pytest.raises(InputError, match=r"training_2\.nii\.gz is empty"):
        page.write_page(find(listed), tmp_path / "page", most=9, workers=2)


def test_without_pictures_packages_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "available", lambda: False)
    with pytest.raises(EnvironmentFault, match=r"fdif-jax\[viz\]"):
        page.write_page(Source(tmp_path, (Sample("a"),)), tmp_path / "page", most=1, workers=1)


def test_a_run_shows_its_curves_pictures_log_and_configuration(tmp_path):
    run = view_sets.run(tmp_path / "run")
    PIL.Image.new("RGB", (4, 4)).save(run / "inference_visualization.png")
    (run / "curves.png").write_bytes(b"drawn anew")
    assert runs.is_run(run)
    assert runs.write_page(run, tmp_path / "page") == "2 curves and 1 picture of a run"
    text = (tmp_path / "page/index.html").read_text()
    assert "complete, 40 updates" in text
    assert "0.5000 after update 40" in text
    assert text.count("<svg") == 2
    assert "loss 1 after update 40" in text
    assert "model_options.depth" in text
    assert "&lt;&amp;&gt;" in text
    assert "&lt;last&gt;" in text
    assert "line 75" in text
    assert "line 74" not in text
    assert re.findall(r'src="([^"]+)"', text) == ["pictures/inference_visualization.png"]
    assert (tmp_path / "page/pictures/inference_visualization.png").is_file()


def test_a_run_that_has_just_begun_says_so(tmp_path):
    run = view_sets.run(tmp_path / "run", complete=False)
    runs.write_page(run, tmp_path / "page")
    text = (tmp_path / "page/index.html").read_text()
    assert "not complete, 0 updates" in text
    assert "Nothing was measured yet." in text


def test_names_of_files_need_not_be_text(tmp_path):
    name = os.fsdecode(b"\xff")
    t.save(tmp_path / f"{name}.nii.gz", np.zeros((3, 4, 5), np.float32))
    page.write_page(find(tmp_path), tmp_path / "page", most=1, workers=1)
    assert value(tmp_path / "page/data.js", "fdif.page")["samples"][0]["id"] == "?"
    run = view_sets.run(tmp_path / "run")
    for odd in (f"{name}.png", "50%#.png"):
        PIL.Image.new("RGB", (4, 4)).save(run / odd)
    runs.write_page(run, tmp_path / "run_page")
    text = (tmp_path / "run_page/index.html").read_text()
    sources = re.findall(r'src="pictures/([^"]+)"', text)
    assert sources == ["50%25%23.png", "%FF.png"]
    pictures = {os.fsencode(path.name) for path in (tmp_path / "run_page/pictures").iterdir()}
    assert pictures == {*map(urllib.parse.unquote_to_bytes, sources)}


def test_what_is_laid_into_a_page_is_not_replaced(tmp_path):
    out = tmp_path / "out"
    view_sets.run(tmp_path / "run")
    with folder.staged(out) as place:
        runs.write_page(tmp_path / "run", place)
    folder.check(out, overwrite=True)
    (out / "pictures/mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"'pictures/mine\.txt', which fdif view did not write"):
        folder.check(out, overwrite=True)


def test_a_page_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "index.html").write_text("before")
    rename = Path.rename

    def refused(self, target):
        if self.suffix == ".tmp":
            raise OSError(errno.EIO, "the disk is broken")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(EnvironmentFault, match="the disk is broken"), folder.staged(out):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (out / "index.html").read_text() == "before"


def test_a_page_takes_its_place_whole_or_not_at_all(tmp_path):
    out = tmp_path / "out"
    with folder.staged(out) as place:
        (place / "index.html").write_text(assets.text("index.html"))
        assert not out.exists()
    with pytest.raises(ZeroDivisionError), folder.staged(out) as place:
        (place / "index.html").write_text(f"half {1 / 0}")
    assert (out / "index.html").read_text() == assets.text("index.html")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    folder.check(out, overwrite=True)
    (out / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"'mine\.txt', which fdif view did not write"):
        folder.check(out, overwrite=True)
