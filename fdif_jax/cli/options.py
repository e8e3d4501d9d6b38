"""Options: several values after one name, and those that all generating commands share."""

import dataclasses
import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from fdif_jax.classification import DataSetConfig
from fdif_jax.config import PRESETS, SMALL, GenerateConfig
from fdif_jax.errors import InputError
from fdif_jax.train.config import as_tuples

Function = TypeVar("Function", bound=Callable[..., Any])
_NUMBER = re.compile(r"-[\d.]")


class Several(click.Option):
    """An option that takes all values up to the next option: ``--primitives sphere cone``.

    Use it with ``multiple=True`` on a ``SeveralCommand``. It may be repeated, and written
    ``--primitives=sphere cone``.
    """


class SeveralCommand(click.Command):
    """A command whose ``Several`` options work."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Spreads the values of each ``Several`` option before click sees them."""
        names = {name for p in self.params if isinstance(p, Several) for name in p.opts}
        return super().parse_args(ctx, spread(args, names))


def spread(args: list[str], names: Collection[str]) -> list[str]:
    """Rewrites ``--x a b`` to ``--x a --x b`` for every option in ``names``.

    Raises:
      click.BadOptionUsage: such an option has no value.
    """
    result: list[str] = []
    current, needs_value = None, False
    for i, token in enumerate(args):
        if token.startswith("-") and token != "-" and not _NUMBER.match(token):
            _refuse_empty(current, needs_value)
            if token == "--":
                return result + args[i:]
            name, equals, _ = token.partition("=")
            current = name if "--" + name[2:].replace("-", "_") in names else None
            needs_value = current is not None and not equals
            if not needs_value:
                result.append(token)
        elif current is not None:
            result += [current, token]
            needs_value = False
        else:
            result.append(token)
    _refuse_empty(current, needs_value)
    return result


def _refuse_empty(name: str | None, needs_value: bool) -> None:
    if name is not None and needs_value:
        raise click.BadOptionUsage(name, f"Option {name!r} needs at least one value.")


def refuse_given(ctx: click.Context, names: Sequence[str], why: str) -> None:
    """Refuses options that have no meaning here, where they were given.

    Raises:
      InputError: with the first one's name.
    """
    for name in names:
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise InputError(f"{why}; leave --{name} out.")


def _several(name: str, default: str, text: str) -> Callable[[Function], Function]:
    return click.option(
        name, cls=Several, multiple=True, metavar="NAME…", show_default=default, help=text
    )


def _number(name: str, text: str) -> Callable[[Function], Function]:
    default = str(getattr(SMALL, name[2:], None))
    return click.option(name, type=int, show_default=default, help=text)


def switch(name: str, text: str) -> Callable[[Function], Function]:
    """``--name`` and ``--no_name``; None where neither is given."""
    names = f"--{name}/--no_{name}"
    return click.option(names, default=None, show_default="off", help=text)


# No option that makes a configuration has a default of its own: what is not given comes from the
# preset, or from the configuration's class.
GRID_OPTIONS = (
    click.option("--D", "D", type=int, show_default="64", help="Depth of the grid, voxels."),
    click.option("--H", "H", type=int, show_default="64", help="Height of the grid, voxels."),
    click.option("--W", "W", type=int, show_default="64", help="Width of the grid, voxels."),
)
CLASS_OPTIONS = (
    _several(
        "--primitives",
        "sphere cylinder torus cone",
        "Primitives to draw from; `all` for the 109. `fdif list primitives` shows them.",
    ),
    _several("--categories", "none", "Categories to draw from; they override --primitives."),
    click.option(
        "--num_classes",
        type=int,
        show_default="all of the pool",
        help="Draw so many primitives at random from the pool, which is all 109 where neither "
        "--primitives nor --categories is given.",
    ),
    _several("--sdf_mappers", "inverse_cube", "Distance-to-intensity functions."),
    _several("--displacement_functions", "none", "Surface displacements."),
    switch("mapper_as_augmentation", "Mappers vary the image but make no classes."),
    switch("displacement_as_augmentation", "Displacements (and none) vary the image only."),
)
UNION_OPTIONS = (
    _number("--num_combined_unions", "Smooth unions of two primitives, each a class."),
    click.option(
        "--transform/--no-transform",
        default=None,
        show_default="on",
        help="Rotate and shear every object.",
    ),
)
MAKING_OPTIONS = (
    click.option("--plugin", metavar="MODULE:CATALOG", help="A catalog of your own."),
    click.option(
        "--seed",
        type=int,
        show_default="random, or that of the folder that is continued",
        help="Of all draws; printed and recorded.",
    ),
    click.option(
        "--workers",
        type=int,
        show_default="two for each CPU",
        help="Samples in flight; the files do not depend on it.",
    ),
)
_GENERATION = (
    click.option(
        "--preset",
        type=click.Choice(list(PRESETS)),
        default="small",
        show_default=True,
        help="Starting values; options override them. paper: the paper's pre-training set.",
    ),
    *GRID_OPTIONS,
    _number("--num_samples", "Training volumes."),
    _number("--num_val_samples", "Validation volumes, numbered after the training files."),
    _number("--min_objects", "Fewest objects in a volume."),
    _number("--max_objects", "Most objects in a volume."),
    *CLASS_OPTIONS,
    switch("multi_task", "One label per task: shape, displacement, mapper."),
    *UNION_OPTIONS,
    click.option("--nnunet_format", is_flag=True, help="Write nnU-Net raw data sets."),
    _number("--dataset_id", "nnU-Net number; the validation set takes the next."),
    click.option("--dataset_name", show_default=SMALL.dataset_name, help="nnU-Net name."),
    click.option("--recipe", show_default=SMALL.recipe, help="What makes the volumes."),
    *MAKING_OPTIONS,
)


def generation_options(function: Function) -> Function:
    """The options that decide a data set, declared once for all commands that generate."""
    return declare(_GENERATION, function)


def run_options(default_folder: str) -> Callable[[Function], Function]:
    """What any command that writes a data set can be told of where, which part, and how loudly."""
    options = (
        click.option(
            "--out_dir",
            type=click.Path(path_type=Path),
            show_default=default_folder,
            help="Where to write; a folder of the same configuration is continued.",
        ),
        click.option("--shard", metavar="I/N", help="Write only every N-th sample, from I on."),
        click.option("--resume", is_flag=True, help="Continue what is in out_dir: the default."),
        click.option("--overwrite", is_flag=True, help="Delete the data set in out_dir first."),
        click.option(
            "--num_visualize", type=int, default=0, show_default=True, help="Pictures to draw."
        ),
        click.option(
            "--dry_run", is_flag=True, help="Say what would be written, and write nothing."
        ),
        click.option("--quiet", is_flag=True, help="Say nothing but errors."),
    )
    return lambda function: declare(options, function)


def declare(options: Sequence[Callable[[Function], Function]], function: Function) -> Function:
    """``function`` with the options, in their order."""
    for option in reversed(options):
        function = option(function)
    return function


def config_from(options: Mapping[str, Any]) -> GenerateConfig:
    """The preset with every given option in its place.

    Raises:
      InputError: a number is out of range or two options exclude each other.
    """
    preset = PRESETS[options["preset"]]
    given = given_fields(preset, options)
    given["layout"] = "nnunet" if options["nnunet_format"] else preset.layout
    if given.get("primitives") or given.get("categories"):
        given.setdefault("num_classes", None)  # the preset's number is of the preset's pool
    return dataclasses.replace(preset, **given)


def given_fields(default: DataSetConfig, options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``default`` that options set, ``--D``, ``--H`` and ``--W`` as its grid."""
    fields = {field.name for field in dataclasses.fields(default)}
    given = {k: v for k, v in options.items() if k in fields and v is not None and v != ()}
    sizes = (options[axis] for axis in "DHW")
    given["grid"] = tuple(
        size if own is None else own for own, size in zip(sizes, default.grid, strict=True)
    )
    return given


model_option = click.option(
    "--model_option",
    cls=Several,
    multiple=True,
    metavar="NAME=VALUE…",
    help="Further fields of the network, e.g. hidden_size=384.",
)


def model_options(options: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """``--feature_size`` and every NAME=VALUE; values are JSON where they can be read so.

    Raises:
      InputError: not of this form.
    """
    found: dict[str, Any] = {}
    if options["feature_size"] is not None:
        found["feature_size"] = options["feature_size"]
    for text in options["model_option"]:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"--model_option {text!r}; give NAME=VALUE, e.g. hidden_size=384.")
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            parsed = value
        found[name] = as_tuples(parsed)
    return tuple(sorted(found.items()))


def spacing_from(words: Collection[str]) -> tuple[float, float, float] | None:
    """Millimetres per voxel of ``--spacing``; None for ``native``.

    Raises:
      InputError: neither three positive numbers nor ``native``.
    """
    if tuple(words) == ("native",):
        return None
    try:
        x, y, z = (float(word) for word in words)
    except ValueError:
        x = y = z = math.nan
    if not all(0 < size < math.inf for size in (x, y, z)):
        raise InputError(f"spacing is {' '.join(words)}; give three sizes in mm, or native.")
    return x, y, z


def folder(value: str | Path | None) -> Path | None:
    """A path that the person gave, with ~ expanded."""
    return None if value is None else Path(value).expanduser()
