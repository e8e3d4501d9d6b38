"""Three convolutions on ``(B, D, H, W, C)``, each in the form that is fast on its platform.

XLA's own 3-D convolution is the right call on GPU and TPU. On a CPU it is 3 to 10 times slower
than the machine allows, its gradients more so; there the same numbers come from

- forward and input gradient: a sum over the depth taps of 2-D convolutions, a slab of planes at
  a time so that the partial sums stay in the cache;
- weight gradient: per plane, one matrix product for each tap in the plane, between the shifted
  rows of ``x`` and all depth shifts of the output gradient side by side (few copies, wide
  products);
- on the smallest maps, where the kernel is the larger operand: one product over columns;
- stride equal to the kernel, and its transpose: a reshape and one matrix product.

The choice falls at lowering (``jax.lax.platform_dependent``), so one program text serves all.

Measured by ``python scripts/bench_conv.py``, whose docstring holds the table.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

_DIMS_3D = ("NDHWC", "DHWIO", "NDHWC")
_DIMS_2D = ("NHWC", "HWIO", "NHWC")
_SLAB_BYTES = 3 * 2**20  # input and output of a slab of planes: about one core's L2 cache
_SMALL_BYTES = 2**20  # a whole volume below this is not worth a loop
_PLANE_ROWS = 2048  # rows of one matrix product of the weight gradient
_LANES = 16  # output channels are padded to a multiple: 14 took longer than 32 do
_FEW_CHANNELS = 4  # up to here the depth taps are folded into the channels
_TINY_VOXELS = 5**3  # up to here the kernel is larger than the map: one product over columns
_SMALL_VOXELS = 12**3  # up to here the weight gradient takes one product per tap

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
        part = _conv2d(picked, kernel[tap], stride[1:])
        total = part if total is None else total + part
    return total.reshape(n, planes, *total.shape[1:])  # type: ignore[union-attr]


def by_planes(x: Array, kernel: Array) -> Array:
    """``conv`` with stride 1: depth taps of 2-D convolutions, a slab of planes at a time."""
    n, depth, h, w, i = x.shape
    k, *_, o = kernel.shape
    pad = (k - 1) // 2
    if i <= _FEW_CHANNELS:
        return _by_folded_taps(x, kernel)
    plane_bytes = h * w * (i + o) * x.dtype.itemsize
    slab = depth
    if n * depth * plane_bytes > _SMALL_BYTES:
        slab = _largest_divisor(depth, max(1, _SLAB_BYTES // plane_bytes))
    slabs = depth // slab
    wide = jnp.pad(kernel, ((0, 0),) * 4 + ((0, -o % _LANES),))

    def one_slab(index: Array) -> Array:
        part = _planes(x, index // slabs, (index % slabs) * slab - pad, slab + k - 1)
        return sum(_conv2d(part[tap : tap + slab], wide[tap]) for tap in range(k))[..., :o]

    if slab + k - 1 > depth:
        padded = jnp.pad(x, ((0, 0), (pad, pad), (0, 0), (0, 0), (0, 0)))
        parts = [padded[:, tap : tap + depth].reshape(n * depth, h, w, i) for tap in range(k)]
        out = sum(_conv2d(part, wide[tap]) for tap, part in enumerate(parts))[..., :o]
    else:
        out = lax.map(one_slab, jnp.arange(n * slabs))
    return out.reshape(n, depth, h, w, o)


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


def kernel_gradient_by_planes(x: Array, grad: Array, size: Shape3) -> Array:
    """Gradient of stride-1 ``conv`` with respect to its kernel, (kD, kH, kW, I, O).

    Planes are padded and flattened to rows, so that a tap (b, c) within the plane is a shift of
    the rows. The ``kD`` planes of ``grad`` that meet one plane of ``x`` stand side by side: one
    product per in-plane tap gives the gradients of all depth taps.
    """
    (kd, kh, kw), (n, depth, h, w, i), o = size, x.shape, grad.shape[-1]
    hp, wp = h + kh - 1, w + kw - 1
    slab = _largest_divisor(depth, max(1, _PLANE_ROWS // (hp * wp)))
    if slab + kd - 1 > depth:
        return kernel_gradient_by_taps(x, grad, size)
    slabs = depth // slab
    before = ((0, 0), ((kh - 1) // 2, kh // 2), ((kw - 1) // 2, kw // 2), (0, 0))
    behind = ((0, 0), (0, kh - 1), (0, kw - 1), (0, 0))
    rows = slab * hp * wp
    length = rows - (kh - 1) * wp - (kw - 1)  # beyond this the gradient's rows are padding

    def add_slab(total: Array, index: Array) -> tuple[Array, None]:
        item, first = index // slabs, (index % slabs) * slab
        xs = lax.dynamic_slice(x, (item, first, 0, 0, 0), (1, slab, h, w, i))[0]
        xs = jnp.pad(xs, before).reshape(rows, i)
        # Depth tap a joins plane d of x with plane d + (kd - 1) / 2 - a of the gradient.
        gs = jnp.pad(_planes(grad, item, first - kd // 2, slab + kd - 1), behind)
        shifts = [gs[kd - 1 - a : kd - 1 - a + slab].reshape(rows, o) for a in range(kd)]
        side_by_side = jnp.concatenate(shifts, axis=-1)[:length]

        def one_tap(tap: Array) -> Array:
            shifted = lax.dynamic_slice_in_dim(xs, (tap // kw) * wp + tap % kw, length)
            return _rows_product(shifted, side_by_side)

        # A loop, not kh * kw products in the program's text: it compiles that much faster.
        return total + lax.map(one_tap, jnp.arange(kh * kw)), None

    zero = jnp.zeros((kh * kw, i, kd * o), jnp.float32)
    total, _ = lax.scan(add_slab, zero, jnp.arange(n * slabs))
    return total.reshape(kh, kw, i, kd, o).transpose(3, 0, 1, 2, 4)


def kernel_gradient_by_taps(x: Array, grad: Array, size: Shape3) -> Array:
    """The same gradient for small volumes: one product per tap over all voxels."""
    front = [(s - 1) // 2 for s in size]
    pads = [(f, s - 1 - f) for s, f in zip(size, front, strict=True)]
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    rows = grad.reshape(-1, grad.shape[-1])

    def one_tap(tap: Array) -> Array:
        start = (0, tap // (size[1] * size[2]), tap // size[2] % size[1], tap % size[2], 0)
        shifted = lax.dynamic_slice(padded, start, x.shape)
        return _rows_product(shifted.reshape(-1, x.shape[-1]), rows)

    taps = lax.map(one_tap, jnp.arange(math.prod(size)))
    return taps.reshape(*size, x.shape[-1], grad.shape[-1])


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
        default=lambda g, k: native(g, _mirrored(k)),
    )
    dk = lax.platform_dependent(
        x,
        grad,
        cpu=lambda x, g: _kernel_gradient_on_cpu(x, g, kernel.shape[:3]),
        default=lambda x, g: _native_kernel_gradient(x, g, kernel.shape[:3]),
    )
    return dx, dk.astype(kernel.dtype)


_unit_stride.defvjp(_unit_stride_forward, _unit_stride_backward)


def _kernel_gradient_on_cpu(x: Array, grad: Array, size: Shape3) -> Array:
    if math.prod(x.shape[:4]) <= _TINY_VOXELS:
        return kernel_gradient_by_columns(x, grad, size)
    if x.shape[-1] <= _FEW_CHANNELS:
        return _native_kernel_gradient(x, grad, size, by_planes)
    if math.prod(x.shape[1:4]) <= _SMALL_VOXELS:
        return kernel_gradient_by_taps(x, grad, size)
    return kernel_gradient_by_planes(x, grad, size)


def _conv_on_cpu(x: Array, kernel: Array) -> Array:
    if math.prod(x.shape[:4]) <= _TINY_VOXELS:
        return by_columns(x, kernel)
    return by_planes(x, kernel)


def _input_gradient_on_cpu(grad: Array, kernel: Array) -> Array:
    if math.prod(grad.shape[:4]) <= _TINY_VOXELS:
        return by_columns(grad, _mirrored(kernel))
    return by_planes(grad, _mirrored(kernel))


def _mirrored(kernel: Array) -> Array:
    return kernel[::-1, ::-1, ::-1].swapaxes(3, 4)


def _native_kernel_gradient(x: Array, grad: Array, size: Shape3, form=native) -> Array:
    shape = jax.ShapeDtypeStruct((*size, x.shape[-1], grad.shape[-1]), x.dtype)
    (dk,) = jax.linear_transpose(lambda k: form(x, k), shape)(grad)
    return dk.astype(jnp.float32)


def _neighbourhoods(x: Array, size: Shape3) -> Array:
    """(B, D, H, W, kD * kH * kW * C): the voxels under the kernel, side by side."""
    b, *extent, c = x.shape
    padded = jnp.pad(x, ((0, 0), *((k // 2, k // 2) for k in size), (0, 0)))
    numbers = np.arange(math.prod(padded.shape[1:4])).reshape(padded.shape[1:4])
    picked = np.lib.stride_tricks.sliding_window_view(numbers, size).reshape(-1)
    rows = jnp.take(padded.reshape(b, -1, c), picked, axis=1, mode="clip")
    return rows.reshape(b, *extent, math.prod(size) * c)


def _by_folded_taps(x: Array, kernel: Array) -> Array:
    """One 2-D convolution whose channels are (depth tap, channel), for very few channels."""
    (k, kh, kw, i, o), (n, depth, h, w, _) = kernel.shape, x.shape
    padded = jnp.pad(x, ((0, 0), ((k - 1) // 2,) * 2, (0, 0), (0, 0), (0, 0)))
    folded = jnp.concatenate([padded[:, tap : tap + depth] for tap in range(k)], axis=-1)
    flat = kernel.transpose(1, 2, 0, 3, 4).reshape(kh, kw, k * i, o)
    return _conv2d(folded.reshape(n * depth, h, w, k * i), flat).reshape(n, depth, h, w, o)


def _planes(x: Array, item: Array, first: Array, count: int) -> Array:
    """Planes ``first`` to ``first + count`` of one sample, zeros beyond the volume.

    Padding the volume beforehand would copy it, and XLA would compute whatever made it anew for
    every program that pads it.
    """
    _, depth, *plane = x.shape
    inside = jnp.clip(first, 0, depth - count)
    part = lax.dynamic_slice(x, (item, inside, 0, 0, 0), (1, count, *plane))[0]
    room = jnp.zeros((3 * count, *plane), x.dtype)
    room = lax.dynamic_update_slice(room, part, (count + inside - first, 0, 0, 0))
    return room[count : 2 * count]


def _conv2d(x: Array, kernel: Array, stride: tuple[int, ...] = (1, 1)) -> Array:
    padding = [((k - 1) // 2,) * 2 for k in kernel.shape[:2]]
    return lax.conv_general_dilated(x, kernel, stride, padding, dimension_numbers=_DIMS_2D)


def _rows_product(x: Array, grad: Array) -> Array:
    """``x.T @ grad`` with a float32 result."""
    return lax.dot_general(x, grad, (((0,), (0,)), ((), ())), preferred_element_type=jnp.float32)


def _largest_divisor(n: int, limit: int) -> int:
    return next(d for d in range(min(n, limit), 0, -1) if n % d == 0)
