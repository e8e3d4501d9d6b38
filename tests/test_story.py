"""scripts/story as a person calls it, with fewer updates."""

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
        ("--seeds --train 5", "--seeds has no value"),
        ("--train many", "'many' is no number"),
        ("--seeds 0 one", "'one' is no number"),
        ("--epochs 5", "unknown option '--epochs'"),
        ("--seeds 0 1 --train 5", "/nowhere/hippocampus/dataset.json is not there"),
    ],
)
def test_mistakes_end_in_one_sentence(words, part):
    script, env = str(ROOT / "scripts/story"), os.environ | {"FDIF_DATA_DIR": "/nowhere"}
    found = subprocess.run(
        [script, *words.split()], env=env, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.count("\n") == 1
    assert part in found.stderr


@pytest.mark.slow
def test_the_whole_way(tmp_path):
    if not (DATA / "hippocampus").is_dir():
        pytest.skip(f"no {DATA / 'hippocampus'}; set FDIF_DATA_DIR")
    words = [
        ROOT / "scripts/story",
        "--out",
        tmp_path / "story",
        "--compare",
        "--pretrain",
        "6",
        "--train",
        "10",
    ]
    found = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-3000:]
    assert found.stdout.splitlines()[-2].split() == ["seed", "fine", "tuning", "from", "scratch"]
    run = tmp_path / "story/seed_0"
    assert len(list((run / "fine_tuning/predictions").glob("*.nii.gz"))) == 40
    assert (run / "fine_tuned.safetensors").is_file()
    assert "loaded" in (run / "fine_tuning/training_log.txt").read_text()
