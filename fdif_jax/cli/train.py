"""`fdif train`: pre-train on synthetic volumes, fine-tune on real images."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from fdif_jax.cli.options import (
    Several,
    SeveralCommand,
    model_options,
    spacing_from,
)
from fdif_jax.cli.training import run_options, run_training, training_options
from fdif_jax.config import PRESETS, GenerateConfig
from fdif_jax.data.intensities import OPTIONS
from fdif_jax.errors import InputError
from fdif_jax.train.config import DEFAULT_PATCH, DEFAULT_SPACING, RunOptions, TrainConfig
from fdif_jax.train.recipes import RECIPES

OF_FILES = ("is_real_data", "spacing")  # what a recipe says of images in files
PLANNED = ("features", "kernels", "strides", "blocks", "decoder_convs")  # of nnU-Net's plans


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
    "--plans",
    type=click.Path(path_type=Path),
    help="nnU-Net's plans.json: train the ResEnc and the patch of its 3d_fullres.",
)
@click.option(
    "--out_channel",
    type=int,
    show_default="as the data say, else 14",
    help="Classes and background.",
)
@click.option(
    "--grid_size",
    type=int,
    nargs=3,
    metavar="D H W",
    show_default="96 96 96, or what is rendered",
    help="Patch, voxels; of real images to the right, to the front and up.",
)
@click.option("--batch_size", type=int, default=1, show_default=True, help="Volumes in a batch.")
@click.option("--num_crops", type=int, default=4, show_default=True, help="Crops of each volume.")
@click.option(
    "--max_iterations", type=int, default=30000, show_default=True, help="Updates in all."
)
@click.option("--use_ce_loss", is_flag=True, help="Cross-entropy instead of Dice + cross-entropy.")
@click.option("--multi_task", is_flag=True, help="A head for each task of the data.")
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
    type=click.Choice(OPTIONS),
    default="auto",
    show_default=True,
    help="Scaling: the CT window [-175, 250], z-score, percentiles; auto: by the modality.",
)
@click.option(
    "--eval_max_cases", type=int, show_default="all; 20 on the fly", help="Cases to validate with."
)
@click.option(
    "--cache_dir",
    show_default="the user's cache folder",
    help="Folder for prepared volumes; `none` prepares them again and again.",
)
@training_options("<kind>")
def command(**options: Any) -> None:
    """Train a network: on synthetic volumes, or fine-tune it on real images.

    A run that is stopped, by whatever, goes on from its last checkpoint when the same command,
    with its --out_dir, is given again.
    """
    config, run = configs(options)
    run_training(config, run, options)


def _with_recipe(options: dict[str, Any]) -> dict[str, Any]:
    """The options, with those of ``--recipe`` where the command line does not give its own.

    What a recipe says of images in files is left out where volumes are rendered on the fly, so that
    one recipe pre-trains a network and fine-tunes it.
    """
    context = click.get_current_context()
    recipe = RECIPES[options["recipe"]] if options["recipe"] else {}
    own = {
        name: value
        for name, value in recipe.items()
        if context.get_parameter_source(name) == ParameterSource.DEFAULT
        and not (options["on_the_fly"] and name in OF_FILES)
    }
    if "model_name" in recipe and "model_name" not in own:
        own.pop("model_option", None)  # they are another network's
    return options | own


def _with_plans(options: dict[str, Any]) -> dict[str, Any]:
    """The options, with the network and the patch of ``--plans`` where it is given.

    Raises:
      InputError: the plans are of no ResEnc, or another option says what network.
    """
    if options["plans"] is None:
        return options
    from fdif_jax.interop.hints import config_of_plans, patch_of_plans, read_plans

    name = options["model_name"] or "resenc_l"
    if not name.startswith("resenc_"):
        raise InputError(f"--plans describe a ResEnc, not {name}; drop --model_name or --plans.")
    if options["model_option"] or options["feature_size"] is not None:
        raise InputError("--plans say what the network is; drop --model_option and --feature_size.")
    plans = read_plans(options["plans"])
    planned = dataclasses.asdict(config_of_plans(plans, in_channels=1, out_channels=1))
    fields = (f"{key}={json.dumps(planned[key])}" for key in PLANNED)
    patch = options["grid_size"] or patch_of_plans(plans)
    return options | {"model_name": name, "model_option": tuple(fields), "grid_size": patch}


def configs(options: dict[str, Any]) -> tuple[TrainConfig, RunOptions]:
    """The options of a command line as what defines the run, and how it is carried out.

    Those of ``--recipe`` and ``--plans`` among them; inside the command's context.

    Raises:
      InputError: they exclude each other, are out of range, or name no network.
    """
    options = _with_plans(_with_recipe(options))
    if options["model_name"] is None:
        raise InputError("give --model_name (`fdif list models` shows them), or --recipe.")
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
    return config, run_options(options)


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
