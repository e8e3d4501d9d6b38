"""Normalisation with float32 statistics, each fused with the activation that follows it.

The backward pass keeps the input, one mean and one deviation per channel, and computes the rest
again; automatic differentiation would keep several tensors of the input's size.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from fdif_jax.models.winograd import largest_divisor
from flax import nnx
from jax import Array, lax

Activation = Literal["none", "leaky_relu", "elu"]
Terms = Callable[..., tuple[Array, ...]]

EPSILON = 1e-5  # of every norm here but Primus' decoder
LEAKY_SLOPE = 0.01
_SLAB = 2**18  # numbers of a map that are summed at a time: they stay in the cache
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

    Attributes:
      axis_name: mesh axis over which the batch is spread, if it is; see ``layers.spread``.
    """

    def __init__(self, features: int, *, activation: Activation = "none"):
        self.activation: Activation = activation
        self.axis_name: str | None = None
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
            x, self.scale[...], self.bias[...], _BATCH_AND_SPACE, self.activation, self.axis_name
        )
        n = _count(x, _BATCH_AND_SPACE, self.axis_name)
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


@partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def standardize(
    x: Array,
    scale: Array | None,
    bias: Array | None,
    axes: tuple[int, ...],
    activation: Activation,
    axis_name: str | None = None,
) -> tuple[Array, Array, Array]:
    """``activation(scale * (x - mean) / std + bias)`` with the mean and variance over ``axes``.

    Args:
      x: (B, D, H, W, C).
      scale: (C,), or None for 1.
      bias: (C,), or None for 0.
      axes: space, or batch and space.
      activation: applied to the result.
      axis_name: mesh axis that the batch is spread over; its parts are averaged together.

    Returns:
      the result in the dtype of ``x``; mean and biased variance, float32, without gradients.
    """
    n = _count(x, axes, axis_name)
    mean = x.astype(jnp.float32).mean(axes, keepdims=True)
    if axis_name is not None:
        mean = lax.pmean(mean, axis_name)
    squares = _sums(lambda y, mean: (jnp.square(y.astype(jnp.float32) - mean),), (x,), (mean,))[0]
    var = _over(squares, axes, axis_name) / n
    y = _affine((x.astype(jnp.float32) - mean) * lax.rsqrt(var + EPSILON), scale, bias)
    return activate(y, activation).astype(x.dtype), mean, var


def _standardize_forward(
    x: Array,
    scale: Array | None,
    bias: Array | None,
    axes: tuple[int, ...],
    activation: Activation,
    axis_name: str | None,
):
    y, mean, var = standardize(x, scale, bias, axes, activation, axis_name)
    return (y, mean, var), (x, scale, bias, mean, var)


def _standardize_backward(
    axes: tuple[int, ...], activation: Activation, axis_name: str | None, saved, grads
):
    x, scale, bias, mean, var = saved
    n = _count(x, axes, axis_name)
    inverse = lax.rsqrt(var + EPSILON)

    def inner(x, grad, mean, inverse):
        """Gradient in front of the activation, and the standardized input."""
        unit = (x.astype(jnp.float32) - mean) * inverse
        g = grad.astype(jnp.float32)
        if activation != "none":
            g = g * _slope(_affine(unit, scale, bias), activation)
        return g, unit

    def terms(x, grad, mean, inverse):
        g, unit = inner(x, grad, mean, inverse)
        return g, g * unit

    plain, along = _sums(terms, (x, grads[0]), (mean, inverse))
    g, unit = inner(x, grads[0], mean, inverse)
    shift, tilt = (_over(sums, axes, axis_name) / n for sums in (plain, along))
    dx = inverse * (g - shift - unit * tilt)
    dx = dx if scale is None else dx * scale
    dscale = None if scale is None else _over(along, _BATCH_AND_SPACE).reshape(-1)
    dbias = None if bias is None else _over(plain, _BATCH_AND_SPACE).reshape(-1)
    return dx.astype(x.dtype), dscale, dbias


standardize.defvjp(_standardize_forward, _standardize_backward)


def _sums(terms: Terms, maps: tuple[Array, ...], constants: tuple[Array, ...]) -> list[Array]:
    """Sums over space of ``terms(*maps, *constants)``, each (B, 1, 1, 1, C).

    On a CPU a few planes at a time: XLA writes what it sums to memory first, and new memory of a
    map's size takes longer than the sums.
    """
    return lax.platform_dependent(
        maps,
        constants,
        cpu=partial(_sums_by_planes, terms),
        default=lambda maps, constants: [
            term.sum(_SPACE, keepdims=True) for term in terms(*maps, *constants)
        ],
    )


def _sums_by_planes(
    terms: Terms, maps: tuple[Array, ...], constants: tuple[Array, ...]
) -> list[Array]:
    depth = maps[0].shape[1]
    planes = largest_divisor(depth, _SLAB * depth // maps[0].size)

    def one(totals: list[Array], index: Array) -> tuple[list[Array], None]:
        parts = [lax.dynamic_slice_in_dim(m, index * planes, planes, axis=1) for m in maps]
        found = terms(*parts, *constants)
        return [t + f.sum(_SPACE, keepdims=True) for t, f in zip(totals, found, strict=True)], None

    shapes = jax.eval_shape(terms, *maps, *constants)
    zeros = [jnp.zeros((s.shape[0], 1, 1, 1, s.shape[-1]), s.dtype) for s in shapes]
    if planes == depth:
        return one(zeros, jnp.int32(0))[0]
    return lax.scan(one, zeros, jnp.arange(depth // planes))[0]


def _count(x: Array, axes: tuple[int, ...], axis_name: str | None) -> int:
    """How many numbers one mean is over."""
    parts = 1 if axis_name is None else lax.axis_size(axis_name)
    return math.prod(x.shape[a] for a in axes) * parts


def _over(sums: Array, axes: tuple[int, ...], axis_name: str | None = None) -> Array:
    """Sums over space, also over the batch, and its parts, where it is among ``axes``."""
    sums = sums.sum(0, keepdims=True) if 0 in axes else sums
    return sums if axis_name is None else lax.psum(sums, axis_name)


def _affine(x: Array, scale: Array | None, bias: Array | None) -> Array:
    if scale is not None:
        x = x * scale
    return x if bias is None else x + bias


def constant(value: float, features: int) -> Array:
    """A float32 vector; put on the device as it is, without a program for its shape."""
    return jnp.asarray(np.full(features, value, np.float32))
