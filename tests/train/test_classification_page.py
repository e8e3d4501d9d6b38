"""The commands of README.md and docs/ that train, predict and score classes.

The fast tier plans each training command at the size that the page says; the slow tier runs all of
them, in the order of the page, on volumes of 16^3 and for one update of a tiny network.
"""

import shlex
from pathlib import Path

import pytest
from class_sets import write_folder
from click.testing import CliRunner
from pages import OTHERS, commands, is_of_classes

from fdif_jax.cli import cli
from fdif_jax.cli.train_classifier import command, config_from
from fdif_jax.cli.training import run_options
from fdif_jax.train.jobs import plan_of

TINY = shlex.split(
    "--model_name primus_s --model_option hidden_size=12 depth=1 heads=1 --grid_size 16 16 16 "
    "--batch_size 2 --max_iterations 1"
)
LEFT = ("model_best/config.json", "predictions.csv", "scores.json")
"""What a command leaves in its --out_dir: to train, to predict, to score."""
FEW = shlex.split("--D 16 --H 16 --W 16 --samples_per_class 2 --n_splits 2")


def lines(page: str) -> list[str]:
    return [line for line in commands(OTHERS[page]) if is_of_classes(line)]


WITH_CLASSES = [page for page in OTHERS if lines(page)]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", WITH_CLASSES)
def test_training_commands_are_planned(page):
    write_folder(Path("cls_dataset"))
    for line in lines(page):
        if not line.startswith("fdif train-classifier"):
            continue
        with command.make_context("train-classifier", shlex.split(line)[2:]) as context:
            plan = plan_of(config_from(context.params), run_options(context.params))
        assert plan.network.out_channels == 2


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CLASSES)
def test_the_page_works_from_top_to_bottom(page):
    made = ["generate-classification", "--out_dir", "cls_dataset", *FEW]
    for words in (made, *(shlex.split(line)[1:] for line in lines(page))):
        more = TINY if words[0] == "train-classifier" else []
        result = CliRunner().invoke(cli, [*words, *more, "--quiet"])
        assert result.exit_code == 0, result.output
    for line in lines(page):
        out = Path(line.split("--out_dir ")[1].split()[0])
        assert any((out / name).is_file() for name in LEFT), line


def test_the_pages_have_commands():
    for page in ("README.md", "docs/classification.md"):
        named = {line.split()[1] for line in lines(page)}
        assert named == {"train-classifier", "predict", "evaluate"}
