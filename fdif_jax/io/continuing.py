"""Unfinished data sets: how much is missing, and the command that goes on."""

import dataclasses
import shlex
from pathlib import Path

from fdif_jax.classification import ClassificationConfig, DataSetConfig
from fdif_jax.config import SMALL
from fdif_jax.errors import InputError
from fdif_jax.io import manifest, resume
from fdif_jax.io.layout import samples
from fdif_jax.io.layouts import layout_for
from fdif_jax.io.manifest import Generation


def refuse_unfinished(path: Path) -> None:
    """Refuses a data set of ours that is not whole; other folders pass.

    Args:
      path: the folder of a generation.json, or the data folder of a MONAI layout.

    Raises:
      InputError: with the number of missing samples and the command that makes them.
    """
    home = path.parent if path.name == "data" else path
    generation = manifest.read(home)
    if generation is None:
        return
    layout = layout_for(generation)
    out_dir = home if layout.homes == ("",) else home.parent
    if all((out_dir / name).exists() for name in layout.metadata()):
        return
    refs = tuple(samples(generation))
    missing = resume.absent(out_dir, layout, refs)
    raise InputError(
        f"{path} is not finished: {missing} of {len(refs)} samples are missing; this makes them: "
        f"{generate_command(generation, out_dir)}"
    )


def generate_command(generation: Generation, out_dir: Path) -> str:
    """The command that gives this data set in ``out_dir``."""
    command: str = "generate"
    default: DataSetConfig = SMALL
    if isinstance(generation.config, ClassificationConfig):
        command, default = "generate-classification", ClassificationConfig()
    words = ["fdif", command, "--out_dir", str(out_dir), "--seed", str(generation.seed)]
    for field in dataclasses.fields(generation.config):
        value = getattr(generation.config, field.name)
        if value != getattr(default, field.name):
            words += _option(field.name, value)
    return shlex.join(words)


def _option(name: str, value: object) -> list[str]:
    if name == "grid" and isinstance(value, tuple):
        return [
            word
            for axis, size in zip("DHW", value, strict=True)
            for word in (f"--{axis}", str(size))
        ]
    if name == "layout":
        return ["--nnunet_format"]
    if name == "transform":
        return ["--no-transform"]
    if isinstance(value, bool):
        return [f"--{name}"]
    if isinstance(value, tuple):
        return [f"--{name}", *value]
    return [f"--{name}", str(value)]
