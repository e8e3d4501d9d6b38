"""Three convolutions on ``(B, D, H, W, C)``, each in the form that is fast on its platform.

XLA's own 3-D convolution is the right call on GPU and TPU. On a CPU it is 3 to 10 times slower
than the machine allows, its gradients more so; there the same numbers come from

- stride 1: plane convolutions, fewer of them than the kernel has taps (``winograd``), its
  gradients alike;
- of one to four channels: one 2-D convolution whose channels are (depth tap, channel), and a
  kernel gradient by products of shifted copies;
- on the smallest maps, where the kernel is the larger operand: one product over columns;
- stride equal to the kernel, and its transpose: a reshape and one matrix product.

The choice falls at lowering (``jax.lax.platform_dependent``), so one program text serves all.

Measured by ``python scripts/bench_conv.py``, whose docstring holds the table.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from fdif_jax.models import winograd
from fdif_jax.models.winograd import largest_divisor, plane_conv
from jax import Array, lax

_DIMS_3D = ("NDHWC", "DHWIO", "NDHWC")
_FEW_CHANNELS = 4  # up to here depth taps and channels are one axis
_SHIFTED_ROWS = 8192  # voxels of a slab whose shifted copies stay in the cache
_TINY_VOXELS = 6**3  # up to here the kernel is larger than the map: one product over columns

Shape3 = tuple[int, int, int]


def conv(x: Array, kernel: Array, stride: Shape3 = (1, 1, 1)) -> Array:
    """Convolution with odd kernel sizes and symmetric padding ``(k - 1) // 2`` per axis.

    The padding is explicit on both sides: with stride 2 this is PyTorch's ``padding=1`` and
    differs from XLA's ``"SAME"``, which pads at the end only.

    Args:
      x: (B, D, H, W, I).
      kernel: (kD, kH, kW, I, O), in the dtype of ``x``.
      stride: per axis; the output has ``ceil(size / stride)`` voxels.
    """
    if kernel.shape[:3] == (1, 1, 1) and stride == (1, 1, 1):
        return rows_product(x, kernel[0, 0, 0])
    if stride == (1, 1, 1):
        return _unit_stride(x, kernel)
    return lax.platform_dependent(
        x,
        kernel,
        cpu=lambda x, k: strided_by_taps(x, k, stride),
        default=lambda x, k: native(x, k, stride),
    )


def patch_conv(x: Array, kernel: Array) -> Array:
    """Convolution with stride equal to the kernel, no padding.

    Args:
      x: (B, D, H, W, I), every size a multiple of the kernel's.
      kernel: (kD, kH, kW, I, O).
    """
    size = kernel.shape[:3]
    return lax.platform_dependent(
        x,
        kernel,
        cpu=patch_conv_as_product,
        default=lambda x, k: lax.conv_general_dilated(
            x, k, size, "VALID", dimension_numbers=_DIMS_3D
        ),
    )


def patch_conv_transpose(x: Array, kernel: Array) -> Array:
    """Transpose of ``patch_conv``: every voxel becomes a block of the kernel's size.

    ``out[k * i + a] = x[i] @ kernel[a]``; the blocks do not overlap.

    Args:
      x: (B, D, H, W, I).
      kernel: (kD, kH, kW, I, O); PyTorch's (I, O, kD, kH, kW) transposed, not flipped.
    """
    return lax.platform_dependent(
        x,
        kernel,
        cpu=patch_conv_transpose_as_product,
        default=patch_conv_transpose_native,
    )


def rows_product(x: Array, kernel: Array) -> Array:
    """``x @ kernel`` over the last axis, as one product of two matrices.

    With the other axes flattened the gradient of ``kernel`` is a plain product too; over several
    axes XLA transposes both operands for it first.
    """
    y = x.reshape(-1, x.shape[-1]) @ kernel
    return y.reshape(*x.shape[:-1], kernel.shape[-1])


# Forms. Public, so that the tests can hold each against the others.


def native(x: Array, kernel: Array, stride: Shape3 = (1, 1, 1)) -> Array:
    """``conv`` as XLA's own 3-D convolution."""
    padding = [((k - 1) // 2,) * 2 for k in kernel.shape[:3]]
    return lax.conv_general_dilated(x, kernel, stride, padding, dimension_numbers=_DIMS_3D)


def patch_conv_as_product(x: Array, kernel: Array) -> Array:
    """``patch_conv`` as a reshape and one matrix product."""
    (a, b, c, i, o), (n, d, h, w, _) = kernel.shape, x.shape
    blocks = x.reshape(n, d // a, a, h // b, b, w // c, c, i).transpose(0, 1, 3, 5, 2, 4, 6, 7)
    rows = blocks.reshape(n, d // a, h // b, w // c, a * b * c * i)
    return rows_product(rows, kernel.reshape(-1, o))


def patch_conv_transpose_as_product(x: Array, kernel: Array) -> Array:
    """``patch_conv_transpose`` as one matrix product and a reshape."""
    (a, b, c, i, o), (n, d, h, w, _) = kernel.shape, x.shape
    blocks = rows_product(x, kernel.transpose(3, 0, 1, 2, 4).reshape(i, -1))
    blocks = blocks.reshape(n, d, h, w, a, b, c, o).transpose(0, 1, 4, 2, 5, 3, 6, 7)
    return blocks.reshape(n, d * a, h * b, w * c, o)


def patch_conv_transpose_native(x: Array, kernel: Array) -> Array:
    """``patch_conv_transpose`` as XLA's own transposed convolution."""
    flipped = kernel[::-1, ::-1, ::-1]
    size = kernel.shape[:3]
    return lax.conv_transpose(x, flipped, size, "VALID", dimension_numbers=_DIMS_3D)


def strided_by_taps(x: Array, kernel: Array, stride: Shape3) -> Array:
    """``conv`` with any stride: a sum over the depth taps of 2-D convolutions."""
    n, depth, h, w, i = x.shape
    k = kernel.shape[0]
    pad = (k - 1) // 2
    planes = (depth + 2 * pad - k) // stride[0] + 1
    padded = jnp.pad(x, ((0, 0), (pad, pad), (0, 0), (0, 0), (0, 0)))
    total = None
    for tap in range(k):
        last = tap + (planes - 1) * stride[0] + 1
        picked = padded[:, tap : last : stride[0]].reshape(n * planes, h, w, i)
        part = plane_conv(picked, kernel[tap], stride[1:])
        total = part if total is None else total + part
    return total.reshape(n, planes, *total.shape[1:])  # type: ignore[union-attr]


def by_columns(x: Array, kernel: Array) -> Array:
    """``conv`` with stride 1 as one product: every voxel's neighbourhood is a row."""
    size = kernel.shape[:3]
    return rows_product(_neighbourhoods(x, size), kernel.reshape(-1, kernel.shape[-1]))


def kernel_gradient_by_columns(x: Array, grad: Array, size: Shape3) -> Array:
    """Gradient of ``conv`` with respect to its kernel as one product."""
    columns = _neighbourhoods(x, size)
    taken = columns.reshape(-1, columns.shape[-1])
    return _rows_product(taken, grad.reshape(-1, grad.shape[-1])).reshape(
        *size, x.shape[-1], grad.shape[-1]
    )


def input_gradient_by_columns(grad: Array, kernel: Array) -> Array:
    """Gradient of ``conv`` with respect to its input as one product and a sum of its rows."""
    *size, i, o = kernel.shape
    rows = lax.dot_general(grad, kernel.reshape(-1, o), (((4,), (1,)), ((), ())))
    shape = jax.ShapeDtypeStruct((*grad.shape[:4], i), rows.dtype)
    (dx,) = jax.linear_transpose(lambda x: _neighbourhoods(x, size), shape)(rows)
    return dx


def by_folded_taps(x: Array, kernel: Array) -> Array:
    """``conv`` with stride 1 as one 2-D convolution whose channels are (depth tap, channel)."""
    (k, kh, kw, i, o), (n, depth, h, w, _) = kernel.shape, x.shape
    padded = jnp.pad(x, ((0, 0), ((k - 1) // 2,) * 2, (0, 0), (0, 0), (0, 0)))
    folded = jnp.concatenate([padded[:, tap : tap + depth] for tap in range(k)], axis=-1)
    flat = kernel.transpose(1, 2, 0, 3, 4).reshape(kh, kw, k * i, o)
    return plane_conv(folded.reshape(n * depth, h, w, k * i), flat).reshape(n, depth, h, w, o)


def kernel_gradient_by_shifts(x: Array, grad: Array, size: Shape3) -> Array:
    """Gradient of ``conv`` with respect to its kernel, for few input channels.

    With channels in front, every tap of the kernel is a row: a shifted copy of whole lines. One
    product of all rows with a slab of the output gradient gives all taps.
    """
    (kd, kh, kw), (_, depth, h, w, i), o = size, x.shape, grad.shape[-1]
    slab = largest_divisor(depth, _SHIFTED_ROWS // (h * w))
    pads = [(0, 0), (0, 0), *(((k - 1) // 2,) * 2 for k in size)]
    padded = jnp.pad(x.transpose(0, 4, 1, 2, 3), pads)
    parts = grad.reshape(-1, slab * h * w, o)

    def add_slab(total: Array, index: Array) -> tuple[Array, None]:
        start = (index // (depth // slab), 0, index % (depth // slab) * slab, 0, 0)
        extent = (1, i, slab + kd - 1, h + kh - 1, w + kw - 1)
        part = lax.dynamic_slice(padded, start, extent)[0]
        shifts = [part[:, a : a + slab, b : b + h, c : c + w] for a, b, c in np.ndindex(size)]
        rows = jnp.concatenate(shifts).reshape(-1, slab * h * w)
        return total + jnp.matmul(rows, parts[index], preferred_element_type=jnp.float32), None

    zero = jnp.zeros((math.prod(size) * i, o), jnp.float32)
    total, _ = lax.scan(add_slab, zero, jnp.arange(len(parts)))
    return total.reshape(*size, i, o)


@jax.custom_vjp
def _unit_stride(x: Array, kernel: Array) -> Array:
    return lax.platform_dependent(x, kernel, cpu=_conv_on_cpu, default=native)


def _unit_stride_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _unit_stride(x, kernel), (x, kernel)


def _unit_stride_backward(saved: tuple[Array, Array], grad: Array) -> tuple[Array, Array]:
    x, kernel = saved
    dx = lax.platform_dependent(
        grad,
        kernel,
        cpu=_input_gradient_on_cpu,
        default=lambda g, k: native(g, mirrored(k)),
    )
    dk = lax.platform_dependent(
        x,
        grad,
        cpu=lambda x, g: _kernel_gradient_on_cpu(x, g, kernel.shape[:3]),
        default=lambda x, g: _native_kernel_gradient(x, g, kernel.shape[:3]),
    )
    return dx, dk.astype(kernel.dtype)


_unit_stride.defvjp(_unit_stride_forward, _unit_stride_backward)


def _conv_on_cpu(x: Array, kernel: Array) -> Array:
    if math.prod(x.shape[1:4]) <= _TINY_VOXELS:
        return by_columns(x, kernel)
    if x.shape[-1] <= _FEW_CHANNELS:
        return by_folded_taps(x, kernel)
    return winograd.conv(x, kernel)


def _input_gradient_on_cpu(grad: Array, kernel: Array) -> Array:
    if math.prod(grad.shape[1:4]) <= _TINY_VOXELS:
        return input_gradient_by_columns(grad, kernel)
    if grad.shape[-1] <= _FEW_CHANNELS:
        return by_folded_taps(grad, mirrored(kernel))
    return winograd.input_gradient(grad, kernel)


def _kernel_gradient_on_cpu(x: Array, grad: Array, size: Shape3) -> Array:
    if math.prod(x.shape[1:4]) <= _TINY_VOXELS:
        return kernel_gradient_by_columns(x, grad, size)
    if x.shape[-1] <= _FEW_CHANNELS:
        return kernel_gradient_by_shifts(x, grad, size)
    return winograd.kernel_gradient(x, grad, size)


def mirrored(kernel: Array) -> Array:
    """The kernel of the input's gradient, (kD, kH, kW, O, I)."""
    return kernel[::-1, ::-1, ::-1].swapaxes(3, 4)


def _native_kernel_gradient(x: Array, grad: Array, size: Shape3) -> Array:
    shape = jax.ShapeDtypeStruct((*size, x.shape[-1], grad.shape[-1]), x.dtype)
    (dk,) = jax.linear_transpose(lambda k: native(x, k), shape)(grad)
    return dk.astype(jnp.float32)


def _neighbourhoods(x: Array, size: Shape3) -> Array:
    """(B, D, H, W, kD * kH * kW * C): the voxels under the kernel, side by side."""
    b, *extent, c = x.shape
    padded = jnp.pad(x, ((0, 0), *((k // 2, k // 2) for k in size), (0, 0)))
    numbers = np.arange(math.prod(padded.shape[1:4])).reshape(padded.shape[1:4])
    picked = np.lib.stride_tricks.sliding_window_view(numbers, size).reshape(-1)
    rows = jnp.take(padded.reshape(b, -1, c), picked, axis=1, mode="clip")
    return rows.reshape(b, *extent, math.prod(size) * c)


def _rows_product(x: Array, grad: Array) -> Array:
    """``x.T @ grad`` with a float32 result."""
    return lax.dot_general(x, grad, (((0,), (0,)), ((), ())), preferred_element_type=jnp.float32)
