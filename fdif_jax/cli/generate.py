"""`fdif generate`: a labelled data set of synthetic volumes, resumable and in shards."""

from typing import Any

import click

from fdif_jax.cli import data_set
from fdif_jax.cli.options import SeveralCommand, config_from, generation_options, run_options


@click.command("generate", cls=SeveralCommand)
@run_options("outputs/<time>, or outputs with --nnunet_format")
@generation_options
@click.option("--save_scenes", is_flag=True, help="Write a scene file beside each sample.")
def command(**options: Any) -> None:
    """Write a labelled data set of synthetic volumes.

    A run that is stopped, by whatever, goes on where it was when the same command, with its
    --out_dir, is given again.
    """
    data_set.write(config_from(options), options)
