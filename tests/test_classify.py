"""scripts/classify as a person calls it, with fewer volumes and updates."""

import pytest
from runs_of_scripts import assert_refused, run
from tiny_volumes import real


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
    assert_refused("classify", words, part)


@pytest.mark.slow
def test_the_whole_way(tmp_path):
    real("adrenal")
    few = "--shapes 4 --pretrain 5 --updates 1 --fine 1 --seeds 0"
    words = ["--out", tmp_path / "out", *few.split()]
    found = run("classify", *words)
    assert found.returncode == 0, found.stderr[-3000:]
    rows = [line.split()[:2] for line in found.stdout.splitlines()[-6:]]
    starts = ["scratch", "segmentation", "classification"]
    assert rows == [[f"{size}^3", start] for size in (28, 64) for start in starts]
    log = tmp_path / "out/adrenal_28/segmentation/seed_0/training_log.txt"
    assert "the encoder of its primus" in log.read_text()
    again = run("classify", *words)
    assert "==" not in again.stdout, "what is there is not done again"
