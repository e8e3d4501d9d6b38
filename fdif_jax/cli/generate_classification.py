"""`fdif generate-classification`: volumes with a class each, as SSL3D_classification reads them."""

from typing import Any

import click

from fdif_jax.cli import data_set
from fdif_jax.cli.classification_options import classification_from, classification_options
from fdif_jax.cli.options import SeveralCommand, run_options


@click.command("generate-classification", cls=SeveralCommand)
@run_options("outputs/cls_<time>")
@classification_options
def command(**options: Any) -> None:
    """Write a classification data set: volumes of one solid each, with its class.

    Training and validation hold the same classes. A run that is stopped, by whatever, goes on
    where it was when the same command, with its --out_dir, is given again.
    """
    data_set.write(classification_from(options), options)
