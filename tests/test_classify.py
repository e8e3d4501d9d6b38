"""scripts/classify as a person calls it, with fewer volumes and updates."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("FDIF_DATA_DIR", ROOT.parent / "shared/data"))


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("--out", "--out has no value"),
        ("--updates many", "'many' is no number"),
        ("--epochs 5", "unknown option '--epochs'"),
        ("--seeds 0 1 --fine 5", "/nowhere/adrenal/adrenalmnist3d_28.npz is not there"),
    ],
)
def test_mistakes_end_in_one_sentence(words, part):
    script, env = str(ROOT / "scripts/classify"), os.environ | {"FDIF_DATA_DIR": "/nowhere"}
    found = subprocess.run(
        [script, *words.split()], env=env, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.count("\n") == 1
    assert part in found.stderr


@pytest.mark.slow
def test_the_whole_way(tmp_path):
    if not (DATA / "adrenal").is_dir():
        pytest.skip(f"no {DATA / 'adrenal'}; set FDIF_DATA_DIR")
    words = ["--shapes", "4", "--pretrain", "5", "--updates", "1", "--fine", "1", "--seeds", "0"]
    script = [str(ROOT / "scripts/classify"), "--out", str(tmp_path / "out"), *words]
    found = subprocess.run(script, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-3000:]
    rows = [line.split()[:2] for line in found.stdout.splitlines()[-6:]]
    starts = ["scratch", "segmentation", "classification"]
    assert rows == [[f"{size}^3", start] for size in (28, 64) for start in starts]
    log = tmp_path / "out/adrenal_28/segmentation/seed_0/training_log.txt"
    assert "the encoder of its primus" in log.read_text()
    again = subprocess.run(script, capture_output=True, text=True, check=False)
    assert "==" not in again.stdout, "what is there is not done again"
