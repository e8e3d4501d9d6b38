"""scripts/story as a person calls it, with fewer updates."""

import pytest
from runs_of_scripts import assert_refused, run
from tiny_volumes import real


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
    assert_refused("story", words, part)


@pytest.mark.slow
def test_the_whole_way(tmp_path):
    real("hippocampus")
    words = ["--out", tmp_path / "story", "--compare", "--pretrain", "6", "--train", "10"]
    found = run("story", *words)
    assert found.returncode == 0, found.stderr[-3000:]
    assert found.stdout.splitlines()[-2].split() == ["seed", "fine", "tuning", "from", "scratch"]
    seed = tmp_path / "story/seed_0"
    assert len(list((seed / "fine_tuning/predictions").glob("*.nii.gz"))) == 40
    assert (seed / "fine_tuned.safetensors").is_file()
    assert "loaded" in (seed / "fine_tuning/training_log.txt").read_text()
