"""Segmentation networks in Flax NNX; imports jax, flax and the project's errors only."""

from fdif_jax.models.heads import Classifier
from fdif_jax.models.primus import Primus, PrimusConfig
from fdif_jax.models.registry import PRESETS, Preset, build, create_model, model_config
from fdif_jax.models.resenc import ResEncUNet
from fdif_jax.models.resenc_plan import ResEncConfig
from fdif_jax.models.swin_unetr import SwinUNETR, SwinUNETRConfig
from fdif_jax.models.unetr import UNETR, UNETRConfig
from fdif_jax.models.vnet import VNet, VNetConfig

__all__ = [
    "PRESETS",
    "UNETR",
    "Classifier",
    "Preset",
    "Primus",
    "PrimusConfig",
    "ResEncConfig",
    "ResEncUNet",
    "SwinUNETR",
    "SwinUNETRConfig",
    "UNETRConfig",
    "VNet",
    "VNetConfig",
    "build",
    "create_model",
    "model_config",
]
