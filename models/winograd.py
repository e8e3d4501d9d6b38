"""Convolution by tiles of planes with fewer products: Winograd's minimal filtering along depth.

``m`` output planes of a kernel with ``r`` depth taps take ``m * r`` plane convolutions when
computed tap by tap. Interpolation at ``m + r - 1`` points takes one plane convolution a point:
sums of input planes in, sums of output planes out, both cheap beside the convolutions. With
``m = 4`` that is 8 instead of 20 for five taps, 6 instead of 12 for three.

Along one axis the rounding stays small: about ten times that of the direct sum, 1e-6 of the
largest value in float32 (the points are 0, 1, -1 and halves and doubles for that reason).

Source: S. Winograd, Arithmetic complexity of computations (1980); points after B. Barabasz et
al., Error analysis and improving the accuracy of Winograd convolution (2018).
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

_POINTS = tuple(map(Fraction, ("0", "1", "-1", "1/2", "-2", "-1/2", "2")))  # and infinity
_TILES = {1: (1,), 3: (6, 4, 3, 2), 5: (4, 3, 2)}  # output planes; more would lose digits
_LANES = 16
_ROWS = 4096  # voxels of one plane convolution: its operands stay in the cache
_GRADIENT_ROWS = 4096  # the same for a product of the kernel gradient

_Matrix = tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Transform:
    """``m`` outputs of ``r`` taps: ``output.T @ ((kernel @ w) * (input @ x))``.

    Attributes:
      input: (m + r - 1, m + r - 1), sums of input planes.
      kernel: (m + r - 1, r), sums of kernel taps.
      output: (m + r - 1, m), sums of products.
    """

    input: _Matrix
    kernel: _Matrix
    output: _Matrix

    @property
    def points(self) -> int:
        """Products for a tile."""
        return len(self.input)

    @property
    def tile(self) -> int:
        """Output planes of a tile."""
        return len(self.output[0])


@functools.cache
def transform(tile: int, taps: int) -> Transform:
    """The transform for ``tile`` outputs; exact numbers until the end.

    Interpolating the product of two polynomials gives ``input`` and ``kernel``; filtering is its
    transpose. The last row stands for the point at infinity.
    """
    if tile == 1:
        return Transform(_floats(np.eye(taps)), _floats(np.eye(taps)), ((1.0,),) * taps)
    finite = _POINTS[: tile + taps - 2]
    others = [[q for q in finite if q != p] for p in finite]
    kernel = [
        [p**k / math.prod((p - q for q in rest), start=Fraction(1)) for k in range(taps)]
        for p, rest in zip(finite, others, strict=True)
    ]
    rows = [[*_product_of_roots(rest), Fraction(0)] for rest in others]
    return Transform(
        _floats([*rows, _product_of_roots(finite)]),
        _floats([*kernel, [Fraction(0)] * (taps - 1) + [Fraction(1)]]),
        _floats([*([p**k for k in range(tile)] for p in finite), [0] * (tile - 1) + [1]]),
    )


def best_tile(depth: int, taps: int) -> int:
    """Output planes of a tile: the divisor of ``depth`` with the fewest products in all."""
    fitting = [m for m in _TILES.get(taps, (1,)) if depth % m == 0]
    return min(fitting or (1,), key=lambda m: (m + taps - 1) * (depth // m))


def conv(x: Array, kernel: Array) -> Array:
    """Stride-1 convolution with symmetric padding ``(k - 1) // 2``, a slab of tiles at a time.

    Args:
      x: (B, D, H, W, I).
      kernel: (kD, kH, kW, I, O), odd sizes.

    Returns:
      (B, D, H, W, O) in the dtype of ``x``; sums are in float32.
    """
    taps, *_, o = kernel.shape
    form = transform(best_tile(x.shape[1], taps), taps)
    # Zeros up to a multiple of sixteen output channels: fourteen take longer than sixteen.
    wide = jnp.pad(kernel.astype(jnp.float32), ((0, 0),) * 4 + ((0, -o % _LANES),))
    return _at_points(x, [_sum(row, list(wide)) for row in form.kernel], form, taps, o)


def input_gradient(grad: Array, kernel: Array) -> Array:
    """Gradient of ``conv`` with respect to its input: ``conv`` with the kernel mirrored.

    Args:
      grad: (B, D, H, W, O).
      kernel: (kD, kH, kW, I, O), odd sizes.
    """
    taps, i = kernel.shape[0], kernel.shape[3]
    form = transform(best_tile(grad.shape[1], taps), taps)
    wide = jnp.pad(kernel.astype(jnp.float32), ((0, 0),) * 3 + ((0, -i % _LANES), (0, 0)))
    # A product, so that XLA does not read the sums' operands in the order of the mirror image.
    at_points = jnp.tensordot(jnp.asarray(form.kernel, jnp.float32)[:, ::-1], wide, 1)
    mirrored = at_points[:, ::-1, ::-1].swapaxes(-1, -2)
    return _at_points(grad, list(mirrored), form, taps, i)


def kernel_gradient(x: Array, grad: Array, size: tuple[int, int, int]) -> Array:
    """Gradient of ``conv`` with respect to its kernel, (kD, kH, kW, I, O), float32.

    At each point the gradient of a plane convolution: ``kW`` shifts of the input and ``kH``
    shifts of the output gradient, each a set of rows, and one product that gives all taps in the
    plane. With channels in front a shift is a copy of whole lines.
    """
    (kd, kh, kw), i, o = size, x.shape[-1], grad.shape[-1]
    form = transform(best_tile(x.shape[1], kd), kd)
    slabs = _Slabs.of(x.shape, kd, form.tile, _GRADIENT_ROWS)
    across = ((0, 0), (0, 0), ((kh - 1) // 2,) * 2, ((kw - 1) // 2,) * 2)
    around = ((0, 0), (0, 0), (kh - 1,) * 2, (0, 0))

    def add_slab(total: Array, index: Array) -> tuple[Array, None]:
        inputs = [jnp.pad(p.transpose(3, 0, 1, 2), across) for p in slabs.cut(x, index)]
        grads = [jnp.pad(p.transpose(3, 0, 1, 2), around) for p in slabs.cut(grad, index, halo=0)]
        inputs, grads = lax.optimization_barrier((inputs, grads))
        parts = [
            _plane_gradient(_sum(row, inputs), _sum(column, grads), (kh, kw))
            for row, column in zip(form.input, form.output, strict=True)
        ]
        return total + jnp.stack(parts), None

    zero = jnp.zeros((form.points, kw * i, kh * o), jnp.float32)
    if slabs.count == 1:
        total = add_slab(zero, jnp.int32(0))[0]
    else:
        total = lax.scan(add_slab, zero, jnp.arange(slabs.count))[0]
    by_tap = jnp.tensordot(jnp.asarray(form.kernel, jnp.float32).T, total, 1)
    return by_tap.reshape(kd, kw, i, kh, o).transpose(0, 3, 1, 2, 4)


def _at_points(
    x: Array, kernels: Sequence[Array], form: Transform, taps: int, features: int
) -> Array:
    """One plane convolution a point; (B, D, H, W, features)."""
    slabs = _Slabs.of(x.shape, taps, form.tile, _ROWS)

    def one_slab(index: Array) -> Array:
        planes = slabs.cut(x, index)
        products = [
            plane_conv(_sum(row, planes), kernel)
            for row, kernel in zip(form.input, kernels, strict=True)
        ]
        outputs = [_sum(column, products) for column in zip(*form.output, strict=True)]
        return jnp.stack(outputs, axis=1)[..., :features].astype(x.dtype)

    return slabs.each(one_slab).reshape(*x.shape[:4], features)


@dataclasses.dataclass(frozen=True, slots=True)
class _Slabs:
    """How a batch of volumes is cut: ``items`` volumes by ``tiles`` tiles of planes each.

    Attributes:
      depth: planes of a volume.
      taps: depth taps of the kernel.
      tile: output planes of a tile.
      items: volumes in a slab; more than one only where it takes them whole.
      tiles: tiles of each volume in a slab.
      count: slabs in all.
    """

    depth: int
    taps: int
    tile: int
    items: int
    tiles: int
    count: int

    @staticmethod
    def of(shape: tuple[int, ...], taps: int, tile: int, rows: int) -> "_Slabs":
        batch, depth, h, w, _ = shape
        in_volume = depth // tile
        tiles = largest_divisor(in_volume, rows // (h * w))
        if tiles * tile + taps - 1 > depth:
            tiles = in_volume
        items = largest_divisor(batch, rows // (h * w * tiles)) if tiles == in_volume else 1
        return _Slabs(depth, taps, tile, items, tiles, batch // items * (in_volume // tiles))

    def cut(self, x: Array, index: Array, halo: int | None = None) -> list[Array]:
        """Planes 0, 1, … of every tile of a slab, each (items * tiles, H, W, C), float32.

        With a halo these are the planes that the taps reach, zeros beyond the volume.
        """
        halo = self.taps - 1 if halo is None else halo
        length = self.tiles * self.tile
        whole = length == self.depth
        if whole:
            part = lax.dynamic_slice_in_dim(x, index * self.items, self.items)
            part = jnp.pad(part, ((0, 0), (halo // 2,) * 2, (0, 0), (0, 0), (0, 0)))
        else:
            in_volume = self.depth // length
            first = index % in_volume * length - halo // 2
            part = _planes(x, index // in_volume, first, length + halo, halo)
        part = part.astype(jnp.float32)
        span = (self.tiles - 1) * self.tile + 1
        return [
            part[:, j : j + span : self.tile].reshape(-1, *x.shape[2:])
            for j in range(self.tile + halo)
        ]

    def each(self, function) -> Array:
        """``function`` of every slab's index, stacked."""
        if self.count == 1:
            return function(jnp.int32(0))
        return lax.map(function, jnp.arange(self.count))


def _planes(x: Array, item: Array, first: Array, count: int, halo: int) -> Array:
    """(1, count, H, W, C): planes from ``first`` of one volume, up to half a halo of zeros.

    Padding the volume beforehand would copy it, and XLA would compute whatever made it anew for
    every program that pads it.
    """
    depth, *plane = x.shape[1:]
    inside = jnp.clip(first, 0, depth - count)
    part = lax.dynamic_slice(x, (item, inside, 0, 0, 0), (1, count, *plane))
    border = jnp.zeros((1, halo // 2, *plane), x.dtype)
    room = jnp.concatenate([border, part, border], axis=1)
    return lax.dynamic_slice_in_dim(room, halo // 2 + first - inside, count, 1)


def _sum(factors: Sequence[float], parts: Sequence[Array]) -> Array:
    """``sum(factor * part)`` without what is zero or one."""
    total = None
    for factor, part in zip(factors, parts, strict=True):
        if factor:
            term = part if factor == 1 else np.float32(factor) * part
            total = term if total is None else total + term
    assert total is not None
    return total


def plane_conv(x: Array, kernel: Array, stride: tuple[int, ...] = (1, 1)) -> Array:
    """2-D convolution of (N, H, W, I) with (kH, kW, I, O), symmetric padding ``(k - 1) // 2``."""
    padding = [((k - 1) // 2,) * 2 for k in kernel.shape[:2]]
    dims = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, stride, padding, dimension_numbers=dims)


def _plane_gradient(x: Array, grad: Array, size: tuple[int, int]) -> Array:
    """(kW * I, kH * O) from (I, N, H + kH - 1, W + kW - 1) and (O, N, H + 2 kH - 2, W)."""
    kh, kw = size
    rows, width = x.shape[2], grad.shape[3]
    x, grad = lax.optimization_barrier((x, grad))
    inputs = jnp.concatenate([x[..., c : c + width] for c in range(kw)])
    # Tap b joins row h + b of x with row h of the gradient, which its border moves to kh - 1 + h.
    grads = jnp.concatenate([grad[:, :, kh - 1 - b : kh - 1 - b + rows] for b in range(kh)])
    inputs, grads = inputs.reshape(inputs.shape[0], -1), grads.reshape(grads.shape[0], -1)
    return lax.dot_general(inputs, grads, (((1,), (1,)), ((), ())))


def _product_of_roots(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients of ``prod(z - root)``, lowest power first."""
    coefficients = [Fraction(1)]
    for root in roots:
        moved = [Fraction(0), *coefficients]
        coefficients = [a - root * b for a, b in zip(moved, [*coefficients, 0], strict=True)]
    return coefficients


def _floats(rows) -> _Matrix:
    return tuple(tuple(float(value) for value in row) for row in rows)


def largest_divisor(n: int, limit: int) -> int:
    """The largest divisor of ``n`` up to ``limit``, at least one."""
    return next(d for d in range(max(1, min(n, limit)), 0, -1) if n % d == 0)
