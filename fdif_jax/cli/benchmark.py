"""`fdif benchmark`: measurements; what is measured and how is in ``fdif_jax.benchmark``."""

from typing import Any

import click

from fdif_jax.cli import plugins
from fdif_jax.cli.options import SeveralCommand, config_from, generation_options
from fdif_jax.cli.plan import canonical, worker_count


@click.group("benchmark")
def command() -> None:
    """Measure how fast this machine generates."""


@command.command("generate", cls=SeveralCommand)
@generation_options
def generate(**options: Any) -> None:
    """Time `fdif generate` with these options: volumes/s, stages, compile time, memory."""
    from fdif_jax import benchmark

    config = config_from(options)
    catalog, _ = plugins.load_catalog(config.plugin)
    benchmark.generate(
        canonical(config, catalog),
        catalog=catalog,
        seed=options["seed"] or 0,
        workers=worker_count(options["workers"]),
        echo=click.echo,
    )
