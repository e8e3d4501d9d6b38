"""Model folders are whole at every moment: also while they are saved, and whatever stops that."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_networks import BUILDERS, primus, same_weights, swin, unetr, vnet

import fdif_jax
from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.model_io import ModelInfo, adapt, load_info, load_model, save_model, weights_of


def test_names_at_the_top_are_lazy():
    assert fdif_jax.load_model is load_model
    assert fdif_jax.save_model is save_model
    code = "import sys, fdif_jax; print('jax' in sys.modules, 'load_model' in fdif_jax.__all__)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "True"]


class Stop(BaseException):
    """As a signal: no handler of errors sees it."""


slow = pytest.mark.slow
STEPS = [
    ("fdif_jax.model_io.ocp.StandardCheckpointer.save", "before the weights"),
    ("pathlib.Path.write_text", "before the config"),
    ("pathlib.Path.replace", "before the switch"),
    ("fdif_jax.model_io.shutil.rmtree", "before the old weights go"),
]


FULL = pytest.param(lambda: OSError(28, "No space left on device"), id="full", marks=slow)


@pytest.mark.parametrize("error", [Stop, FULL])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[1])
def test_stopping_a_save_leaves_the_old_or_the_new(step, error, tmp_path, monkeypatch):
    old, new = vnet(), vnet(out_channels=4)
    save_model(tmp_path / "m", old)

    def stop(*_, **__):
        raise error()

    with monkeypatch.context() as patch:
        patch.setattr(step[0], stop)
        with pytest.raises((Stop, EnvironmentFault)):
            save_model(tmp_path / "m", new)
    late = "rmtree" in step[0]
    assert same_weights(load_model(tmp_path / "m"), new if late else old)
    save_model(tmp_path / "m", new)
    assert same_weights(load_model(tmp_path / "m"), new)
    save_model(tmp_path / "m", old)
    assert same_weights(load_model(tmp_path / "m"), old)
    found = sorted(p.name for p in (tmp_path / "m").iterdir() if p.name != ".config.json.tmp")
    assert len(found) == 2, found
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("step", [*STEPS[:3], ("pathlib.Path.rename", "before it has its name")])
def test_stopping_a_first_save_leaves_nothing(step, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(step[0], stop)
        with pytest.raises(Stop):
            save_model(tmp_path / "m", vnet())
    assert not list(tmp_path.iterdir())


def test_rests_of_a_killed_first_save_are_cleared(tmp_path):
    (tmp_path / ".m.0123456789abcdef.tmp" / "weights").mkdir(parents=True)
    save_model(tmp_path / "m", vnet())
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_what_is_no_model_folder_is_not_replaced(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder"):
        with pytest.raises(InputError, match="exists and is not a model folder"):
            save_model(tmp_path / name, vnet())
    with pytest.raises(EnvironmentFault, match="cannot be written"):
        save_model(tmp_path / "file" / "model", vnet())
    assert (tmp_path / "file").read_text() == "mine"
    model = vnet()
    for no_json, error in ((object(), TypeError), (float("nan"), ValueError)):
        with pytest.raises(error):  # before anything is written
            save_model(tmp_path / "m", model, ModelInfo(model.config, provenance={"x": no_json}))
    assert not (tmp_path / "m").exists()


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    save_model(tmp_path / "run", vnet())
    (tmp_path / "best").symlink_to("run")
    new = vnet(out_channels=4)
    save_model(tmp_path / "best", new)
    assert (tmp_path / "best").is_symlink()
    assert same_weights(load_model(tmp_path / "run"), new)


TASKS = {"shape": 4, "mapper": 2}


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(build, id=name, marks=() if name in ("resenc", "primus") else slow)
        for name, build in BUILDERS.items()
    ],
)
def test_heads_by_task_come_back(build, tmp_path):
    model = build(out_channels=tuple(TASKS.items()))
    names = {task: [f"{task} {i}" for i in range(n)] for task, n in TASKS.items()}
    save_model(tmp_path / "m", model, ModelInfo(model.config, class_names=names))
    loaded = load_model(tmp_path / "m")
    assert (loaded.config, load_info(tmp_path / "m").class_names) == (model.config, names)
    assert same_weights(loaded, model)
    single = load_model(tmp_path / "m", out_channels=4)  # fine-tuning of a multi-task network
    kept = {k: v for k, v in weights_of(single).items() if not k.startswith(("head", "side"))}
    assert all(np.array_equal(v, weights_of(model)[k]) for k, v in kept.items())
    assert single.config.out_channels == 4


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_loading_for_another_head_input_and_patch_at_once(build, tmp_path):
    model = build()
    save_model(tmp_path / "m", model)
    size = (32, 32, 64)
    loaded = load_model(tmp_path / "m", out_channels=5, in_channels=2, image_size=size)
    loaded.check_size(size)
    assert (loaded.config.out_channels, loaded.config.in_channels) == (5, 2)
    before, after = weights_of(model), weights_of(loaded)
    changed = {k for k in after if k not in before or not np.array_equal(before[k], after[k])}
    inputs = {k for k in changed if before.get(k) is not None and after[k].shape[-2:-1] == (2,)}
    rest = {k.split(".")[0] for k in changed - inputs}
    assert rest <= {"head", "side_heads", "positions"}
    for key in inputs:  # 1 to 2: the kernel twice, halved
        np.testing.assert_array_equal(after[key], np.repeat(before[key], 2, axis=-2) / 2)
    assert inputs


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"in_channels": 0}, "in_channels is 0; allowed: 1 or more"),
        ({"in_channels": 3}, "in_channels must divide"),
        ({"out_channels": 0}, "out_channels must be at least 1"),
        ({"out_channels": {}}, "at least one task"),
        ({"image_size": (24, 32, 32)}, "multiples of 16"),
    ],
)
def test_what_the_network_cannot_become(options, says):
    with pytest.raises(InputError, match=says):
        adapt(vnet(), **options)


def test_positions_of_both_transformers_follow_the_patch(tmp_path):
    for build in (unetr, primus):
        save_model(tmp_path / build.__name__, build())
        with pytest.raises(InputError, match="multiples of"):
            load_model(tmp_path / build.__name__, image_size=(20, 32, 32))
        assert load_model(tmp_path / build.__name__, image_size=(32, 16, 64)).config.image_size == (
            32,
            16,
            64,
        )


def test_merging_is_kept(tmp_path):
    save_model(tmp_path / "m", swin(merging="legacy"))
    assert load_model(tmp_path / "m").config.merging == "legacy"


SAVER = """
import sys
sys.path.insert(0, {tests!r})
from small_networks import vnet
from fdif_jax.model_io import save_model
models = [vnet(), vnet(out_channels=4)]
save_model({folder!r}, models[0])
print("saved", flush=True)
while True:
    for model in models:
        save_model({folder!r}, model)
"""


@slow
def test_killing_a_save_at_any_moment_leaves_a_whole_folder(tmp_path):
    folder = tmp_path / "m"
    code = SAVER.format(tests=str(Path(__file__).parent), folder=str(folder))
    rng, found = np.random.default_rng(0), set()
    for _ in range(12):
        saver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert saver.stdout.readline() == "saved\n"
        time.sleep(rng.uniform(0, 0.6))
        os.kill(saver.pid, signal.SIGKILL)
        saver.wait()
        saver.stdout.close()
        found.add(load_model(folder).config.out_channels)
        assert json.loads((folder / "config.json").read_text())["weights"].startswith("weights")
    assert found <= {3, 4}
