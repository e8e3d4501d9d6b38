"""The layouts by name; a new one is a class with the methods of ``Layout`` and a row here."""

from collections.abc import Callable

from fdif_jax.io.layout import Layout
from fdif_jax.io.manifest import Generation
from fdif_jax.io.monai import MonaiLayout
from fdif_jax.io.nnunet import NnunetLayout

LAYOUTS: dict[str, Callable[[Generation], Layout]] = {"monai": MonaiLayout, "nnunet": NnunetLayout}


def layout_for(generation: Generation) -> Layout:
    """The layout that the configuration names."""
    return LAYOUTS[generation.config.layout](generation)
