"""The options that say what a weight file does not; shared by import and inspect."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from fdif_jax.interop.hints import Hints, read_plans

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--grid_size",
        type=int,
        nargs=3,
        default=None,
        help="Patch that it was trained on; a cube for UNETR and Primus where not given.",
    ),
    click.option(
        "--heads",
        type=int,
        help="Attention heads of UNETR or Primus; those of the preset of its width, else "
        "64 or 72 features each.",
    ),
    click.option(
        "--merging",
        help="Of SwinUNETR: merging (default, MONAI 1.5 and later), legacy (up to 1.4), mergingv2.",
    ),
    click.option(
        "--plans", type=click.Path(path_type=Path), help="nnU-Net's plans.json, for a ResEnc."
    ),
)


def weight_hints(function: Function) -> Function:
    """Adds the options."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def as_hints(
    grid_size: tuple[int, int, int] | None,
    heads: int | None,
    merging: str | None,
    plans: Path | None,
) -> Hints:
    """Their values."""
    parsed = None if plans is None else read_plans(plans)
    return Hints(grid_size, heads, merging, parsed)  # type: ignore[arg-type]
