"""Mistakes that once lost data, wrote elsewhere, or ended in a traceback."""

import dataclasses
import json
import os

import numpy as np
import pytest
from click.testing import CliRunner

from fdif_jax.cli import cli
from fdif_jax.config import GenerateConfig
from fdif_jax.errors import InputError

SMALL = "--D 16 --H 16 --W 16 --num_samples 1 --max_objects 2 --seed 1 --quiet"
SMALL = SMALL.split()
IDENTITY = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]


def fdif(*words):
    result = CliRunner().invoke(cli, [*map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def files(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refused(result, *parts):
    assert result.exit_code == 2, result.output
    assert len(result.output.strip().splitlines()) == 1
    for part in parts:
        assert part in result.output


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(mapper: str) -> str:
        name = f"attack_{abs(hash(mapper))}"
        (tmp_path / f"{name}.py").write_text(
            "from fdif_jax import Catalog\n"
            f"catalog = Catalog.default().with_mapper('mine', {mapper})\n"
        )
        return f"{name}:catalog"

    return write


def test_a_failing_plugin_loses_nothing(tmp_path, plugin):
    out = tmp_path / "out"
    assert fdif("generate", *SMALL, "--out_dir", out).exit_code == 0
    before = files(out)
    words = ["--plugin", plugin("lambda d: 1 / 0"), "--sdf_mappers", "mine"]
    refused(fdif("generate", *SMALL, *words, "--out_dir", out, "--overwrite"), "cannot be rendered")
    assert files(out) == before
    refused(fdif("generate", *SMALL, *words, "--out_dir", tmp_path / "new"), "ZeroDivisionError")
    assert not (tmp_path / "new").exists()


def test_overwrite_looks_at_every_home_before_it_deletes(tmp_path, fake_recipe):
    out = tmp_path / "out"
    nnunet = [*SMALL, "--nnunet_format", "--out_dir", out]
    assert fdif("generate", *nnunet, "--dataset_id", 4).exit_code == 0
    other = ["--dataset_id", 5, "--dataset_name", "SDFSynthetic_Val"]
    assert fdif("generate", *nnunet, *other).exit_code == 0
    before = files(out)
    words = ["--dataset_id", 4, "--num_val_samples", 1, "--seed", 2, "--overwrite"]
    refused(fdif("generate", *nnunet, *words), "would not replace")
    assert files(out) == before


@pytest.mark.parametrize("tasks", [["a", "../../evil"], ["a", "a"], ["", "b"]])
def test_task_names_of_a_scene_are_plain(tmp_path, tasks):
    sphere = {"primitive": "sphere", "params": {"radius": 4}, "local_from_world": IDENTITY}
    scene = {"grid": [16, 16, 16], "tasks": tasks, "objects": [sphere | {"class_id": [1, 2]}]}
    (tmp_path / "scene.json").write_text(json.dumps(scene))
    refused(fdif("render", tmp_path / "scene.json", "--out_dir", tmp_path / "out"), "tasks")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--D", 32768], "D is 32768; allowed: 8 to 32767"),
        (["--num_samples", 10**12], "at most 1000000"),
        (["--dataset_name", "x" * 101], "up to 100"),
        (["--dataset_name", "²"], "dataset_name"),
    ],
)
def test_sizes_beyond_any_file_are_refused(tmp_path, words, part):
    refused(fdif("generate", *SMALL, *words, "--out_dir", tmp_path / "out"), part)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["render", "validate"])
def test_deeply_nested_json_is_refused(tmp_path, command):
    (tmp_path / "data.json").write_text("[" * 100_000)
    words = ["--grid", 16, 16, 16, "--out_dir", tmp_path / "o"] if command == "render" else []
    refused(fdif(command, tmp_path / "data.json", *words))


@pytest.mark.parametrize(
    "record",
    [
        {"training": None, "labels": {"0": "background"}},
        {"training": [{"image": [], "label": "x"}], "labels": {"0": "background"}},
        {"training": [], "tasks": 5},
        {"channel_names": None, "labels": {"background": 0}, "numTraining": 0, "file_ending": ""},
    ],
)
def test_descriptions_of_another_kind_are_no_traceback(tmp_path, record):
    name = "dataset.json" if "channel_names" in record else "data.json"
    (tmp_path / name).write_text(json.dumps(record))
    result = fdif("validate", tmp_path / name)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("grid", (24.0, 24, 24)),
        ("grid", 64),
        ("grid", [16, 16, 16]),
        ("num_samples", True),
        ("num_samples", 1.5),
        ("max_objects", "5"),
        ("multi_task", "no"),
        ("primitives", "sphere"),
        ("primitives", (5,)),
        ("num_classes", 2.5),
        ("dataset_name", None),
        ("min_objects", np.float32(2)),
    ],
)
def test_a_config_of_wrong_types_is_refused(name, value):
    with pytest.raises(InputError, match=f"{name} is .*; give "):
        dataclasses.replace(GenerateConfig(), **{name: value})


def test_a_log_in_another_encoding_is_no_reason_to_fail(tmp_path, fake_recipe):
    out = tmp_path / "out"
    assert fdif("generate", *SMALL, "--out_dir", out).exit_code == 0
    (out / "generation_log.txt").write_bytes(b"\xff\xfe caf\xe9" + os.linesep.encode())
    assert fdif("generate", *SMALL, "--out_dir", out).exit_code == 0


def test_samples_that_vanish_are_no_success(tmp_path, fake_recipe, monkeypatch):
    from fdif_jax.io import writer

    out = tmp_path / "out"
    finish = writer._Run.finish

    def losing(run):
        next(out.rglob("*_y.nii.gz")).unlink()
        return finish(run)

    monkeypatch.setattr(writer._Run, "finish", losing)
    refused(fdif("generate", *SMALL, "--out_dir", out), "1 samples vanished")
    monkeypatch.undo()
