"""`fdif train`: pre-train on synthetic volumes, fine-tune on real images."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from fdif_jax.cli.options import (
    Several,
    SeveralCommand,
    model_option,
    model_options,
    spacing_from,
)
from fdif_jax.cli.progress import Bar
from fdif_jax.compilation import keep_programs
from fdif_jax.config import PRESETS, GenerateConfig
from fdif_jax.errors import FdifError, InputError
from fdif_jax.train.class_config import RunConfig
from fdif_jax.train.config import DEFAULT_PATCH, DEFAULT_SPACING, RunOptions, TrainConfig
from fdif_jax.train.recipes import RECIPES

_INTENSITIES = ("auto", "ct", "zscore", "percentile", "none")


@click.command("train", cls=SeveralCommand)
@click.option("--data_json_path", help="Decathlon list or nnU-Net dataset.json to train on.")
@click.option("--on_the_fly", is_flag=True, help="Render every training volume anew; no files.")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="What to render on the fly: that of `fdif generate`; small where nothing is given.",
)
@click.option(
    "--generation_config",
    type=click.Path(path_type=Path),
    help="What to render on the fly: a generation.json, or its config alone.",
)
@click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    help="Settings known to work, which options override; docs/training.md says what they reach.",
)
@click.option("--model_name", help="Network; `fdif list models` shows them.")
@click.option(
    "--out_channel",
    type=int,
    show_default="as the data say, else 14",
    help="Classes and background.",
)
@click.option("--in_channels", type=int, default=1, show_default=True, help="Channels of an image.")
@click.option(
    "--grid_size",
    type=int,
    nargs=3,
    metavar="D H W",
    show_default="96 96 96, or what is rendered",
    help="Patch: voxels per axis.",
)
@click.option("--feature_size", type=int, show_default="16 unetr, 48 swin_unetr", help="Its width.")
@model_option
@click.option("--batch_size", type=int, default=1, show_default=True, help="Volumes in a batch.")
@click.option("--num_crops", type=int, default=4, show_default=True, help="Crops of each volume.")
@click.option(
    "--gradient_accumulation_steps",
    type=int,
    default=1,
    show_default=True,
    help="Batches that one update is the mean of.",
)
@click.option(
    "--max_iterations", type=int, default=30000, show_default=True, help="Updates in all."
)
@click.option("--learning_rate", type=float, default=1e-4, show_default=True, help="Its maximum.")
@click.option("--use_ce_loss", is_flag=True, help="Cross-entropy instead of Dice + cross-entropy.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    default="fp32",
    show_default=True,
    help="Of the network's products; weights are fp32.",
)
@click.option("--use_checkpoint", is_flag=True, help="Recompute blocks, to save memory.")
@click.option("--multi_task", is_flag=True, help="A head for each task of the data.")
@click.option("--pretrained_model", help="Start from a model folder, or a file of MONAI, ….")
@click.option("--pretraining_in_channels", type=int, help="Checked against --pretrained_model.")
@click.option("--pretraining_out_channel", type=int, help="Checked against --pretrained_model.")
@click.option(
    "--is_real_data", is_flag=True, help="Resample to --spacing, and cache the prepared volumes."
)
@click.option(
    "--spacing",
    cls=Several,
    multiple=True,
    metavar="MM MM MM|native",
    show_default="1.5 1.5 2.0",
    help="With --is_real_data; `native` keeps each volume's own.",
)
@click.option(
    "--intensity",
    type=click.Choice(_INTENSITIES),
    default="auto",
    show_default=True,
    help="Scaling: the CT window [-175, 250], z-score, percentiles; auto: by the modality.",
)
@click.option("--no_augment", is_flag=True, help="No flips, turns and intensity shifts.")
@click.option(
    "--eval_every", type=int, default=500, show_default=True, help="Updates between validations."
)
@click.option(
    "--eval_max_cases", type=int, show_default="all; 20 on the fly", help="Cases to validate with."
)
@click.option(
    "--freeze_encoder",
    type=int,
    default=0,
    show_default=True,
    help="For so many updates at the start only the decoder learns.",
)
@click.option(
    "--early_stop",
    type=int,
    default=0,
    show_default="never",
    help="Stop after so many validations without a better Dice.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@click.option(
    "--out_dir",
    type=click.Path(path_type=Path),
    show_default="training_output/<model>/<kind>/<time>",
    help="Run folder; an unfinished run of the same options is continued.",
)
@click.option("--overwrite", is_flag=True, help="Delete the run in out_dir first.")
@click.option(
    "--resume_from_checkpoint",
    type=click.Path(path_type=Path),
    help="Begin with the newest checkpoint of another run folder.",
)
@click.option(
    "--checkpoint_every", type=int, show_default="eval_every", help="Updates between checkpoints."
)
@click.option(
    "--log_every", type=int, default=20, show_default=True, help="Updates between lines of the log."
)
@click.option("--tensorboard", is_flag=True, help="Also write a TensorBoard log.")
@click.option(
    "--cache_dir",
    show_default="the user's cache folder",
    help="Folder for prepared volumes; `none` prepares them again and again.",
)
@click.option("--devices", type=int, show_default="all", help="Devices that share each batch.")
@click.option("--distributed", is_flag=True, help="Join the processes of a cluster job.")
@click.option("--coordinator", metavar="HOST:PORT", help="Of process 0, where no cluster says it.")
@click.option("--num_processes", type=int, help="Processes of the job.")
@click.option("--process_id", type=int, help="Number of this one, from 0.")
@click.option("--profile", help="Folder for a trace of updates 11 to 20.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
def command(**options: Any) -> None:
    """Train a network: on synthetic volumes, or fine-tune it on real images.

    A run that is stopped, by whatever, goes on from its last checkpoint when the same command,
    with its --out_dir, is given again.
    """
    config, run = configs(with_recipe(options))
    run_training(config, run, options)


def run_training(config: RunConfig, run: RunOptions, options: dict[str, Any]) -> None:
    """Trains, as one of a job's processes where the options say so.

    Args:
      config: what defines the run.
      run: how it is carried out.
      options: of the command line: the job's, ``quiet``, and what is about the run folder.
    """
    keep_programs()
    _join(options)
    try:
        _train(config, run, options)
    except FdifError as error:
        _leave_the_job(error)
        raise


def _train(config: RunConfig, run: RunOptions, options: dict[str, Any]) -> None:
    from fdif_jax.train.start_run import start_run

    say = (lambda line: None) if options["quiet"] else click.echo
    with Bar(unit="update", quiet=options["quiet"]) as bar:
        for line in start_run(
            config,
            run,
            out_dir=options["out_dir"],
            overwrite=options["overwrite"],
            resume_from=options["resume_from_checkpoint"],
            say=say,
            progress=bar,
        ):
            say(line)


def _leave_the_job(error: FdifError) -> None:
    """Ends a process of several at once: a regular exit would wait for the others to end too."""
    import jax

    if jax.process_count() > 1:
        click.echo(f"Error: {error}", err=True)
        os._exit(2)


def with_recipe(options: dict[str, Any]) -> dict[str, Any]:
    """The options, with those of ``--recipe`` where the command line does not give its own.

    Raises:
      InputError: neither names a network.
    """
    context = click.get_current_context()
    recipe = RECIPES[options["recipe"]] if options["recipe"] else {}
    own = {
        name: value
        for name, value in recipe.items()
        if context.get_parameter_source(name) == ParameterSource.DEFAULT
    }
    if "model_name" in recipe and "model_name" not in own:
        own.pop("model_option", None)  # they are another network's
    result = options | own
    if result["model_name"] is None:
        raise InputError("give --model_name (`fdif list models` shows them), or --recipe.")
    return result


def configs(options: dict[str, Any]) -> tuple[TrainConfig, RunOptions]:
    """The options of a command line as what defines the run, and how it is carried out.

    Raises:
      InputError: they exclude each other, or are out of range.
    """
    generation = _generation(options)
    patch = options["grid_size"] or (generation.grid if generation else DEFAULT_PATCH)
    config = TrainConfig(
        model_name=options["model_name"],
        data=options["data_json_path"],
        generation=generation and dataclasses.replace(generation, grid=tuple(patch)),
        out_channel=options["out_channel"],
        in_channels=options["in_channels"],
        pretraining_in_channels=options["pretraining_in_channels"],
        pretraining_out_channel=options["pretraining_out_channel"],
        pretrained_model=options["pretrained_model"],
        patch=tuple(patch),
        model_options=model_options(options),
        batch_size=options["batch_size"],
        num_crops=options["num_crops"],
        accumulation=options["gradient_accumulation_steps"],
        max_iterations=options["max_iterations"],
        learning_rate=options["learning_rate"],
        loss="ce" if options["use_ce_loss"] else "dice_ce",
        precision=options["precision"],
        remat=options["use_checkpoint"],
        multi_task=options["multi_task"],
        resample=options["is_real_data"],
        spacing=_spacing(options),
        intensity=options["intensity"],
        augment=not options["no_augment"],
        eval_every=options["eval_every"],
        eval_max_cases=options["eval_max_cases"],
        freeze_encoder=options["freeze_encoder"],
        early_stop=options["early_stop"],
        seed=options["seed"],
    )
    run = RunOptions(
        devices=options["devices"],
        cache_dir=options["cache_dir"],
        checkpoint_every=options["checkpoint_every"],
        log_every=options["log_every"],
        tensorboard=options["tensorboard"],
        profile=options["profile"],
    )
    return config, run


def _generation(options: dict[str, Any]) -> GenerateConfig | None:
    given = [n for n in ("preset", "generation_config") if options[n] is not None]
    if not options["on_the_fly"]:
        if given:
            raise InputError(f"--{given[0]} says what to render; it needs --on_the_fly.")
        return None
    if len(given) > 1:
        raise InputError("--preset and --generation_config exclude each other; drop one.")
    file = options["generation_config"]
    if file is None:
        return PRESETS[options["preset"] or "small"]
    try:
        record = json.loads(Path(file).read_text())
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is not JSON ({error}).") from error
    config = record.get("config", record) if isinstance(record, dict) else None
    if not isinstance(config, dict):
        raise InputError(f"{file} holds no configuration; give a generation.json.")
    try:
        return GenerateConfig.from_json(config)
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def _spacing(options: dict[str, Any]) -> tuple[float, float, float] | None:
    words = options["spacing"]
    if not words:
        return DEFAULT_SPACING
    if not options["is_real_data"]:
        raise InputError("--spacing needs --is_real_data, which resamples.")
    return spacing_from(words)


def _join(options: dict[str, Any]) -> None:
    names = ("coordinator", "num_processes", "process_id")
    if options["distributed"] or any(options[n] is not None for n in names):
        from fdif_jax.train.devices import join_processes

        join_processes(*(options[n] for n in names))
