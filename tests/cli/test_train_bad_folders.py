"""What `fdif train` refuses of run folders, checkpoints and models, and how a run survives faults.

Most runs here were never trained: a checkpoint of fresh weights is written in a moment.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fdif_jax.models import create_model
from flax import nnx
from one_sentence import assert_one_sentence
from tiny_runs import TINY, config

from fdif_jax.model_io import save_model
from fdif_jax.train.checkpoints import Checkpoints, Score
from fdif_jax.train.config import RunOptions
from fdif_jax.train.devices import make_mesh
from fdif_jax.train.plan import make_plan
from fdif_jax.train.program import recipe_of
from fdif_jax.train.run_folder import open_run
from fdif_jax.train.start import first_network
from fdif_jax.train.step import take_apart

LINE = (
    "--model_name primus_s --model_option hidden_size=12 depth=1 heads=1 --grid_size 8 8 16 "
    "--data_json_path d/dataset.json --num_crops 2 --max_iterations 4 --learning_rate 1e-2 "
    "--eval_every 2"
)
WIDER = {"model_options": (("depth", 1), ("heads", 1), ("hidden_size", 24))}


def untrained(path, update=2, **changes):
    """A run folder with a checkpoint, as the settings of LINE with changes make it."""
    settings = config("d/dataset.json", **changes)
    plan, mesh = make_plan(settings, RunOptions()), make_mesh(1)
    state = take_apart(first_network(plan).model, recipe_of(plan), mesh)[1]
    folder = open_run(Path(path), settings, overwrite=False)
    checkpoints = Checkpoints(folder.checkpoints, mesh)
    checkpoints.save(state._replace(update=state.update + update), Score())
    checkpoints.close()


def cut_off(folder):
    for path in Path(folder).rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write(path, text="mine"):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


pytestmark = pytest.mark.usefixtures("listed")
NAMED = {"model_name": "x", "data": "y"}
NO_CONFIG = "out/config.json is not the config of a training run"


@pytest.mark.parametrize("options", ["", " --overwrite"])
@pytest.mark.parametrize(
    ("path", "text", "part"),
    [
        ("out", "mine", "out is a file; choose another --out_dir"),
        ("out/notes.txt", "mine", "out is not empty and holds no training run"),
        *(
            ("out/config.json", text, NO_CONFIG)
            for text in ("", "[]", "{}", "[" * 100_000, '{"config": 5}', '{"config": {}}')
        ),
        *(
            (
                "out/config.json",
                json.dumps({"config": {**NAMED, **one}}),
                part,
            )
            for one, part in [
                ({"patch": 5}, NO_CONFIG),
                ({"seed": "7"}, NO_CONFIG),
                ({"generation": 5}, NO_CONFIG),
                ({"sead": 7}, "'sead'; did you mean 'seed'; choose another --out_dir"),
                ({"seed": -7}, "seed is -7"),
            ]
        ),
    ],
)
def test_a_folder_of_something_else_is_left_alone(refuses, path, text, part, options):
    write(path, text)
    refuses(LINE + options, part)
    assert Path(path).read_text() == text


def test_another_run_is_left_alone(refuses):
    untrained("out", seed=3)
    refuses(LINE, "out holds a run with other options (seed 3, not 0)", "--overwrite")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ("--out_dir mine/out", "mine is a file; choose another --out_dir"),
        (f"--out_dir {'a' * 300}", "cannot be"),
        ("--profile mine/trace", "mine/trace cannot be made a folder"),
        ("--is_real_data --cache_dir mine/cache", "mine/cache cannot be written"),
    ],
    ids=lambda value: value[:20],
)
def test_places_that_cannot_be_written(refuses, options, part):
    write("mine")
    refuses(f"{LINE} {options}", part)


def test_checkpoints_that_a_run_cannot_begin_with(refuses):
    options = f"{LINE} --resume_from_checkpoint"
    write("notes.txt")
    for nothing in ("nowhere", "notes.txt", "d"):
        refuses(f"{options} {nothing}", f"{nothing}: no checkpoints there; give a run folder")
    write("digits/12")
    refuses(f"{options} digits", "digits holds no checkpoint")
    untrained("wider", **WIDER)
    refuses(f"{options} wider", "wider/checkpoints/2 is a checkpoint of another network")
    untrained("done", update=4)
    refuses(f"{options} done", "has 4 updates behind it; give a larger --max_iterations")
    cut_off("done/checkpoints/4")
    refuses(f"{options} done", "done/checkpoints: no checkpoint can be read", "give another run")


def test_own_checkpoints_that_cannot_be_gone_on_from(refuses):
    untrained("out")
    untrained("wider", **WIDER)
    cut_off("out/checkpoints/2")
    refuses(LINE, "no checkpoint can be read", "start anew with --overwrite")
    shutil.rmtree("out/checkpoints")
    Path("wider/checkpoints").rename("out/checkpoints")
    refuses(LINE, "out/checkpoints/2 is a checkpoint of another network")


def saved(name="primus_s", **options):
    save_model("model", create_model(name, rngs=nnx.Rngs(0), **options))


def test_pretrained_models_that_do_not_fit(refuses):
    like = {"image_size": (8, 8, 16), "out_channels": 3, **TINY}
    options = f"{LINE} --pretrained_model"
    refuses(f"{options} model", "model: neither a model folder", ".safetensors")
    for name, content, part in [
        ("a.pth", "", "truncated, it is empty"),
        ("a.safetensors", "\0" * 20, "truncated, or not a safetensors file"),
        ("a.txt", "weights", "neither a model folder"),
        ("c/config.json", "{", "c/config.json: not the config of a model folder"),
        ("run/model_best/config.json", "{}", "is the folder of a run; give run/model_best"),
    ]:
        write(name, content)
        refuses(f"{options} {name.split('/')[0]}", part)
    saved(**like)
    refuses(f"{options} model --pretraining_out_channel 9", "_out_channel is 9, but model has 3")
    refuses(f"{options} model --pretraining_in_channels 4", "_in_channels is 4, but model has 1")
    saved(**like | {"hidden_size": 24})
    refuses(f"{options} model", "(1 mismatches): hidden_size is 24, wanted 12")
    cut_off("model/weights.next" if Path("model/weights.next").exists() else "model/weights")
    refuses(f"{options} model", "the weights cannot be read", "files are missing or cut off")
    shutil.rmtree("model")
    saved("vnet", width=2)
    refuses(f"{options} model", "model is of vnet, not of primus_s; give --model_name vnet")


@pytest.mark.slow
def test_a_loss_that_is_no_number_keeps_the_checkpoint_before(fdif):
    line = f"train --quiet --out_dir out {LINE} --learning_rate 1e20 --checkpoint_every 1"
    for _ in range(2):  # the same command finds the same
        result = fdif(line)
        assert_one_sentence(
            result, "not a number at update 3 in training_", "after update 2 is good"
        )
        assert sorted(path.name for path in Path("out/checkpoints").iterdir()) == ["1", "2"]


@pytest.mark.slow
def test_a_full_disk_costs_no_checkpoint(fdif, monkeypatch, tmp_path):
    line = f"train --quiet --out_dir out {LINE}"
    free = shutil.disk_usage(tmp_path)._replace(free=1000)
    save = Checkpoints.save

    def full(self, state, score):
        if int(state.update) < 4:
            return save(self, state, score)
        with monkeypatch.context() as context:
            context.setattr(shutil, "disk_usage", lambda path: free)
            return save(self, state, score)

    monkeypatch.setattr(Checkpoints, "save", full)
    assert_one_sentence(fdif(line), "to be written and 0 MiB are free", "make room")
    assert [path.name for path in Path("out/checkpoints").iterdir()] == ["2"]
    monkeypatch.setattr(Checkpoints, "save", save)
    assert "4 updates done" in fdif(f"train --out_dir out {LINE}").output
    assert sorted(path.name for path in Path("out/checkpoints").iterdir()) == ["2", "4"]


LIMITED = """
import resource
from fdif_jax.cli import main
from fdif_jax.train.checkpoints import Checkpoints
save = Checkpoints.save
def limited(self, state, score):
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    save(self, state, score)
Checkpoints.save = limited
main()
"""


@pytest.mark.slow
def test_a_quota_that_no_one_told_of_ends_in_one_sentence(tmp_path):
    words = [sys.executable, "-c", LIMITED, *f"train --quiet --out_dir out {LINE}".split()]
    result = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert "a checkpoint cannot be written (File too large)" in line


@pytest.mark.slow
def test_a_damaged_checkpoint_makes_way_for_a_whole_one(fdif):
    untrained("out", update=1)
    shutil.copytree("out/checkpoints/1", "out/checkpoints/2")
    cut_off("out/checkpoints/2")
    result = fdif(f"train --out_dir out {LINE}")
    assert "going on after update 1" in result.output
    for again in ("2", "4"):
        assert (Path("out/checkpoints") / again / "state").is_dir()
    Path("out/summary.json").unlink()
    shutil.rmtree("out/checkpoints/4")
    assert "going on after update 2" in fdif(f"train --out_dir out {LINE}").output
