"""Works a guide through: its commands and its Python, top to bottom, in one folder, small."""

import importlib.machinery
import importlib.util
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import NamedTuple

import nnunet_plans
import numpy as np
import tiny_runs
from click.testing import CliRunner
from fdif_jax.models.registry import build
from flax import nnx
from pages import ROOT, printed, shell_lines

from fdif_jax.cli import cli
from fdif_jax.cli.train import command as train_command
from fdif_jax.cli.train import configs
from fdif_jax.model_io import ModelInfo, save_model
from fdif_jax.train.plan import make_plan

ONCE = (
    "--max_iterations 1 --eval_every 1 --eval_max_cases 1 --num_crops 1 --no_augment "
    "--cache_dir cache --quiet"
)
NETWORK = "--model_name primus_s --model_option hidden_size=12 depth=1 heads=1 --grid_size 8 8 16"
PRIMUS = f"{NETWORK} {ONCE}"
SWIN = "--feature_size 12 --model_option depths=[1,1,1,1] --grid_size 32 32 64"
RENDERED = "--D 16 --H 16 --W 16 --num_samples 2 --min_objects 1 --max_objects 2"
FEW = "--D 16 --H 16 --W 16 --samples_per_class 1"
BENCHMARK = f"{NETWORK} --updates 1"
PLANS = nnunet_plans.plans(
    patch=(8, 8, 16),
    n_stages=2,
    features_per_stage=[4, 8],
    kernel_sizes=[[3, 3, 3]] * 2,
    strides=[[1, 1, 1], [2, 2, 2]],
    n_blocks_per_stage=[1, 1],
    n_conv_per_stage_decoder=[1],
)
CT = {"kind": "ct"}
ELSEWHERE = ("scripts/quickstart", "source ", "export ")
"""Run by hand, and what comes of it given by ``provide``."""
_OF_PYTORCH = re.compile(r"\b(monai|torch)\b")


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    text: str


def fenced(page: str) -> list[Block]:
    """In their order."""
    return [Block(*found) for found in re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL)]


def provide(page: str) -> None:
    """What a reader has before the page begins: images, lists, plans, other tools' files."""
    for root in ("BTCV", "my_images", "outputs/Task04_Hippocampus"):
        tiny_runs.write_set(Path(root), training=4, validation=1)
    for root in ("images", "new_images"):
        tiny_runs.save(Path(root, "a.nii.gz"), tiny_runs.volume(np.random.default_rng(0))[0])
    Path("my_images/dataset.json").unlink()
    nnunet = Path("nnUNet_raw/Dataset004_Hippocampus")
    for i in range(3):
        image, label = tiny_runs.volume(np.random.default_rng(i))
        tiny_runs.save(nnunet / f"imagesTr/case_{i}_0000.nii.gz", image)
        tiny_runs.save(nnunet / f"labelsTr/case_{i}.nii.gz", label)
    record = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "anterior": 1, "posterior": 2},
        "numTraining": 3,
        "file_ending": ".nii.gz",
    }
    (nnunet / "dataset.json").write_text(json.dumps(record))
    planned = Path("nnUNet_preprocessed/Dataset004_Hippocampus/nnUNetResEncUNetLPlans.json")
    planned.parent.mkdir(parents=True)
    planned.write_text(json.dumps(PLANS))
    shutil.copy(planned, planned.name)
    if "outputs/quickstart" in page:
        _fdif(f"generate --preset paper {RENDERED} --out_dir outputs/quickstart --quiet".split())


def work_through(page: str, *, pytorch: bool) -> list[str]:
    """Runs all of a page; returns the lines that need PyTorch and were passed over.

    Args:
      page: its text.
      pytorch: whether PyTorch is there. Then a network of the size that the page says, with random
        weights, stands for a trained one: other tools know no smaller ones.
    """
    provide(page)
    left: list[str] = []
    python: list[str] = []
    for block in fenced(page):
        if block.language == "python" and "catalog = " in block.text:
            Path("my_shapes.py").write_text(block.text)
        elif block.language == "python" and (pytorch or not _OF_PYTORCH.search(block.text)):
            python.append(block.text)  # a block goes on where those before it ended
            printed("\n".join(python))
        elif block.language in ("bash", "sh"):
            for line in shell_lines(block.text):
                if ".pth" in line and not pytorch:
                    left.append(line)
                    if line.startswith("fdif import"):
                        words = shlex.split(line)
                        kind = words[3:5] if words[3] == "--plans" else NETWORK.split()
                        planned(kind, Path(words[-1]), intensities={})
                else:
                    run_line(line, pytorch=pytorch)
    return left


def run_line(line: str, *, pytorch: bool) -> None:
    """One line of a shell block, small."""
    words = shlex.split(line.replace("$SLURM_ARRAY_TASK_ID", "0"))
    if line.startswith(ELSEWHERE) or "--coordinator" in words or "--distributed" in words:
        return
    if words[0] == "scripts/make_datalist":
        script = _script(ROOT / words[0])
        result = CliRunner().invoke(script.main, words[1:])
        assert result.exit_code == 0, result.output
    elif words[:2] == ["fdif", "train"] and (pytorch or is_recognised(words)):
        out = Path(words[words.index("--out_dir") + 1])
        planned([*words[2:], *([] if pytorch else SWIN.split())], out / "model_best")
    else:
        assert words[0] == "fdif", line
        if words[1] == "import" and not Path(words[2]).exists():
            shutil.copy("pretrained.pth", words[2])
        _fdif([*words[1:], *smaller(words)])
    for path in _written(words):
        assert path.exists(), f"{line} left no {path}"


def is_recognised(words: list[str]) -> bool:
    """Whether another tool's file is made of the network, so that no other will do."""
    return "swin_unetr" in words and "--batch_size" not in words


def smaller(words: list[str]) -> list[str]:
    """Options that make a command small; a later value replaces an earlier one."""
    what = words[1]
    if what == "train":
        if "--plans" in words:
            return ONCE.split()
        return PRIMUS.split()
    if what == "generate":
        return [
            *RENDERED.split(),
            *(["--num_val_samples", "1"] if "--num_val_samples" in words else []),
        ]
    return {
        "generate-classification": FEW.split(),
        "visualize": ["--grid", "16"],
        "benchmark": BENCHMARK.split(),
    }.get(what, [])


def planned(words: list[str], folder: Path, intensities: dict = CT) -> None:
    """Saves the network that the options would train, with random weights."""
    if not {"--data_json_path", "--on_the_fly"} & set(words):
        words = ["--on_the_fly", *words]
    with train_command.make_context("train", words) as context:
        plan = make_plan(*configs(context.params))
    network = build(plan.network, rngs=nnx.Rngs(0))
    save_model(folder, network, ModelInfo(plan.network, plan.config.patch, intensities))


def _fdif(words: list[str]) -> None:
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, f"fdif {shlex.join(words)}: {result.output}"


def _written(words: list[str]) -> list[Path]:
    options = ("--out_dir", "--output_dir", "--out")
    return [Path(words[words.index(option) + 1]) for option in options if option in words]


def _script(path: Path):
    loader = importlib.machinery.SourceFileLoader(path.name, str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(path.name, loader))
    loader.exec_module(module)
    return module
