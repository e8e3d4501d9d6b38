"""`fdif benchmark`: measurements; what is measured and how is in ``fdif_jax.benchmark``."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from fdif_jax.classification import DataSetConfig
from fdif_jax.cli import limits
from fdif_jax.cli.classification_options import classification_from, classification_options
from fdif_jax.cli.options import (
    SeveralCommand,
    config_from,
    generation_options,
    model_option,
    model_options,
)
from fdif_jax.cli.plan import canonical, worker_count
from fdif_jax.config import PAPER, GenerateConfig
from fdif_jax.errors import InputError, lookup
from fdif_jax.synth.labels import class_table
from fdif_jax.synth.plugins import load_catalog
from fdif_jax.synth.recipes import RECIPES

_as_json = click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")


@click.group("benchmark")
def command() -> None:
    """Measure how fast this machine generates, trains and predicts."""


@command.command("generate", cls=SeveralCommand)
@generation_options
@_as_json
def generate(as_json: bool, **options: Any) -> None:
    """Time `fdif generate` with these options: volumes/s, stages, compile time, memory.

    Writes into a temporary folder, which it removes. The ratio compares with the original PyTorch
    generator at the same number of voxels and objects, estimated from a yardstick that is taken
    on this machine before and after.
    """
    _generate(config_from(options), options, as_json)


@command.command("generate-classification", cls=SeveralCommand)
@classification_options
@_as_json
def generate_classification(as_json: bool, **options: Any) -> None:
    """Time `fdif generate-classification` with these options, as `benchmark generate` does.

    The ratio is to what the original needs for one object in as many voxels.
    """
    _generate(classification_from(options), options, as_json)


def _generate(config: DataSetConfig, options: Mapping[str, Any], as_json: bool) -> None:
    from fdif_jax.benchmark import generating

    catalog, _ = load_catalog(config.plugin)
    config = canonical(config, catalog)
    if isinstance(config, GenerateConfig):
        lookup(RECIPES, config.recipe, kind="recipe")
    class_table(config, catalog, options["seed"] or 0)
    workers = worker_count(options["workers"])
    limits.refuse_too_large(
        config.grid, limits.memory_needed(config, workers), "choose a smaller one."
    )
    report = generating.generate(config, seed=options["seed"] or 0, workers=workers)
    _print(report, generating.lines(report), as_json)


@command.command("train", cls=SeveralCommand)
@click.option("--model_name", required=True, help="Network; `fdif list models` shows them.")
@click.option(
    "--grid_size",
    type=int,
    nargs=3,
    default=(96, 96, 96),
    show_default=True,
    help="Patch.",
)
@click.option("--feature_size", type=int, show_default="16 unetr, 48 swin_unetr", help="Width.")
@model_option
@click.option("--batch_size", type=int, default=1, show_default=True, help="Volumes an update.")
@click.option("--num_crops", type=int, default=4, show_default=True, help="Crops of each volume.")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
@click.option("--use_checkpoint", is_flag=True, help="Recompute blocks, to save memory.")
@click.option("--updates", type=int, default=5, show_default=True, help="Of each of 3 rounds.")
@_as_json
def train(as_json: bool, **options: Any) -> None:
    """Time the updates of `fdif train` on volumes of the paper's kind, rendered on the fly.

    Says how many updates/s the loop makes and how many its compiled step alone; the compile time
    and the peak of memory.
    """
    from fdif_jax.benchmark import training
    from fdif_jax.train.config import RunOptions, TrainConfig
    from fdif_jax.train.plan import make_plan

    patch = options["grid_size"]
    config = TrainConfig(
        model_name=options["model_name"],
        generation=dataclasses.replace(PAPER, grid=patch),
        patch=patch,
        model_options=model_options(options),
        batch_size=options["batch_size"],
        num_crops=options["num_crops"],
        precision=options["precision"],
        remat=options["use_checkpoint"],
        max_iterations=options["updates"],
    )
    make_plan(config, RunOptions())
    report = training.train(config)
    _print(report, training.lines(report), as_json)


@command.command("predict")
@click.option("--model", "folder", type=click.Path(path_type=Path), help="Model folder.")
@click.option("--model_name", help="A network with fresh weights; `fdif list models` shows them.")
@click.option(
    "--grid_size",
    type=int,
    nargs=3,
    default=None,
    show_default="the model's, or 96 96 96",
    help="Patch.",
)
@click.option(
    "--input_size",
    type=int,
    nargs=3,
    default=None,
    show_default="twice the patch",
    help="Of the volume, voxels.",
)
@click.option("--out_channel", type=int, default=14, show_default=True, help="With --model_name.")
@click.option("--overlap", type=float, default=0.25, show_default=True, help="Of windows.")
@click.option("--batch", type=int, show_default="1 on a CPU, else 4", help="Windows at once.")
@click.option("--devices", type=int, default=1, show_default=True, help="Spread batches over.")
@_as_json
def predict(
    folder: Path | None,
    model_name: str | None,
    grid_size: tuple[int, int, int] | None,
    input_size: tuple[int, int, int] | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Time the labelling of one volume: windows/s, seconds a volume, compile time, memory.

    The volume is noise; reading, preparing and writing files is not part of the time.
    """
    from fdif_jax.benchmark import predicting
    from fdif_jax.infer.predictor import check_devices
    from fdif_jax.infer.sliding_window import Windows
    from fdif_jax.model_io import load_info, load_model, refuse_classifier

    if (folder is None) == (model_name is None):
        raise InputError("give either --model or --model_name.")
    patch = grid_size or _patch(folder)
    size = input_size or (2 * patch[0], 2 * patch[1], 2 * patch[2])
    if min(size) < 1:
        raise InputError(f"input_size is {' '.join(map(str, size))}; allowed: 1 or more.")
    batch = options["batch"]
    Windows(patch, options["overlap"], batch=1 if batch is None else batch)
    check_devices(options["devices"])
    if folder is None:
        _check_network(model_name, patch, options["out_channel"])
    else:
        refuse_classifier(folder, load_info(folder), "fdif benchmark predict measures")
        load_model(folder, image_size=patch).check_size(patch)
    task = predicting.PredictTask(
        str(folder or model_name),
        folder is not None,
        patch,
        size,
        options["out_channel"],
        options["overlap"],
        batch,
        options["devices"],
    )
    report = predicting.predict(task)
    _print(report, predicting.lines(report), as_json)


def _patch(folder: Path | None) -> tuple[int, int, int]:
    """The patch of a model folder, or the usual one."""
    from fdif_jax.model_io import load_info

    if folder is None:
        return 96, 96, 96
    patch = load_info(folder).patch
    if patch is None:
        raise InputError(f"{folder} does not say its patch; give --grid_size D H W.")
    return patch


def _check_network(name: str | None, patch: tuple[int, int, int], out_channels: int) -> None:
    """Refuses what cannot be built, before a process is started for it."""
    from fdif_jax.models.registry import abstract_network, model_config

    config = model_config(str(name), image_size=patch, out_channels=out_channels)
    abstract_network(config).check_size(patch)


def _print(report: Any, lines: Sequence[str], as_json: bool) -> None:
    text = [json.dumps(dataclasses.asdict(report))] if as_json else lines
    for line in text:
        click.echo(line)
