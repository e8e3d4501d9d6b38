"""scripts/story as a person calls it, with fewer updates."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("FDIF_DATA_DIR", ROOT.parent / "shared/data"))


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
