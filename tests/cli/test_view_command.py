"""`fdif view` from the command line."""

import json
import shutil
import socket

import nibabel
import numpy as np
import pytest
import view_sets
from one_sentence import assert_one_sentence

from fdif_jax.view import serve


@pytest.mark.usefixtures("listed")
def test_a_page_is_written_where_it_is_said(fdif, tmp_path):
    result = fdif("view d/dataset.json")
    assert result.exit_code == 0, result.output
    assert result.stdout == "wrote d_view/index.html: 3 samples\n"
    result = fdif("view d --out_dir pages/one --max_samples 2 --quiet")
    assert (result.exit_code, result.output) == (0, "")
    data = (tmp_path / "pages/one/data.js").read_text().removeprefix("fdif.page = ")
    found = json.loads(data.removesuffix(";\n"))
    assert (len(found["samples"]), found["listed"]) == (2, 3)


@pytest.mark.usefixtures("listed")
def test_a_page_is_replaced_when_it_is_said(fdif, tmp_path):
    assert fdif("view d --out_dir out --quiet").exit_code == 0
    before = sorted(tmp_path.rglob("*"))
    assert_one_sentence(fdif("view d --out_dir out"), "out holds a page already", "--overwrite")
    assert sorted(tmp_path.rglob("*")) == before
    assert fdif("view d --out_dir out --overwrite --max_samples 1 --quiet").exit_code == 0
    assert len(list((tmp_path / "out/volumes").iterdir())) == 1


@pytest.mark.usefixtures("listed")
def test_serving_goes_on_until_ctrl_c(fdif, monkeypatch):
    def stopped(self, poll_interval=0.5):
        raise KeyboardInterrupt

    monkeypatch.setattr(serve.http.server.ThreadingHTTPServer, "serve_forever", stopped)
    result = fdif("view d --serve --port 0 --quiet")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("http://127.0.0.1:")


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("args", "part"),
    [
        ("nowhere", "nowhere does not exist"),
        ("empty", "empty holds none of"),
        ("notes.txt", "notes.txt is no volume"),
        ("model", "model is a model folder; give the folder of its run"),
        ("damaged.json", "damaged.json is no JSON"),
        ("d --reference d", "have one name, so cases cannot be told apart"),
        ("d --reference nowhere", "nowhere does not exist"),
        ("run --reference d", "run is a run folder; leave out --reference"),
        ("d --max_samples 0", "--max_samples"),
        ("d --port 70000", "--port"),
        ("d --out_dir d", "d holds 'dataset.json', which fdif view did not write"),
        ("d --out_dir notes.txt", "notes.txt is a file, or below one"),
        ("/dev/null", "/dev/null is neither a file nor a folder"),
        ("loop", "a path leads nowhere (Symlink loop"),
        ("~nobody_of_that_name/d", "a path leads nowhere (Could not determine home directory)"),
        ("odd_run", "odd_run holds metrics or a summary that fdif train did not write so"),
        ("flat", "imgs/a.nii.gz has an affine with a voxel size of 0"),
    ],
)
def test_mistakes_end_in_one_sentence_and_write_nothing(fdif, tmp_path, args, part):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "damaged.json").write_text("{")
    (tmp_path / "model/weights").mkdir(parents=True)
    (tmp_path / "model/config.json").write_text('{"format": 1}')
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text('{"config": {}, "started": ""}')
    (tmp_path / "loop").symlink_to("loop")
    shutil.copytree(tmp_path / "run", tmp_path / "odd_run")
    (tmp_path / "odd_run/metrics.jsonl").write_text('{"update": 1, "validation": null}\n')
    view_sets.flat(tmp_path / "flat")
    before = sorted(tmp_path.rglob("*"))
    assert_one_sentence(fdif(f"view {args} --quiet"), part)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("listed")
def test_nothing_is_written_where_the_port_is_taken(fdif, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert_one_sentence(fdif(f"view d --serve --port {port}"), f"port {port} is in use")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_files_that_lie_apart_are_told(fdif, small_set):
    own = nibabel.load(small_set / "labels/training_0.nii.gz")
    moved = nibabel.Nifti1Image(np.asarray(own.dataobj), np.diag([-1.0, 1, 1, 1]))
    nibabel.save(moved, small_set / "labels/training_0.nii.gz")
    told = fdif("view d --out_dir out").stdout
    assert told.endswith("samples, 1 with files that lie apart by their headers\n")


def test_a_damaged_volume_is_named_and_nothing_is_left(fdif, small_set, tmp_path):
    file = small_set / "images/training_1.nii.gz"
    file.write_bytes(file.read_bytes()[:-20])
    assert_one_sentence(fdif("view d --quiet"), "training_1.nii.gz is cut off")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
