"""Whole runs, tiny: what a run leaves, how it goes on, how it ends early."""

import dataclasses
import json
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny_runs import config, save, train, trainer, write_set

from fdif_jax import SMALL, load_model
from fdif_jax.errors import InputError
from fdif_jax.io import metrics
from fdif_jax.model_io import load_info, weights_of
from fdif_jax.train import loop
from fdif_jax.train.config import RunOptions
from fdif_jax.train.run_folder import RunFolder, open_run
from fdif_jax.train.step import put_together


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """An undisturbed run."""
    path = tmp_path_factory.mktemp("whole") / "run"
    return path, train(path, config(data))


def weights(path):
    return {k: np.asarray(v) for k, v in weights_of(load_model(path)).items()}


def assert_same_weights(one, other):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_a_run_leaves_what_the_manual_lists(whole, data):
    path, result = whole
    names = {p.name for p in path.iterdir()}
    assert {"config.json", "checkpoints", "model_best", "model_last", "summary.json"} <= names
    assert {"training_log.txt", "metrics.jsonl"} <= names
    assert {"curves.png", "inference_visualization.png"} <= names
    assert result.updates == 4
    rows = metrics.read(path / metrics.FILE)
    assert [r["update"] for r in rows if "loss" in r] == [1, 2, 3, 4]
    scores = {r["update"]: r["validation"] for r in rows if "validation" in r}
    assert list(scores) == [2, 4]
    assert list(scores[2]["by_class"]) == ["organ 1", "organ 2"]
    assert result.score.best == max(s["dice"] for s in scores.values())
    assert json.loads((path / "summary.json").read_text())["updates"] == 4


def test_a_model_says_how_it_was_made(whole, data):
    info = load_info(whole[0] / "model_best")
    assert info.patch == (8, 8, 16)
    assert info.intensities["kind"] == "zscore"
    assert info.class_names == {"0": "background", "1": "organ 1", "2": "organ 2"}
    assert info.provenance["trained_on"] == str(data)
    assert info.provenance["validation"]["dice"] == whole[1].score.best


def test_training_learns_and_the_rate_follows_the_schedule(whole):
    rows = [r for r in metrics.read(whole[0] / metrics.FILE) if "loss" in r]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[0]["learning_rate"] == 0.0
    assert max(r["learning_rate"] for r in rows) == pytest.approx(1e-2)
    assert all(np.isclose(r["loss"], r["dice_loss"] + r["ce"]) for r in rows)


@pytest.mark.parametrize("stop_after", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path, data, whole, stop_after, monkeypatch):
    path = tmp_path / "run"
    run = trainer(path, config(data))

    def stop(done, total, note):
        if done == stop_after:
            signal.raise_signal(signal.SIGINT)

    run.progress = stop
    with pytest.raises(loop.Interrupted, match=f"after {stop_after} of 4"):
        run.run()
    assert not (path / "summary.json").exists()
    result = train(path, config(data))
    assert result.score == whole[1].score
    for name in ("model_best", "model_last"):
        assert_same_weights(path / name, whole[0] / name)
    ours, theirs = ([r for r in metrics.read(p / metrics.FILE)] for p in (path, whole[0]))
    for row in (*ours, *theirs):
        row.pop("updates_per_second", None)
        row.get("validation", {}).pop("seconds", None)
    assert ours == theirs


@pytest.mark.slow
def test_the_last_note_knows_the_last_validation(tmp_path, data):
    run = trainer(tmp_path / "run", config(data, eval_every=4))
    notes = []
    run.progress = lambda done, total, note: notes.append((done, note))
    found = run.run()
    assert "best Dice" not in notes[-2][1]
    assert notes[-1][0] == 4
    assert notes[-1][1].endswith(f"best Dice {found.score.best:.4f}")


@pytest.mark.slow
def test_a_run_that_dies_goes_on_from_its_last_checkpoint(tmp_path, data, whole):
    run = trainer(tmp_path / "run", config(data), RunOptions(log_every=1, checkpoint_every=1))

    def die(done, total, note):
        if done == 3:
            raise MemoryError

    run.progress = die
    with pytest.raises(MemoryError):
        run.run()
    told = []
    again = trainer(tmp_path / "run", config(data))
    again.say = told.append
    again.run()
    assert "going on after update 2" in told
    assert_same_weights(tmp_path / "run/model_last", whole[0] / "model_last")


@pytest.mark.slow
def test_a_damaged_checkpoint_costs_no_more_than_the_updates_since_the_one_before(
    tmp_path, data, whole
):
    path = tmp_path / "run"
    run = trainer(path, config(data), RunOptions(log_every=1, checkpoint_every=1))
    signals = [signal.SIGINT]
    run.progress = lambda done, total, note: (
        done == 4 and signals and signal.raise_signal(signals.pop())
    )
    run.run()  # the last update: a stop has nothing to stop
    (path / "summary.json").unlink()
    for file in (path / "checkpoints/4").rglob("*"):
        if file.is_file() and file.stat().st_size > 1000:
            file.write_bytes(file.read_bytes()[:100])
    train(path, config(data))
    assert_same_weights(path / "model_last", whole[0] / "model_last")


@pytest.mark.slow
def test_another_run_can_begin_with_its_checkpoint(tmp_path, data, whole):
    run = trainer(tmp_path / "run", config(data, max_iterations=6))
    told = []
    run.say = told.append
    run.begin_with(whole[0] / "checkpoints")
    result = run.run()
    assert "going on after update 4" in told
    assert result.updates == 6


@pytest.mark.slow
def test_without_validation_cases_the_last_model_is_the_best(tmp_path, data):
    listed = write_set(tmp_path / "set", validation=0)
    result = train(tmp_path / "run", config(listed))
    assert result.score.best is None
    assert_same_weights(tmp_path / "run/model_best", tmp_path / "run/model_last")


@pytest.mark.slow
def test_a_run_without_gain_stops_early(tmp_path, data):
    result = train(tmp_path / "run", config(data, learning_rate=1e-30, eval_every=1, early_stop=1))
    assert result.updates == 2


@pytest.mark.slow
def test_a_loss_that_is_no_number_is_said_with_its_update_and_its_case(tmp_path):
    listed = write_set(tmp_path / "set", training=2)
    image = np.full((10, 12, 18), 3e38, np.float32)
    image[2:5] = -3e38
    save(listed.parent / "images/training_1.nii.gz", image)
    run = trainer(tmp_path / "run", config(listed, intensity="none"))
    with pytest.raises(InputError, match=r"at update \d in training_1; .*learning_rate"):
        run.run()
    assert not (tmp_path / "run/model_last").exists()


@pytest.mark.slow
def test_an_error_in_a_file_loses_no_update(tmp_path, data):
    listed = write_set(tmp_path / "set", training=3)
    bad = np.zeros((10, 12, 18), np.uint8)
    bad[3, 3, 3] = 7
    save(listed.parent / "labels/training_0.nii.gz", bad)
    run = trainer(tmp_path / "run", config(listed, seed=3))
    with pytest.raises(InputError, match=r"training_0\.nii\.gz"):
        run.run()
    done = [int(p.name) for p in (tmp_path / "run/checkpoints").iterdir()]
    rows = [r["update"] for r in metrics.read(tmp_path / "run" / metrics.FILE)]
    assert done == rows[-1:] == [2]


def test_fine_tuning_takes_what_fits_and_says_what_does_not(tmp_path, data, whole):
    listed = write_set(tmp_path / "set", classes=5)
    run = trainer(tmp_path / "run", config(listed, pretrained_model=str(whole[0] / "model_best")))
    story = " | ".join(run._notes)
    assert "head: 3 to 5 outputs" in story
    assert "random: the head" in story
    assert f"it was trained on {data}" in story
    assert run.plan.kind == "fine_tuning"
    before = weights(whole[0] / "model_best")
    now = weights_of(put_together(run._parts, run._state))
    same = [k for k in before if np.array_equal(before[k], now[k])]
    assert {k.split(".")[0] for k in before if k not in same} == {"head"}


def test_a_folder_is_for_one_run(tmp_path, data, whole):
    with pytest.raises(InputError, match="seed 0, not 1"):
        open_run(whole[0], config(data, seed=1), overwrite=False)
    assert RunFolder(whole[0]).config() == config(data)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        open_run(tmp_path, config(data), overwrite=False)
    with pytest.raises(InputError, match="not empty"):
        open_run(tmp_path, config(data), overwrite=True)


def test_a_path_may_be_written_in_several_ways(tmp_path, data, monkeypatch):
    settings = config(data)
    open_run(tmp_path / "run", settings, overwrite=False)
    monkeypatch.chdir(Path(settings.data).parent)
    for same in (Path(settings.data).name, f"../{Path.cwd().name}/{Path(settings.data).name}"):
        open_run(tmp_path / "run", config(same), overwrite=False)
    with pytest.raises(InputError, match="not other"):
        open_run(tmp_path / "run", config("other.json"), overwrite=False)


def test_what_is_rendered_differs_by_its_fields(tmp_path, data):
    settings = config(data)
    small = dataclasses.replace(SMALL, grid=settings.patch)
    rendered = dataclasses.replace(settings, data=None, generation=small)
    open_run(tmp_path / "run", rendered, overwrite=False)
    other = dataclasses.replace(rendered, generation=dataclasses.replace(small, max_objects=9))
    with pytest.raises(InputError, match=r"options \(what is rendered \(max_objects\)\)"):
        open_run(tmp_path / "run", other, overwrite=False)
    with pytest.raises(InputError, match=r"volumes on the fly[;)]"):
        open_run(tmp_path / "run", config(data), overwrite=False)


def test_overwriting_deletes_the_run_and_nothing_else(tmp_path, data):
    path = tmp_path / "run"
    open_run(path, config(data), overwrite=False)
    (path / "checkpoints/7").mkdir(parents=True)
    (path / "notes.txt").write_text("mine")
    open_run(path, config(data, seed=5), overwrite=True)
    assert {p.name for p in path.iterdir()} == {"config.json", "notes.txt"}
    assert RunFolder(path).config().seed == 5


@pytest.mark.slow
def test_nothing_waits_for_the_device_between_two_lines_of_the_log(tmp_path, data, monkeypatch):
    """Metrics are fetched once for all updates since the last line."""
    fetched = []
    get = jax.device_get

    def counted(tree):
        if isinstance(tree, list):  # of metrics; a model's weights are fetched when it is saved
            fetched.append(len(tree))
        return get(tree)

    monkeypatch.setattr(jax, "device_get", counted)
    settings = config(data, max_iterations=6, eval_every=6)
    train(tmp_path / "run", settings, RunOptions(log_every=3))
    assert fetched == [3, 3]
