"""Formula-driven pre-training for 3-D medical segmentation, in JAX."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from fdif_jax.config import PAPER, SMALL, GenerateConfig
    from fdif_jax.model_io import load_model, save_model
    from fdif_jax.synth.catalog import Catalog
    from fdif_jax.synth.recipe import Recipe
    from fdif_jax.synth.recipes import make_recipe
    from fdif_jax.synth.stream import Batch, generate_volume, stream

_PUBLIC = {
    "Batch": "fdif_jax.synth.stream",
    "Catalog": "fdif_jax.synth.catalog",
    "GenerateConfig": "fdif_jax.config",
    "PAPER": "fdif_jax.config",
    "Recipe": "fdif_jax.synth.recipe",
    "SMALL": "fdif_jax.config",
    "generate_volume": "fdif_jax.synth.stream",
    "load_model": "fdif_jax.model_io",
    "make_recipe": "fdif_jax.synth.recipes",
    "save_model": "fdif_jax.model_io",
    "stream": "fdif_jax.synth.stream",
}

__all__ = [
    "PAPER",
    "SMALL",
    "Batch",
    "Catalog",
    "GenerateConfig",
    "Recipe",
    "__version__",
    "generate_volume",
    "load_model",
    "make_recipe",
    "save_model",
    "stream",
]


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first used: ``fdif --help`` need not wait for jax."""
    import importlib

    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
