"""`fdif view` from the command line."""

import json

import pytest
from one_sentence import assert_one_sentence

from fdif_jax.view import serve


@pytest.mark.usefixtures("listed")
def test_a_page_is_written_where_it_is_said(fdif, tmp_path):
    result = fdif("view d/dataset.json")
    assert result.exit_code == 0, result.output
    assert result.stdout == "wrote dataset_view/index.html: 3 samples\n"
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
    before = sorted(tmp_path.rglob("*"))
    assert_one_sentence(fdif(f"view {args} --quiet"), part)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_volume_is_named_and_nothing_is_left(fdif, small_set, tmp_path):
    file = small_set / "images/training_1.nii.gz"
    file.write_bytes(file.read_bytes()[:-20])
    assert_one_sentence(fdif("view d --quiet"), "training_1.nii.gz is cut off")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
