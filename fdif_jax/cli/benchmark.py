"""`fdif benchmark`: measurements; what is measured and how is in ``fdif_jax.benchmark``."""

import dataclasses
import json
from typing import Any

import click

from fdif_jax.cli import limits
from fdif_jax.cli.options import SeveralCommand, config_from, generation_options
from fdif_jax.cli.plan import canonical, worker_count
from fdif_jax.errors import lookup
from fdif_jax.synth.labels import class_table
from fdif_jax.synth.plugins import load_catalog
from fdif_jax.synth.recipes import RECIPES


@click.group("benchmark")
def command() -> None:
    """Measure how fast this machine generates."""


@command.command("generate", cls=SeveralCommand)
@generation_options
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def generate(as_json: bool, **options: Any) -> None:
    """Time `fdif generate` with these options: volumes/s, stages, compile time, memory.

    Writes into a temporary folder, which it removes. The ratio compares with the original PyTorch
    generator at the same number of voxels and objects, estimated from a yardstick that is taken
    on this machine before and after.
    """
    from fdif_jax import benchmark

    config = config_from(options)
    catalog, _ = load_catalog(config.plugin)
    config = canonical(config, catalog)
    lookup(RECIPES, config.recipe, kind="recipe")
    class_table(config, catalog, options["seed"] or 0)
    workers = worker_count(options["workers"])
    limits.refuse_too_large(
        config.grid, limits.memory_needed(config, workers), "choose a smaller one."
    )
    report = benchmark.generate(config, seed=options["seed"] or 0, workers=workers)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(report)))
        return
    for line in benchmark.lines(report):
        click.echo(line)
