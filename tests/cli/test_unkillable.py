"""The real program, killed and stopped: the same bytes as one run, one sentence, no half file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

PROGRAM = [sys.executable, "-c", "from fdif_jax.cli import main; main()", "generate"]
OPTIONS = (
    "--D 24 --H 20 --W 16 --num_samples 60 --num_val_samples 6 --min_objects 4 --max_objects 8 "
    "--num_classes 20 --displacement_functions ridge --displacement_as_augmentation "
    "--seed 11 --save_scenes"
)


def start(out_dir, *args, hash_seed="0"):
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [*PROGRAM, *OPTIONS.split(), "--out_dir", str(out_dir), *args]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )


def run(out_dir, *args, hash_seed="0"):
    process = start(out_dir, *args, hash_seed=hash_seed)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def files(out_dir):
    root = Path(out_dir)
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in root.rglob("*")
        if p.is_file() and not p.name.startswith("generation_log")
    }


def samples(out_dir):
    return len(list(Path(out_dir).rglob("*_y.nii.gz")))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One undisturbed run."""
    out_dir = tmp_path_factory.mktemp("whole") / "d"
    code, _, err = run(out_dir, "--workers", "2")
    assert code == 0, err
    return files(out_dir)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_sigkill_at_random_moments(tmp_path, whole, seed):
    rng = np.random.default_rng(seed)
    for goal in sorted(rng.integers(0, 50, 4)):
        process = start(tmp_path / "d")
        while samples(tmp_path / "d") <= goal and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.communicate()
        assert not (tmp_path / "d/data/data.json").exists()
    assert 0 < samples(tmp_path / "d") < 66
    code, _, err = run(tmp_path / "d")
    assert code == 0, err
    assert files(tmp_path / "d") == whole


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "4"])
def test_workers_and_hash_seeds_change_nothing(tmp_path, whole, workers):
    code, _, err = run(tmp_path / "d", "--workers", workers, hash_seed=workers)
    assert code == 0, err
    assert files(tmp_path / "d") == whole


@pytest.mark.slow
def test_three_shards_at_once(tmp_path, whole):
    processes = [start(tmp_path / "d", "--shard", f"{i}/3", hash_seed=str(i)) for i in range(3)]
    for process in processes:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    assert files(tmp_path / "d") == whole


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_stop_ends_in_one_sentence(tmp_path, whole, stop):
    process = start(tmp_path / "d", "--quiet")
    while samples(tmp_path / "d") < 3:
        time.sleep(0.01)
    process.send_signal(stop)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.count("\n") == 1
    done = samples(tmp_path / "d")
    assert f"Error: interrupted; {done} of 66 samples are complete" in err
    assert 0 < done < 66
    assert not [name for name in files(tmp_path / "d") if name.endswith(".tmp")]
    assert run(tmp_path / "d")[0] == 0
    assert files(tmp_path / "d") == whole


@pytest.mark.slow
def test_a_full_disk_ends_in_one_sentence(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    prefix = [] if mounted else ["bash", "-c", 'ulimit -f 1; exec "$@"', "bash"]
    try:
        command = [*prefix, *PROGRAM, *OPTIONS.split(), "--out_dir", str(place / "d"), "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 2
        last = done.stderr.splitlines()[-1]
        assert "No space left on device" in last or "File too large" in last
        assert "of 66 samples are complete" in last
        assert "Traceback" not in done.stderr
        assert not [name for name in files(place) if name.endswith((".tmp", "data.json"))]
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)
