"""The tables of docs/reference/formats.md name the keys of files that fdif writes."""

import csv
import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from pages import PAGES

from fdif_jax.cli import cli

SMALL = "--D 16 --H 16 --W 16 --seed 0 --quiet"
TINY = (
    "--model_name primus_s --model_option hidden_size=12 depth=1 heads=1 --grid_size 16 16 16 "
    "--max_iterations 1 --eval_every 1 --log_every 1 --quiet"
)
TASKS = "--multi_task --displacement_functions ridge --primitives sphere cone"
UNIONS = "--num_combined_unions 1 --save_scenes"
COMMANDS = f"""
generate {SMALL} --num_samples 1 --num_val_samples 1 {UNIONS} --out_dir set
generate {SMALL} --num_samples 1 {TASKS} --save_scenes --out_dir tasks
generate {SMALL} --num_samples 1 {TASKS} --nnunet_format --out_dir nnunet
generate-classification {SMALL} --samples_per_class 1 --n_splits 2 --out_dir cls_set
train {TINY} --data_json_path set/data/data.json --out_dir run
train-classifier {TINY} --data cls_set --out_dir cls_run
predict --model run/model_best --input set/data/data.json --out_dir predictions --quiet
predict --model cls_run/model_best --input cls_set --out_dir cls_predictions --quiet
evaluate --prediction predictions --reference set/data/data.json --out_dir scores
evaluate --prediction cls_predictions --reference cls_set --out_dir cls_scores
"""


def documented() -> dict[str, set[str]]:
    """Heading to the keys in the tables below it."""
    found: dict[str, set[str]] = {}
    for part in re.split(r"^##+ ", PAGES["docs/reference/formats.md"], flags=re.MULTILINE):
        for table in re.findall(r"^\| key \|.*\n(?:\|.*\n)+", part, re.MULTILINE):
            first = "\n".join(line.split("|")[1] for line in table.splitlines()[2:])
            found.setdefault(part.splitlines()[0], set()).update(re.findall("`([^`]+)`", first))
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, set[str]]:
    """The same headings, with the keys of files."""
    place = tmp_path_factory.mktemp("formats")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for line in COMMANDS.strip().splitlines():
            result = CliRunner().invoke(cli, shlex.split(line))
            assert result.exit_code == 0, f"{line}: {result.output}"
        return keys_of_files()


def keys_of_files() -> dict[str, set[str]]:
    scenes = [json.loads(path.read_text()) for path in Path().rglob("scene/**/*.json")]
    lines = [
        json.loads(row) for path in _all("metrics.jsonl") for row in path.read_text().splitlines()
    ]
    predictions = {re.sub("=.*", "=NAME", key) for key in header("cls_predictions/predictions.csv")}
    return {
        "data.json": keys("set/data/data.json", "tasks/data/data.json"),
        "dataset.json": keys(*_all("nnunet/**/dataset.json")),
        "Classification sets": set(json.loads(Path("cls_set/splits_final.json").read_text())[0]),
        "generation.json": keys(*_all("generation.json")),
        "Scenes": {key for scene in scenes for key in scene},
        "Objects": {key for scene in scenes for thing in scene["objects"] for key in thing},
        "Model folders": keys("run/model_best/config.json", "cls_run/model_best/config.json"),
        "config.json": keys("run/config.json", "cls_run/config.json"),
        "metrics.jsonl": {k for line in lines for k in {**line, **line.pop("validation", {})}}
        - {"validation"},
        "summary.json": keys("run/summary.json", "cls_run/summary.json"),
        "Predictions": predictions,
        "scores.csv": header("scores/scores.csv"),
        "scores.json": keys("scores/scores.json"),
        "scores.csv of classifiers": header("cls_scores/scores.csv"),
        "scores.json of classifiers": keys("cls_scores/scores.json"),
    }


def _all(pattern: str) -> list[Path]:
    return sorted(Path().rglob(pattern))


def keys(*paths: Path | str) -> set[str]:
    assert paths
    return {key for path in paths for key in json.loads(Path(path).read_text())}


def header(path: str) -> set[str]:
    with Path(path).open() as file:
        return set(next(csv.reader(file)))


@pytest.mark.slow
@pytest.mark.parametrize("heading", documented())
def test_keys_are_those_of_files(written, heading):
    assert documented()[heading] == written[heading]


@pytest.mark.slow
def test_every_kind_of_file_is_documented(written):
    assert set(documented()) == set(written)
