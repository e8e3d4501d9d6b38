"""`fdif train-classifier`: images that have a class as a whole, or several."""

from typing import Any

import click

from fdif_jax.cli.options import (
    Several,
    SeveralCommand,
    model_options,
    spacing_from,
)
from fdif_jax.cli.training import run_options, run_training, training_options
from fdif_jax.data.intensities import OPTIONS
from fdif_jax.train.class_config import ClassifyConfig
from fdif_jax.train.config import DEFAULT_PATCH


@click.command("train-classifier", cls=SeveralCommand)
@click.option(
    "--data",
    required=True,
    help="Folder in SSL3D's layout; .npz as MedMNIST has them; or .csv of image, label[, split].",
)
@click.option(
    "--fold", type=int, default=0, show_default=True, help="Of splits_final.json in a folder."
)
@click.option(
    "--model_name", required=True, help="Whose encoder; `fdif list models` shows the networks."
)
@click.option(
    "--grid_size",
    type=int,
    nargs=3,
    metavar="D H W",
    default=DEFAULT_PATCH,
    show_default=True,
    help="Voxels per axis that each image is put on, as a whole.",
)
@click.option("--batch_size", type=int, default=4, show_default=True, help="Images in a batch.")
@click.option(
    "--max_iterations", type=int, default=10000, show_default=True, help="Updates in all."
)
@click.option(
    "--label_smoothing",
    type=float,
    show_default="0.2 for SSL3D's layout, else 0",
    help="Share of a label that is spread over all classes.",
)
@click.option(
    "--dropout", type=float, default=0.0, show_default=True, help="Of the averaged features."
)
@click.option(
    "--spacing",
    cls=Several,
    multiple=True,
    metavar="MM MM MM|native",
    show_default="native",
    help="For NIfTI files: sample at these voxel sizes.",
)
@click.option(
    "--intensity",
    type=click.Choice(OPTIONS),
    default="auto",
    show_default=True,
    help="For NIfTI files: scaling of their voxels.",
)
@training_options("classification")
def command(**options: Any) -> None:
    """Train a classifier of whole images, from scratch or on a pre-trained encoder.

    A run that is stopped, by whatever, goes on from its last checkpoint when the same command,
    with its --out_dir, is given again.
    """
    run_training(config_from(options), run_options(options), options)


def config_from(options: dict[str, Any]) -> ClassifyConfig:
    """The options of a command line as what defines the run.

    Raises:
      InputError: a number is out of range.
    """
    return ClassifyConfig(
        model_name=options["model_name"],
        data=options["data"],
        fold=options["fold"],
        in_channels=options["in_channels"],
        pretrained_model=options["pretrained_model"],
        patch=tuple(options["grid_size"]),
        model_options=model_options(options),
        batch_size=options["batch_size"],
        accumulation=options["gradient_accumulation_steps"],
        max_iterations=options["max_iterations"],
        learning_rate=options["learning_rate"],
        label_smoothing=options["label_smoothing"],
        dropout=options["dropout"],
        precision=options["precision"],
        remat=options["use_checkpoint"],
        spacing=spacing_from(options["spacing"]) if options["spacing"] else None,
        intensity=options["intensity"],
        augment=not options["no_augment"],
        eval_every=options["eval_every"],
        freeze_encoder=options["freeze_encoder"],
        early_stop=options["early_stop"],
        seed=options["seed"],
    )
