"""Linear maps with PyTorch's initial values: float32 parameters, any compute dtype."""

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from fdif_jax.models.conv import Shape3, conv, patch_conv, patch_conv_transpose, rows_product
from fdif_jax.models.norms import constant
from flax import nnx
from jax import Array
from jax.typing import DTypeLike

_SHAPES_ONLY = contextvars.ContextVar("shapes only", default=False)


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Inside, initial values are zeros: for networks of which only the shapes are wanted.

    Tracing a hundred draws that nobody will read takes seconds.
    """
    token = _SHAPES_ONLY.set(True)
    try:
        yield
    finally:
        _SHAPES_ONLY.reset(token)


def uniform(rngs: nnx.Rngs, shape: tuple[int, ...], fan_in: int) -> Array:
    """U(-b, b) with ``b = 1 / sqrt(fan_in)``: PyTorch's default for weights and biases."""
    return _filled(_uniform_row, rngs, shape, 1.0 / math.sqrt(fan_in))


def he_normal(rngs: nnx.Rngs, shape: tuple[int, ...], fan_in: int) -> Array:
    """Normal for a leaky ReLU of slope 0.01: the start of nnU-Net's networks."""
    return _filled(_normal_row, rngs, shape, math.sqrt(2.0 / ((1.0 + 0.01**2) * fan_in)))


def normal(rngs: nnx.Rngs, shape: tuple[int, ...], std: float = 0.02) -> Array:
    """Normal with the given deviation: position tables."""
    return _filled(_normal_row, rngs, shape, std)


@partial(jax.jit, static_argnums=1)
def _uniform_row(key: Array, n: int) -> Array:
    return jax.random.uniform(key, (n,), jnp.float32, -1.0, 1.0)


@partial(jax.jit, static_argnums=1)
def _normal_row(key: Array, n: int) -> Array:
    return jax.random.normal(key, (n,), jnp.float32)


def _filled(
    draw: Callable[[Array, int], Array], rngs: nnx.Rngs, shape: tuple[int, ...], scale: float
) -> Array:
    """Random numbers of any shape from programs of few lengths.

    A network has a hundred shapes; a program for each took a minute to compile, these take a
    second. Traced or not, the numbers are the same.
    """
    if _SHAPES_ONLY.get():
        return jnp.zeros(shape)
    n = math.prod(shape)
    row = draw(rngs.params(), max(1024, 1 << (n - 1).bit_length()))
    if isinstance(row, jax.core.Tracer):
        return row[:n].reshape(shape) * jnp.float32(scale)
    return jnp.asarray(np.asarray(row)[:n].reshape(shape) * np.float32(scale))


class Linear(nnx.Module):
    """``x @ kernel + bias`` over the last axis.

    Args:
      in_features: I of the kernel (I, O).
      out_features: O.
      use_bias: also learn a bias (O,).
      dtype: compute dtype.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        use_bias: bool = True,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.dtype = dtype
        self.kernel = nnx.Param(uniform(rngs, (in_features, out_features), in_features))
        self.bias = nnx.Param(uniform(rngs, (out_features,), in_features)) if use_bias else None

    def __call__(self, x: Array) -> Array:
        """(..., I) to (..., O) in the compute dtype."""
        y = rows_product(x.astype(self.dtype), self.kernel[...].astype(self.dtype))
        return _add_bias(y, self.bias)


class Conv(nnx.Module):
    """3-D convolution: odd kernels pad symmetrically, a stride equal to the kernel pads nothing.

    Args:
      in_features: I of the kernel (kD, kH, kW, I, O).
      out_features: O.
      kernel_size: voxels per axis.
      stride: voxels per axis.
      use_bias: also learn a bias (O,).
      dtype: compute dtype.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: int | Shape3,
        stride: int | Shape3 = 1,
        *,
        use_bias: bool = False,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.kernel_size, self.stride, self.dtype = per_axis(kernel_size), per_axis(stride), dtype
        fan_in = in_features * math.prod(self.kernel_size)
        shape = (*self.kernel_size, in_features, out_features)
        self.kernel = nnx.Param(uniform(rngs, shape, fan_in))
        self.bias = nnx.Param(uniform(rngs, (out_features,), fan_in)) if use_bias else None

    def __call__(self, x: Array) -> Array:
        """(B, D, H, W, I) to (B, D / stride, H / stride, W / stride, O)."""
        x, kernel = x.astype(self.dtype), self.kernel[...].astype(self.dtype)
        if self.stride == self.kernel_size and max(self.stride) > 1:
            return _add_bias(patch_conv(x, kernel), self.bias)
        return _add_bias(conv(x, kernel, self.stride), self.bias)


class ConvTranspose(nnx.Module):
    """Transposed 3-D convolution with stride equal to the kernel: every voxel becomes a block.

    Args:
      in_features: I of the kernel (kD, kH, kW, I, O), which is not flipped.
      out_features: O.
      kernel_size: voxels per axis of a block.
      use_bias: also learn a bias (O,).
      dtype: compute dtype.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: int | Shape3 = 2,
        *,
        use_bias: bool = False,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.kernel_size, self.dtype = per_axis(kernel_size), dtype
        # PyTorch takes the fan-in of a transposed convolution from its output channels.
        fan_in = out_features * math.prod(self.kernel_size)
        shape = (*self.kernel_size, in_features, out_features)
        self.kernel = nnx.Param(uniform(rngs, shape, fan_in))
        self.bias = nnx.Param(uniform(rngs, (out_features,), fan_in)) if use_bias else None

    def __call__(self, x: Array) -> Array:
        """(B, D, H, W, I) to (B, kD * D, kH * H, kW * W, O)."""
        kernel = self.kernel[...].astype(self.dtype)
        return _add_bias(patch_conv_transpose(x.astype(self.dtype), kernel), self.bias)


def he_start(module: Conv | ConvTranspose, rngs: nnx.Rngs) -> None:
    """He normal kernel by PyTorch's fan-in, zero bias: the start of nnU-Net's networks."""
    *size, i, o = module.kernel.shape
    fan_in = math.prod(size) * (i if isinstance(module, Conv) else o)
    module.kernel.set_value(he_normal(rngs, module.kernel.shape, fan_in))
    if module.bias is not None:
        module.bias.set_value(constant(0.0, module.bias.shape[0]))


def per_axis(size: int | Shape3) -> Shape3:
    """One number, or three, as three."""
    return (size, size, size) if isinstance(size, int) else tuple(size)  # type: ignore[return-value]


def _add_bias(y: Array, bias: nnx.Param | None) -> Array:
    return y if bias is None else y + bias[...].astype(y.dtype)
