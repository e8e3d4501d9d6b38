"""Formula-driven pre-training for 3-D medical segmentation, in JAX."""

__version__ = "0.1.0"
