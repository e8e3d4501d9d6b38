"""Windows of the Swin transformer: cutting, position bias, and attention within them.

Shapes are static, so everything that depends on them alone (indices, regions) is numpy, made
once per shape and never traced. The mask between regions is not stored: it is compared from the
region numbers where it is needed, which at 48^3 tokens saves a constant of 160 MB.
"""

import dataclasses
import functools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from fdif_jax.models.conv import Shape3
from jax import Array, lax

_BETWEEN_REGIONS = -100.0  # not -inf: what the published weights were trained with
_SCORE_BYTES = 6 * 2**20  # scores of one chunk of windows on a CPU: what its cache holds


@dataclasses.dataclass(frozen=True, slots=True)
class Windows:
    """How one map is cut.

    Attributes:
      size: of the map, before padding.
      window: tokens per axis; an axis no longer than the nominal window is one window.
      shift: of the windows, 0 on such an axis.
    """

    size: Shape3
    window: Shape3
    shift: Shape3

    @classmethod
    def of(cls, size: Shape3, window: int, shifted: bool) -> "Windows":
        """Windows of nominal side ``window``, shifted by half of it or not."""
        clipped = tuple(min(n, window) for n in size)
        shift = tuple(window // 2 if shifted and n > window else 0 for n in size)
        return cls(tuple(size), clipped, shift)

    @property
    def padded(self) -> Shape3:
        """The size that the windows fill; zeros are appended at the end of each axis."""
        return tuple(-(-n // w) * w for n, w in zip(self.size, self.window, strict=True))

    @property
    def tokens(self) -> int:
        """Tokens per window."""
        return int(np.prod(self.window))

    def cut(self, x: Array) -> Array:
        """(B, D, H, W, C) to (B, windows, tokens, C)."""
        pad = [(0, p - n) for n, p in zip(self.size, self.padded, strict=True)]
        x = jnp.pad(x, ((0, 0), *pad, (0, 0)))
        if any(self.shift):
            x = jnp.roll(x, tuple(-s for s in self.shift), axis=(1, 2, 3))
        return self._cut(x)

    def merge(self, y: Array) -> Array:
        """The inverse of ``cut``; what was padded is dropped."""
        (a, b, c), (d, h, w) = self.window, self.padded
        y = y.reshape(-1, d // a, h // b, w // c, a, b, c, y.shape[-1])
        y = y.transpose(0, 1, 4, 2, 5, 3, 6, 7).reshape(-1, d, h, w, y.shape[-1])
        if any(self.shift):
            y = jnp.roll(y, self.shift, axis=(1, 2, 3))
        return y[:, : self.size[0], : self.size[1], : self.size[2]]

    def regions(self) -> np.ndarray:
        """Region number of every token, (windows, tokens); attention stays within a region.

        Windows shifted around the border hold tokens that are no neighbours. Padding has no
        region of its own: it takes part, as in the original.
        """
        labels = []
        for padded, window, shift in zip(self.padded, self.window, self.shift, strict=True):
            label = np.zeros(padded, np.int32)
            if shift:
                label[padded - window : padded - shift] = 1
                label[padded - shift :] = 2
            labels.append(label)
        d, h, w = labels
        region = 9 * d[:, None, None] + 3 * h[:, None] + w
        return np.asarray(self._cut(region[None, ..., None], np)[0, ..., 0])

    def _cut(self, x, xp=jnp):
        (a, b, c), (d, h, w) = self.window, self.padded
        x = x.reshape(-1, d // a, a, h // b, b, w // c, c, x.shape[-1])
        x = xp.transpose(x, (0, 1, 3, 5, 2, 4, 6, 7))
        return x.reshape(x.shape[0], -1, a * b * c, x.shape[-1])


@functools.lru_cache
def relative_position_index(window: int) -> np.ndarray:
    """Row of the position table for every (query, key) of a full window, (window^3, window^3)."""
    axes = np.indices((window,) * 3).reshape(3, -1)
    offsets = axes[:, :, None] - axes[:, None, :] + window - 1
    side = 2 * window - 1
    return ((offsets[0] * side + offsets[1]) * side + offsets[2]).astype(np.int32)


def position_bias(table: Array, window: int, tokens: int) -> Array:
    """(heads, tokens, tokens) from a table ((2 * window - 1)^3, heads).

    A clipped window takes the first rows and columns of the full window's index, not the offsets
    of its own geometry: so did the original, and the weights expect it.
    """
    index = relative_position_index(window)[:tokens, :tokens]
    return jnp.moveaxis(jnp.take(table, index.reshape(-1), axis=0), -1, 0).reshape(
        -1, tokens, tokens
    )


def window_attention(q: Array, k: Array, v: Array, bias: Array, regions: np.ndarray) -> Array:
    """Attention within every window and region, (B, windows, tokens, heads, head_dim).

    The scores of all windows together are the largest tensor of a SwinUNETR step (484 MB at
    48^3 tokens and 3 heads). They are never kept for the gradient, and on a CPU they are made a
    few windows at a time.

    Args:
      q: queries; k, v alike.
      k: keys.
      v: values.
      bias: (heads, tokens, tokens), added to the scores of every window.
      regions: (windows, tokens).
    """
    marks = jnp.asarray(regions)
    batch, windows = q.shape[:2]
    flat = [a.reshape(batch * windows, *a.shape[2:]) for a in (q, k, v)]
    marks = jnp.broadcast_to(marks, (batch, *marks.shape)).reshape(batch * windows, -1)
    return _attention(*flat, bias, marks, bool(regions.any())).reshape(q.shape)


@partial(jax.custom_vjp, nondiff_argnums=(5,))
def _attention(q: Array, k: Array, v: Array, bias: Array, marks: Array, masked: bool) -> Array:
    return lax.platform_dependent(
        q,
        k,
        v,
        bias,
        marks,
        cpu=partial(_in_chunks, masked=masked),
        default=partial(_one_chunk, masked=masked),
    )


def _attention_forward(q, k, v, bias, marks, masked):
    out = _attention(q, k, v, bias, marks, masked)
    return out, (q, k, v, bias, marks, out)


def _attention_backward(masked, saved, grad):
    grads = lax.platform_dependent(
        *saved,
        grad,
        cpu=partial(_gradient_in_chunks, masked=masked),
        default=partial(_gradient_at_once, masked=masked),
    )
    return (*grads, None)


_attention.defvjp(_attention_forward, _attention_backward)


def _one_chunk(q: Array, k: Array, v: Array, bias: Array, marks: Array, masked: bool) -> Array:
    """Attention of some windows: the weighted sum first, then the division by its weights."""
    q, k, v = (_by_heads(a) for a in (q * q.shape[-1] ** -0.5, k, v))
    raised, total = _exponentials(_scores(q, k), bias, marks, masked)
    out = _product("whqk,whkd->whqd", raised.astype(v.dtype), v) / total
    return _by_heads(out).astype(q.dtype)


def _gradient_of_chunk(q, k, v, bias, marks, out, grad, masked):
    """Gradients of ``_one_chunk`` by q, k, v and bias, from the scores made again."""
    scale = q.shape[-1] ** -0.5
    # What the softmax takes off the gradient of every weight of a row.
    along = (out.astype(jnp.float32) * grad.astype(jnp.float32)).sum(-1, keepdims=True)
    q, k, v, grad, along = (_by_heads(a) for a in (q * scale, k, v, grad, along))
    raised, total = _exponentials(_scores(q, k), bias, marks, masked)
    weights = raised / total
    dscores = weights * (_scores(grad, v) - along)
    # One by one: as a reduction over its first axis this sum took longer than all the rest.
    dbias = sum(dscores[i] for i in range(len(q)))
    dscores, weights = dscores.astype(q.dtype), weights.astype(q.dtype)
    dq = _product("whqk,whkd->whqd", dscores, k) * scale
    dk = _product("whqk,whqd->whkd", dscores, q)
    dv = _product("whqk,whqd->whkd", weights, grad)
    dq, dk, dv = (_by_heads(a).astype(q.dtype) for a in (dq, dk, dv))
    return dq, dk, dv, dbias.astype(bias.dtype)


def _gradient_at_once(q, k, v, bias, marks, out, grad, masked):
    _, pull = jax.vjp(lambda *a: _one_chunk(*a, marks, masked), q, k, v, bias)
    return pull(grad)


def _by_heads(a: Array) -> Array:
    """(windows, tokens, heads, D) to (windows, heads, tokens, D), and back."""
    return a.transpose(0, 2, 1, 3)


def _scores(a: Array, b: Array) -> Array:
    return _product("whqd,whkd->whqk", a, b)


def _product(rule: str, a: Array, b: Array) -> Array:
    return jnp.einsum(rule, a, b, preferred_element_type=jnp.float32)


def _exponentials(scores: Array, bias: Array, marks: Array, masked: bool) -> tuple[Array, Array]:
    """The weights before they are divided by their sum, and that sum (windows, heads, L, 1)."""
    scores = scores + _biases(bias, marks, masked)
    raised = jnp.exp(scores - lax.stop_gradient(scores.max(-1, keepdims=True)))
    return raised, raised.sum(-1, keepdims=True)


def _biases(bias: Array, marks: Array, masked: bool) -> Array:
    """The position bias, with the mask between regions where there are several."""
    bias = bias.astype(jnp.float32)
    if not masked:
        return bias
    apart = marks[:, None, :, None] != marks[:, None, None, :]
    return bias + jnp.where(apart, _BETWEEN_REGIONS, 0.0)


def _in_chunks(q: Array, k: Array, v: Array, bias: Array, marks: Array, masked: bool) -> Array:
    def one(chunk):
        return _one_chunk(*chunk[:3], bias, chunk[3], masked)

    cut, chunks = _chunks(q, bias)
    if chunks == 1:
        return _one_chunk(q, k, v, bias, marks, masked)
    return lax.map(one, jax.tree.map(cut, (q, k, v, marks))).reshape(-1, *q.shape[1:])[: len(q)]


def _gradient_in_chunks(q, k, v, bias, marks, out, grad, masked):
    cut, chunks = _chunks(q, bias)
    if chunks == 1:
        return _gradient_of_chunk(q, k, v, bias, marks, out, grad, masked)

    def one(total, chunk):
        dq, dk, dv, db = _gradient_of_chunk(*chunk[:3], bias, *chunk[3:], masked)
        return total + db, (dq, dk, dv)

    parts = jax.tree.map(cut, (q, k, v, marks, out, grad))
    dbias, grads = lax.scan(one, jnp.zeros_like(bias), parts)
    return *(g.reshape(-1, *q.shape[1:])[: len(q)] for g in grads), dbias


def _chunks(q: Array, bias: Array):
    """A function that cuts (windows, ...) to (chunks, windows per chunk, ...), and how many."""
    per_chunk = max(1, _SCORE_BYTES // (bias.size * 4))
    chunks = -(-q.shape[0] // per_chunk)
    per_chunk = -(-q.shape[0] // chunks)
    spare = chunks * per_chunk - q.shape[0]

    def cut(a: Array) -> Array:
        a = jnp.pad(a, ((0, spare), *((0, 0),) * (a.ndim - 1)))
        return a.reshape(chunks, per_chunk, *a.shape[1:])

    return cut, chunks
