"""What `fdif predict` does with a classifier."""

import math
import time
from pathlib import Path
from typing import Any

import click

from fdif_jax.cli import limits
from fdif_jax.cli.progress import Bar
from fdif_jax.data.class_inputs import Inputs
from fdif_jax.data.preprocess import Preprocessing
from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.infer import class_table
from fdif_jax.infer.classifier import label_names, make_classifier
from fdif_jax.infer.examples import find_examples
from fdif_jax.infer.inputs import Split
from fdif_jax.infer.predictor import default_batch
from fdif_jax.io import atomic
from fdif_jax.model_io import ModelInfo, load_model

_FLOAT32 = 4  # bytes


def predict_classes(
    folder: Path,
    info: ModelInfo,
    plan: Preprocessing,
    source: Path,
    out_dir: Path,
    split: Split | None,
    overwrite: bool,
    bar: Bar,
    options: dict[str, Any],
) -> None:
    """Writes ``predictions.csv`` into ``out_dir``, whole or not at all."""
    from fdif_jax.compilation import keep_programs

    began = time.perf_counter()
    table = out_dir / class_table.NAME
    if out_dir.is_file() or table.is_dir():
        raise InputError(f"{table} cannot be made there; choose another --out_dir.")
    if table.exists() and not overwrite:
        raise InputError(f"{table} is there; pass --overwrite, or choose another --out_dir.")
    if info.patch is None:
        raise InputError(f"{folder} does not say the patch that its images are put on.")
    if options["grid_size"] not in (None, info.patch):
        raise InputError(
            f"{folder} puts images on {'x'.join(map(str, info.patch))} voxels; leave --grid_size "
            "out."
        )
    channels = info.config.in_channels
    examples, prepared, chosen = find_examples(source, channels, split, options["fold"])
    if prepared and plan.intensity.kind != "none":
        raise InputError(
            f"{folder} scales the intensities of NIfTI files ({plan.intensity.kind}), and {source} "
            "holds images as a network takes them; give NIfTI files."
        )
    batch = default_batch() if options["batch"] is None else options["batch"]
    needed = batch * math.prod(info.patch) * channels * _FLOAT32
    limits.refuse_too_large((batch, *info.patch), needed, "lower --batch.")
    keep_programs()
    model = load_model(folder.expanduser())
    labels = label_names(info.config, info.class_names)
    inputs = Inputs(plan, info.patch, channels)
    classify = make_classifier(model, inputs, labels, batch, options["devices"])
    found = classify(examples, bar)
    text = class_table.to_csv([example.id for example in examples], labels, found)
    try:
        atomic.write(table, text.encode(errors="surrogateescape"))
    except OSError as error:
        raise EnvironmentFault(
            f"{table} cannot be written ({error.strerror or error}); choose another --out_dir."
        ) from error
    click.echo(
        f"wrote the classes of {len(examples)} {chosen and f'{chosen} '}images to {table} in "
        f"{time.perf_counter() - began:.1f} s"
    )
