"""The real program: killed at random moments, and as two processes of one job."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from class_sets import write_folder
from tiny_runs import write_set

from fdif_jax import load_model
from fdif_jax.model_io import weights_of

PROGRAM = [sys.executable, "-c", "from fdif_jax.cli import main; main()"]
OPTIONS = (
    "--model_name primus_s --model_option hidden_size=12 depth=1 heads=1 --grid_size 8 8 16 "
    "--eval_every 4 --checkpoint_every 2 --log_every 3 --seed 3 --quiet"
)
COMMANDS = {"train": "--num_crops 2 --data_json_path", "train-classifier": "--batch_size 2 --data"}

pytestmark = pytest.mark.slow


def start(command, out_dir, *more):
    words = [*command, *OPTIONS.split(), "--out_dir", str(out_dir), *more]
    return subprocess.Popen(
        [*PROGRAM, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(*processes):
    try:
        for process in processes:
            _, err = process.communicate(timeout=120)
            assert process.returncode == 0, err[-2000:]
    finally:
        for process in processes:
            process.kill()


def weights(out_dir):
    return {k: np.asarray(v) for k, v in weights_of(load_model(out_dir / "model_last")).items()}


def checkpoints(out_dir):
    return {p.name for p in Path(out_dir).glob("checkpoints/*") if p.name.isdigit()}


@pytest.fixture(scope="module", params=list(COMMANDS))
def command(request, tmp_path_factory):
    write = write_set if request.param == "train" else write_folder
    data = write(tmp_path_factory.mktemp("set"))
    return [request.param, *COMMANDS[request.param].split(), str(data)]


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path, command, seed):
    """A run of 40 updates, killed four times; what is left is whole, and the end is the same."""
    finish(start(command, tmp_path / "whole", "--max_iterations", 40))
    rng = np.random.default_rng(seed)
    killed = 0
    for goal in sorted(rng.integers(1, 36, 4)):
        process = start(command, tmp_path / "run", "--max_iterations", 40)
        while process.poll() is None:
            if max(map(int, checkpoints(tmp_path / "run")), default=0) >= goal:
                break
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.communicate()
        killed += not (tmp_path / "run/summary.json").exists()
    assert killed >= 2
    finish(start(command, tmp_path / "run", "--max_iterations", 40))
    ours, theirs = weights(tmp_path / "run"), weights(tmp_path / "whole")
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_two_processes_train_as_one(tmp_path, command):
    """Joined by jax.distributed over loopback."""
    finish(start(command, tmp_path / "one", "--max_iterations", 6))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = ["--max_iterations", 6, "--coordinator", f"127.0.0.1:{port}", "--num_processes", 2]
    finish(*(start(command, tmp_path / "two", *job, "--process_id", i) for i in (0, 1)))
    ours, theirs = weights(tmp_path / "two"), weights(tmp_path / "one")
    apart = max(float(abs(ours[name] - theirs[name]).max()) for name in theirs)
    assert apart < 1e-5
    assert (tmp_path / "two/model_best/config.json").exists()
