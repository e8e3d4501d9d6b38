"""The commands of README.md and docs/ that train, predict and evaluate.

The fast tier parses each training command and plans it, at the size that the page says; the slow
tier trains it, for one update of a tiny network. Predictions and scores are made in both.
"""

import functools
import itertools
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import tiny_runs as t
from click.testing import CliRunner
from fdif_jax.models import create_model
from fdif_jax.models.registry import abstract_network
from flax import nnx
from pages import OTHERS, TRAINING, blocks, commands, is_of_classes, is_of_training, printed

from fdif_jax.cli import cli
from fdif_jax.cli.train import command as train_command
from fdif_jax.cli.train import configs
from fdif_jax.config import GenerateConfig
from fdif_jax.interop import export_file
from fdif_jax.model_io import ModelInfo, save_model
from fdif_jax.train.plan import make_plan
from fdif_jax.train.start_run import describe

TASKS = {"shape": 4, "displacement": 4, "mapper": 3}
TINY = shlex.split(
    "--model_name primus_s --model_option hidden_size=12 depth=1 heads=1 --grid_size 8 8 16 "
    "--max_iterations 1 --eval_every 1 --eval_max_cases 1 --no_augment --cache_dir cache --quiet"
)
# What a data set of each folder declares: modality, classes with the background, channels.
DATA = {
    "pretraining_data": ("SDF", 110, 1),
    "multi_task_dataset": ("SDF", 4, 1),
    "BTCV": ("CT", 14, 1),
    "Prostate": ("MR", 3, 2),
    "hippocampus": ("MRI", 3, 1),
}
LINES = [
    line for line in commands(*OTHERS.values()) if is_of_training(line) and not is_of_classes(line)
]
ROWS = re.findall(r"^\| `(--[^`]*)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", TRAINING, re.MULTILINE)
TRAINED = [line for line in LINES if line.startswith("fdif train")]
USED = [line for line in LINES if not line.startswith("fdif train")]
# Those that differ from another row in their number of updates only are one run here.
ROWS_TRAINED = [f"fdif train {row[0]}" for row in ROWS if "--max_iterations" not in row[0]]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def values(line: str) -> dict[str, str]:
    """The first value of each option."""
    words = shlex.split(line)
    return {a: b for a, b in itertools.pairwise(words) if a.startswith("--")}


def provide(line: str) -> None:
    """What the command reads: data sets, a configuration, a pre-trained network, another run."""
    given = values(line)
    for option in ("--data_json_path", "--input", "--reference"):
        if option in given:
            provide_data(Path(given[option]), "--multi_task" in line)
    if file := given.get("--generation_config"):
        config = GenerateConfig(multi_task=True, displacement_functions=("ridge",))
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(json.dumps({"config": config.to_json()}))
    if path := given.get("--pretrained_model") or given.get("--model"):
        outputs = int(given.get("--pretraining_out_channel", 14))
        model = create_model(
            "primus_s", image_size=t.PATCH, out_channels=outputs, rngs=nnx.Rngs(0), **t.TINY
        )
        if path.endswith(".safetensors"):
            export_file(model, Path(path), to="safetensors")
        else:
            info = ModelInfo(model.config, t.PATCH, {"kind": "ct"})
            save_model(Path(path).with_suffix(""), model, info)


def provide_data(path: Path, multi_task: bool) -> None:
    if path.suffix != ".json":
        t.save(path / "image.nii.gz", t.volume(np.random.default_rng(0))[0])
        return
    name = next((name for name in DATA if name in path.parts), "BTCV")
    modality, classes, channels = DATA[name]
    tasks = TASKS if multi_task else None
    written = t.write_set(
        path.parent, training=2, validation=1, modality=modality, classes=classes, tasks=tasks
    )
    record = json.loads(written.read_text())
    if channels > 1:
        record["modality"] = {str(i): modality for i in range(channels)}
        for entry in (*record["training"], *record["validation"]):
            entry["image"] = [entry["image"]] * channels
    path.write_text(json.dumps(record))


@functools.cache
def takes(network, size) -> None:
    abstract_network(network).check_size(size)


def planned(line: str):
    with train_command.make_context("train", shlex.split(line)[2:]) as context:
        plan = make_plan(*configs(context.params))
    takes(plan.network, plan.config.patch)
    return plan


@pytest.mark.parametrize("line", TRAINED)
def test_training_command_is_planned(line):
    provide(line)
    planned(line)


@pytest.mark.parametrize(("args", "kind", "outputs", "updates"), ROWS)
def test_original_command_gives_what_the_table_says(args, kind, outputs, updates):
    line = f"fdif train {args}"
    provide(line)
    first, _, third, *_ = describe(planned(line), Path("run"), 1)
    name = values(line)["--model_name"]
    assert first == f"{kind}: {name}, {outputs} outputs, into run"
    assert third.startswith(f"{updates} updates of ")


@pytest.mark.parametrize("line", USED)
def test_predictions_and_scores(line):
    provide(line)
    given = values(line)
    if "--prediction" in given:
        name = "validation_0.nii.gz"
        (labels,) = Path().rglob(f"labels/{name}")
        folder = Path(given["--prediction"])
        folder.mkdir(parents=True)
        (folder / name).write_bytes(labels.read_bytes())
    result = CliRunner().invoke(cli, shlex.split(line)[1:])
    assert result.exit_code == 0, result.output
    assert any(path.is_file() for path in Path(given["--out_dir"]).iterdir())


def tiny(line: str) -> list[str]:
    """The command with another network, for one update; a later value replaces an earlier one."""
    line = re.sub(r" --(feature_size|model_option) \S+", "", line)
    return [*shlex.split(line)[1:], *TINY]


@pytest.mark.slow
@pytest.mark.parametrize("line", [*TRAINED, *ROWS_TRAINED])
def test_training_command_trains(line):
    if "--distributed" in line or "--coordinator" in line:
        pytest.skip("needs the other processes of its job")
    provide(line)
    words = tiny(line)
    if earlier := values(line).get("--resume_from_checkpoint"):
        start = line.replace(f"--resume_from_checkpoint {earlier}", "")
        assert CliRunner().invoke(cli, [*tiny(start), "--out_dir", earlier]).exit_code == 0
        words += ["--max_iterations", "2"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    runs = {path.parent for path in Path().rglob("summary.json")} - {Path(earlier or "")}
    assert len(runs) == 1
    assert (runs.pop() / "model_last/config.json").is_file()


@pytest.mark.slow
def test_python_of_the_page_runs():
    lines = printed("\n".join(blocks("python", TRAINING)))
    assert lines[0].startswith("10 updates done")
    assert lines[-1] == "(40, 36, 50)"


def test_the_page_has_commands_and_rows():
    assert len(TRAINED) >= 8
    assert len(USED) >= 3
    assert len(ROWS) == 7
