"""`fdif predict`: label files, or the classes of whole images, from a model folder and images."""

import math
import time
from pathlib import Path
from typing import Any, Literal

import click

from fdif_jax.cli import limits
from fdif_jax.cli.options import Several, SeveralCommand, refuse_given, spacing_from
from fdif_jax.cli.progress import Bar
from fdif_jax.errors import InputError

_FLOAT32 = 4  # bytes
_RULES = ("ct", "zscore", "percentile", "none")
_OF_VOXELS = ("overlap", "blending", "mirror", "probabilities")


@click.command("predict", cls=SeveralCommand)
@click.option(
    "--model",
    "folder",
    required=True,
    type=click.Path(path_type=Path),
    help="Model folder, e.g. training_output/…/model_best.",
)
@click.option(
    "--input",
    "source",
    required=True,
    type=click.Path(path_type=Path),
    help="NIfTI file; folder of them; or data.json, dataset.json. For a classifier also .b2nd, or "
    "whatever `fdif train-classifier` takes.",
)
@click.option(
    "--out_dir",
    required=True,
    type=click.Path(path_type=Path),
    help="Gets CASE.nii.gz; from a classifier predictions.csv.",
)
@click.option(
    "--split",
    type=click.Choice(["training", "validation", "test", "all"]),
    show_default="validation, else test, else training",
    help="Which cases of a data list, or of a classification set.",
)
@click.option(
    "--fold",
    type=int,
    default=0,
    show_default=True,
    help="Of a classification set's splits_final.json.",
)
@click.option(
    "--overlap", type=float, default=0.25, show_default=True, help="Of neighbouring windows."
)
@click.option(
    "--blending",
    type=click.Choice(["constant", "gaussian"]),
    default="constant",
    show_default=True,
    help="Weights within a window; gaussian trusts its centre more.",
)
@click.option("--mirror", is_flag=True, help="Average over all eight mirror images.")
@click.option(
    "--batch",
    type=int,
    show_default="1 on a CPU, else 4",
    help="Windows, or images to classify, computed at once.",
)
@click.option("--devices", type=int, default=1, show_default=True, help="Spread batches over.")
@click.option(
    "--probabilities",
    is_flag=True,
    help="Write probabilities/CASE.nii.gz as well, float32, classes on the last axis; takes 4 "
    "bytes of memory for each class and voxel.",
)
@click.option(
    "--grid_size",
    type=int,
    nargs=3,
    help="Patch, where the model folder does not say.",
    default=None,
)
@click.option(
    "--intensity",
    type=click.Choice(_RULES),
    help="How to scale intensities, where the model folder does not say.",
)
@click.option(
    "--spacing",
    cls=Several,
    multiple=True,
    metavar="MM MM MM|native",
    help="Voxel sizes along R, A and S to sample at, where the model folder does not say.",
)
@click.option("--overwrite", is_flag=True, help="Predict again what is in --out_dir.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.pass_context
def command(
    ctx: click.Context,
    folder: Path,
    source: Path,
    out_dir: Path,
    split: Literal["training", "validation", "test", "all"] | None,
    intensity: str | None,
    spacing: tuple[str, ...],
    overwrite: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Label images of any size, or classify them, with a trained network.

    An image is prepared as in training, covered with windows, and its labels are put on its own
    grid, with its own orientation and affine; several tasks lie on a label's last axis. Cases that
    --out_dir has already, from the same weights, settings and image, are passed over. A classifier
    writes one table instead: each image's class, and the probabilities of all classes.
    """
    from fdif_jax.cli.predict_classes import predict_classes
    from fdif_jax.compilation import keep_programs
    from fdif_jax.infer.inputs import check_cases, find_cases
    from fdif_jax.infer.predict import Job, fingerprint, predict_cases
    from fdif_jax.model_io import load_info, load_model
    from fdif_jax.models.heads import ClassifierConfig

    began = time.perf_counter()
    source, out_dir = source.expanduser(), out_dir.expanduser()
    info = load_info(folder.expanduser())
    plan = _preprocessing(folder, info, intensity, spacing)
    if isinstance(info.config, ClassifierConfig):
        refuse_given(ctx, _OF_VOXELS, f"{folder} is a classifier of whole images")
        with Bar(quiet=quiet, unit="image") as bar:
            predict_classes(folder, info, plan, source, out_dir, split, overwrite, bar, options)
        return
    refuse_given(ctx, ("fold",), f"{folder} labels voxels")
    channels = info.config.in_channels
    cases = find_cases(source, channels, split, out_dir)
    headers = check_cases(cases, channels)
    keep_programs()
    model = load_model(folder.expanduser(), image_size=options["grid_size"])
    predictor = _predictor(folder, model, info, plan, options)
    job = Job(
        cases,
        headers,
        out_dir,
        fingerprint(model, predictor),
        channels,
        options["probabilities"],
        overwrite,
    )
    with Bar(quiet=quiet, unit="window") as bar:
        report = predict_cases(predictor, job, bar)
    there = f"; {report.skipped} were there" if report.skipped else ""
    seconds = time.perf_counter() - began
    click.echo(f"wrote {report.written} label files to {out_dir} in {seconds:.1f} s{there}")


def _predictor(folder: Path, model: Any, info: Any, plan: Any, options: dict[str, Any]) -> Any:
    from fdif_jax.infer.predictor import default_batch, make_predictor
    from fdif_jax.infer.sliding_window import Windows

    patch = options["grid_size"] or info.patch
    if patch is None:
        raise InputError(f"{folder} does not say its patch; give --grid_size D H W.")
    batch = default_batch() if options["batch"] is None else options["batch"]
    windows = Windows(patch, options["overlap"], options["blending"], batch, options["mirror"])
    needed = batch * math.prod(patch) * model.config.in_channels * _FLOAT32
    limits.refuse_too_large((batch, *patch), needed, "lower --batch or --grid_size.")
    return make_predictor(model, plan, windows, options["devices"])


def _preprocessing(folder: Path, info: Any, intensity: str | None, spacing: tuple[str, ...]) -> Any:
    """As recorded with the model, or as the options say where it records nothing."""
    from fdif_jax.data.preprocess import Preprocessing

    if info.intensities:
        if intensity is not None or spacing:
            raise InputError(
                f"{folder} records how its images were prepared; leave out --intensity and "
                "--spacing."
            )
        try:
            return Preprocessing.from_json(info.intensities)
        except InputError as error:
            raise InputError(f"{folder}: {error}") from error
    if intensity is None or not spacing:
        raise InputError(
            f"{folder} does not record how its images were prepared; give --intensity "
            f"{'|'.join(_RULES)} and --spacing MM MM MM (or native), as in its training."
        )
    return Preprocessing.from_json({"kind": intensity, "spacing": spacing_from(spacing)})
