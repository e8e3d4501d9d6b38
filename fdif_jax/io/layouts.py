"""The layouts by name; a new one is a class with the methods of ``Layout`` and a row here."""

from collections.abc import Callable

from fdif_jax.io.layout import Layout
from fdif_jax.io.manifest import Generation
from fdif_jax.io.monai import MonaiLayout
from fdif_jax.io.nnunet import NnunetLayout
from fdif_jax.io.ssl3d import Ssl3dLayout

LAYOUTS: dict[str, Callable[[Generation], Layout]] = {
    "monai": MonaiLayout,
    "nnunet": NnunetLayout,
    "ssl3d": Ssl3dLayout,
}


def layout_for(generation: Generation) -> Layout:
    """The layout that the configuration names."""
    return LAYOUTS[generation.config.layout](generation)
