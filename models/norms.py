"""Normalisation with float32 statistics, each fused with the activation that follows it.

The backward pass keeps the input, one mean and one deviation per channel, and computes the rest
again; automatic differentiation would keep several tensors of the input's size.
"""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array, lax

Activation = Literal["none", "leaky_relu", "elu"]

EPSILON = 1e-5  # of every norm here but Primus' decoder
LEAKY_SLOPE = 0.01
_SPACE = (1, 2, 3)
_BATCH_AND_SPACE = (0, 1, 2, 3)


class InstanceNorm(nnx.Module):
    """Zero mean and unit variance per sample and channel over space; same in train and eval.

    Args:
      features: channels; only used where ``affine``.
      affine: learn a scale and a bias per channel (ResEnc); without it there are no parameters.
      activation: applied to the result.
    """

    def __init__(self, features: int, *, affine: bool = False, activation: Activation = "none"):
        self.activation: Activation = activation
        self.scale = nnx.Param(constant(1.0, features)) if affine else None
        self.bias = nnx.Param(constant(0.0, features)) if affine else None

    def __call__(self, x: Array) -> Array:
        """Same shape and dtype as ``x``, (B, D, H, W, C)."""
        scale = None if self.scale is None else self.scale[...]
        bias = None if self.bias is None else self.bias[...]
        return standardize(x, scale, bias, _SPACE, self.activation)[0]


class BatchNorm(nnx.Module):
    """Batch normalisation with PyTorch's running statistics.

    In training the batch's biased variance normalises, while the running variance takes the
    unbiased one with weight 0.1.

    Args:
      features: channels.
      activation: applied to the result.
    """

    def __init__(self, features: int, *, activation: Activation = "none"):
        self.activation: Activation = activation
        self.use_running_average = False
        self.scale = nnx.Param(constant(1.0, features))
        self.bias = nnx.Param(constant(0.0, features))
        self.mean = nnx.BatchStat(constant(0.0, features))
        self.var = nnx.BatchStat(constant(1.0, features))

    def __call__(self, x: Array) -> Array:
        """Same shape and dtype as ``x``, (B, D, H, W, C)."""
        if self.use_running_average:
            factor = lax.rsqrt(self.var[...] + EPSILON) * self.scale[...]
            y = (x.astype(jnp.float32) - self.mean[...]) * factor + self.bias[...]
            return activate(y, self.activation).astype(x.dtype)
        y, mean, var = standardize(
            x, self.scale[...], self.bias[...], _BATCH_AND_SPACE, self.activation
        )
        n = x.size // x.shape[-1]
        self.mean[...] = 0.9 * self.mean[...] + 0.1 * lax.stop_gradient(mean.reshape(-1))
        unbiased = lax.stop_gradient(var.reshape(-1)) * (n / (n - 1))
        self.var[...] = 0.9 * self.var[...] + 0.1 * unbiased
        return y


class LayerNorm(nnx.Module):
    """Layer normalisation over channels with scale and bias.

    Args:
      features: channels.
      epsilon: 1e-5 as in PyTorch (flax: 1e-6).
    """

    def __init__(self, features: int, *, epsilon: float = EPSILON):
        self.epsilon = epsilon
        self.scale = nnx.Param(constant(1.0, features))
        self.bias = nnx.Param(constant(0.0, features))

    def __call__(self, x: Array) -> Array:
        """Same shape and dtype as ``x``, channels last."""
        y = layer_norm(x.astype(jnp.float32), self.epsilon)
        return (y * self.scale[...] + self.bias[...]).astype(x.dtype)


def layer_norm(x: Array, epsilon: float = EPSILON) -> Array:
    """Zero mean, unit variance over the last axis, without parameters."""
    y = x.astype(jnp.float32)
    y = y - y.mean(-1, keepdims=True)
    return (y * lax.rsqrt((y * y).mean(-1, keepdims=True) + epsilon)).astype(x.dtype)


def activate(x: Array, activation: Activation) -> Array:
    """The named activation; ELU with alpha 1, leaky ReLU with slope 0.01."""
    if activation == "leaky_relu":
        return jnp.where(x > 0, x, LEAKY_SLOPE * x)
    if activation == "elu":
        return jax.nn.elu(x)
    return x


def _slope(z: Array, activation: Activation) -> Array:
    """Derivative of the activation at ``z``."""
    if activation == "leaky_relu":
        return jnp.where(z > 0, 1.0, LEAKY_SLOPE)
    return jnp.where(z > 0, 1.0, jnp.exp(jnp.minimum(z, 0.0)))


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def standardize(
    x: Array, scale: Array | None, bias: Array | None, axes: tuple[int, ...], activation: Activation
) -> tuple[Array, Array, Array]:
    """``activation(scale * (x - mean) / std + bias)`` with the mean and variance over ``axes``.

    Returns:
      the result in the dtype of ``x``; mean and biased variance, float32, without gradients.
    """
    y = x.astype(jnp.float32)
    mean = y.mean(axes, keepdims=True)
    var = jnp.square(y - mean).mean(axes, keepdims=True)
    y = _affine((y - mean) * lax.rsqrt(var + EPSILON), scale, bias)
    return activate(y, activation).astype(x.dtype), mean, var


def _standardize_forward(
    x: Array, scale: Array | None, bias: Array | None, axes: tuple[int, ...], activation: Activation
):
    y, mean, var = standardize(x, scale, bias, axes, activation)
    return (y, mean, var), (x, scale, bias, mean, var)


def _standardize_backward(axes: tuple[int, ...], activation: Activation, saved, grads):
    x, scale, bias, mean, var = saved
    inverse = lax.rsqrt(var + EPSILON)
    unit = (x.astype(jnp.float32) - mean) * inverse
    g = grads[0].astype(jnp.float32)
    if activation != "none":
        g = g * _slope(_affine(unit, scale, bias), activation)
    dbias = None if bias is None else g.sum(_BATCH_AND_SPACE)
    dscale = None if scale is None else (g * unit).sum(_BATCH_AND_SPACE)
    g = g if scale is None else g * scale
    along = (g * unit).mean(axes, keepdims=True)
    dx = inverse * (g - g.mean(axes, keepdims=True) - unit * along)
    return dx.astype(x.dtype), dscale, dbias


standardize.defvjp(_standardize_forward, _standardize_backward)


def _affine(x: Array, scale: Array | None, bias: Array | None) -> Array:
    if scale is not None:
        x = x * scale
    return x if bias is None else x + bias


def constant(value: float, features: int) -> Array:
    """A float32 vector; put on the device as it is, without a program for its shape."""
    return jnp.asarray(np.full(features, value, np.float32))
