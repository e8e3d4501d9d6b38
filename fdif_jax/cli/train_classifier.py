"""`fdif train-classifier`: images that have a class as a whole, or several."""

from pathlib import Path
from typing import Any

import click

from fdif_jax.cli.options import (
    Several,
    SeveralCommand,
    model_option,
    model_options,
    spacing_from,
)
from fdif_jax.cli.train import run_training
from fdif_jax.data.intensities import OPTIONS
from fdif_jax.train.class_config import ClassifyConfig
from fdif_jax.train.config import DEFAULT_PATCH, RunOptions


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
@click.option("--pretrained_model", help="Start from the encoder of a model folder, or of a file.")
@click.option("--in_channels", type=int, default=1, show_default=True, help="Channels of an image.")
@click.option(
    "--grid_size",
    type=int,
    nargs=3,
    metavar="D H W",
    default=DEFAULT_PATCH,
    show_default=True,
    help="Voxels per axis that each image is put on, as a whole.",
)
@click.option("--feature_size", type=int, show_default="16 unetr, 48 swin_unetr", help="Its width.")
@model_option
@click.option("--batch_size", type=int, default=4, show_default=True, help="Images in a batch.")
@click.option(
    "--gradient_accumulation_steps",
    type=int,
    default=1,
    show_default=True,
    help="Batches that one update is the mean of.",
)
@click.option(
    "--max_iterations", type=int, default=10000, show_default=True, help="Updates in all."
)
@click.option("--learning_rate", type=float, default=1e-4, show_default=True, help="Its maximum.")
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
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    default="fp32",
    show_default=True,
    help="Of the network's products; weights are fp32.",
)
@click.option("--use_checkpoint", is_flag=True, help="Recompute blocks, to save memory.")
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
@click.option("--no_augment", is_flag=True, help="No flips, turns and intensity shifts.")
@click.option(
    "--eval_every", type=int, default=500, show_default=True, help="Updates between validations."
)
@click.option(
    "--freeze_encoder",
    type=int,
    default=0,
    show_default=True,
    help="For so many updates at the start only the head learns.",
)
@click.option(
    "--early_stop",
    type=int,
    default=0,
    show_default="never",
    help="Stop after so many validations without a better AUROC.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@click.option(
    "--out_dir",
    type=click.Path(path_type=Path),
    show_default="training_output/<model>/classification/<time>",
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
@click.option("--devices", type=int, show_default="all", help="Devices that share each batch.")
@click.option("--distributed", is_flag=True, help="Join the processes of a cluster job.")
@click.option("--coordinator", metavar="HOST:PORT", help="Of process 0, where no cluster says it.")
@click.option("--num_processes", type=int, help="Processes of the job.")
@click.option("--process_id", type=int, help="Number of this one, from 0.")
@click.option("--profile", help="Folder for a trace of updates 11 to 20.")
@click.option("--quiet", is_flag=True, help="Say nothing but errors.")
def command(**options: Any) -> None:
    """Train a classifier of whole images, from scratch or on a pre-trained encoder.

    A run that is stopped, by whatever, goes on from its last checkpoint when the same command,
    with its --out_dir, is given again.
    """
    config = ClassifyConfig(
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
    run = RunOptions(
        devices=options["devices"],
        checkpoint_every=options["checkpoint_every"],
        log_every=options["log_every"],
        tensorboard=options["tensorboard"],
        profile=options["profile"],
    )
    run_training(config, run, options)
