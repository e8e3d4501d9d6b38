"""One small network of each kind, and its weights in the original's names."""

import numpy as np
from fdif_jax.models import (
    UNETR,
    Primus,
    PrimusConfig,
    ResEncConfig,
    ResEncUNet,
    SwinUNETR,
    SwinUNETRConfig,
    UNETRConfig,
    VNet,
    VNetConfig,
)
from flax import nnx

from fdif_jax.model_io import weights_of


def vnet(**options):
    return VNet(VNetConfig(**({"width": 2, "out_channels": 3} | options)), rngs=nnx.Rngs(0))


def unetr(**options):
    sizes = {"hidden_size": 48, "mlp_size": 96, "heads": 4, "feature_size": 4, "out_channels": 3}
    sizes["depth"] = 10  # the least that its decoder takes
    config = UNETRConfig(**({"image_size": (32, 32, 32)} | sizes | options))
    return UNETR(config, rngs=nnx.Rngs(0))


def swin(**options):
    sizes = {"feature_size": 12, "depths": (1, 1, 1, 1), "out_channels": 3}
    return SwinUNETR(SwinUNETRConfig(**(sizes | options)), rngs=nnx.Rngs(0))


def resenc(**options):
    sizes = {
        "out_channels": 3,
        "features": (4, 8, 16),
        "kernels": ((1, 3, 3), (3, 3, 3), (3, 3, 3)),
        "strides": ((1, 1, 1), (1, 2, 2), (2, 2, 2)),
        "blocks": (1, 2, 1),
        "decoder_convs": (1, 1),
    }
    return ResEncUNet(ResEncConfig(**(sizes | options)), rngs=nnx.Rngs(0))


def primus(**options):
    sizes = {"hidden_size": 72, "heads": 2, "depth": 2, "out_channels": 3, "drop_path": 0.2}
    config = PrimusConfig(**({"image_size": (16, 16, 24)} | sizes | options))
    return Primus(config, rngs=nnx.Rngs(0))


BUILDERS = {"vnet": vnet, "unetr": unetr, "swin_unetr": swin, "resenc": resenc, "primus": primus}


def same_weights(a, b):
    ours, theirs = weights_of(a), weights_of(b)
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[k], theirs[k]) for k in ours)
