"""Goldens of the networks: measured outputs, intermediates and gradients, and how to read them."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from deterministic import det_input, det_labels, det_tensor, hash_unit
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

from fdif_jax.interop import dynamic, monai, state
from fdif_jax.model_io import weights_of

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "tests/goldens/models", ROOT.parent / "shared/goldens/models")

_UNETR = {"hidden_size": 48, "mlp_size": 96, "heads": 4, "feature_size": 8, "out_channels": 3}
_RESENC = {
    "out_channels": 3,
    "features": (8, 16, 32, 40),
    "blocks": (1, 2, 2, 1),
    "decoder_convs": (1, 1, 1),
}

TABLES = {
    VNet: monai.vnet,
    UNETR: monai.unetr,
    SwinUNETR: monai.swin_unetr,
    ResEncUNet: dynamic.resenc,
    Primus: dynamic.primus,
}


def golden(name: str):
    """The arrays of one file; skips where it is neither in the tests nor beside the project."""
    for folder in FOLDERS:
        if (folder / f"{name}.npz").exists():
            return np.load(folder / f"{name}.npz")
    return pytest.skip(f"{name}.npz is neither in {FOLDERS[0]} nor in {FOLDERS[1]}")


def vnet(in_channels: int = 1, **options) -> VNet:
    config = VNetConfig(in_channels=in_channels, **({"out_channels": 3} | options))
    return VNet(config, rngs=nnx.Rngs(0))


def unetr(image_size=(32, 32, 32), **options) -> UNETR:
    return UNETR(UNETRConfig(image_size=image_size, **(_UNETR | options)), rngs=nnx.Rngs(0))


def swin(**options) -> SwinUNETR:
    config = SwinUNETRConfig(**({"feature_size": 12, "out_channels": 3} | options))
    return SwinUNETR(config, rngs=nnx.Rngs(0))


def resenc(aniso: bool = False, **options) -> ResEncUNet:
    kernels = ((1, 3, 3) if aniso else (3, 3, 3), *((3, 3, 3),) * 3)
    strides = ((1, 1, 1), (1, 2, 2) if aniso else (2, 2, 2), *((2, 2, 2),) * 2)
    config = ResEncConfig(kernels=kernels, strides=strides, **(_RESENC | options))
    return ResEncUNet(config, rngs=nnx.Rngs(0))


def primus(**options) -> Primus:
    config = PrimusConfig(
        **(
            {
                "out_channels": 3,
                "image_size": (32, 32, 48),
                "hidden_size": 144,
                "heads": 2,
                "depth": 3,
                "drop_path": 0.0,
            }
            | options
        )
    )
    return Primus(config, rngs=nnx.Rngs(0))


def entries(model):
    """The name table of a network's only head."""
    return list(TABLES[type(model)](model, "head"))


def with_golden_weights(model):
    """The network with the weights that the goldens were measured with."""
    table = entries(model)
    tensors = {
        e.key: det_tensor(e.key, e.torch_shape(state.variable_at(model, e.path).shape))
        for e in table
    }
    state.load(model, table, tensors)
    return model


def arrays(model) -> dict[str, np.ndarray]:
    """Weights by path, on the host: to compare them on the device compiles a program per shape."""
    return {name: np.asarray(value) for name, value in weights_of(model).items()}


def same_weights(a, b) -> bool:
    """Whether two networks hold the same numbers at the same paths."""
    ours, theirs = arrays(a), arrays(b)
    return ours.keys() == theirs.keys() and all((ours[k] == theirs[k]).all() for k in ours)


def to_ours(x: np.ndarray) -> jax.Array:
    """Channels first to channels last."""
    return jnp.asarray(np.moveaxis(x, 1, -1))


def to_golden(x: jax.Array) -> np.ndarray:
    """Maps to channels first; tokens as they are."""
    return np.moveaxis(np.asarray(x), -1, 1) if x.ndim == 5 else np.asarray(x)


def input_of(z) -> jax.Array:
    """The golden's input, stored or regenerated."""
    x = z["x"] if "x" in z else det_input(str(z["x_name"]), tuple(z["x_shape"]))
    return to_ours(x)


def labels_of(z) -> jax.Array:
    n, _, *size = z["x_shape"]
    return jnp.asarray(det_labels(str(z["x_name"]), (n, 1, *size), 3)[:, 0])


def dice_ce(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Dice with smoothing 1e-5 over every class, plus cross-entropy: the goldens' loss."""
    onehot = jax.nn.one_hot(labels, logits.shape[-1])
    p = jax.nn.softmax(logits, axis=-1)
    space = (1, 2, 3)
    met, total = (p * onehot).sum(space), (p + onehot).sum(space)
    dice = 1 - (2 * met + 1e-5) / (total + 1e-5)
    return dice.mean() - (jax.nn.log_softmax(logits) * onehot).sum(-1).mean()


def gradients(model, x, labels):
    """Loss, gradients as a model of the same structure, and the state after the step."""
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    @jax.jit
    def step(params, rest, x):
        def loss(params):
            net = nnx.merge(graph, params, rest, copy=True)
            return dice_ce(net(x), labels), nnx.state(net, nnx.Not(nnx.Param))

        return jax.value_and_grad(loss, has_aux=True)(params)

    (loss, rest), grads = step(params, rest, x)
    return float(loss), nnx.merge(graph, grads, rest), nnx.merge(graph, params, rest)


def last_bits(x, count):
    """``x``, then ``count`` inputs that differ from it by the last bit.

    A leaky ReLU has a kink. Where an input of one lies within rounding of it, two correct float32
    programs may take different slopes, and single gradients then differ by up to 4e-3: in the
    golden of Swin it is one value of 8e-7 among maps of 32^3. Moved by their last bit, inputs
    reach either side; a wrong formula is wrong on both.
    """
    yield x
    for seed in range(count):
        up = np.random.default_rng(seed).random(x.shape) < 0.5
        yield jnp.nextafter(x, jnp.where(up, jnp.inf, -jnp.inf).astype(x.dtype))


def projection(key: str, gradient: np.ndarray) -> float:
    """A signed fingerprint of a gradient in PyTorch's arrangement."""
    unit = hash_unit(f"proj:{key}", gradient.size).reshape(gradient.shape)
    return float((gradient.astype(np.float64) * unit).sum())
