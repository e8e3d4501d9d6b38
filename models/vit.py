"""The vision transformer of UNETR, without a class token."""

import jax
import jax.numpy as jnp
from fdif_jax.models.layers import Linear
from fdif_jax.models.norms import LayerNorm
from fdif_jax.models.recompute import keep_inputs, recomputed
from flax import nnx
from jax import Array
from jax.typing import DTypeLike


def attention(q: Array, k: Array, v: Array, bias: Array | None = None) -> Array:
    """Softmax attention, (..., L, heads, head_dim) three times to the same.

    Products in the dtype of ``q``, scores and softmax in float32.

    Args:
      q: queries, unscaled.
      k: keys.
      v: values.
      bias: added to the scores; broadcasts to (..., heads, L, L).
    """
    q = q * (q.shape[-1] ** -0.5)
    scores = jnp.einsum("...qhd,...khd->...hqk", q, k, preferred_element_type=jnp.float32)
    if bias is not None:
        scores = scores + bias
    weights = jax.nn.softmax(scores, axis=-1).astype(v.dtype)
    return jnp.einsum("...hqk,...khd->...qhd", weights, v)


# The same, with scores that are made again for the gradient: kept, they would be the largest
# tensors of UNETR and Primus (143 MB a block at 1728 tokens and 12 heads, several times).
def light_attention(q: Array, k: Array, v: Array) -> Array:
    """``attention`` that keeps only its operands."""
    return keep_inputs(lambda _, *qkv: attention(*qkv), (), q, k, v)


def gelu(x: Array) -> Array:
    """The exact GELU, by the error function."""
    return jax.nn.gelu(x, approximate=False)


def split_heads(packed: Array, heads: int) -> tuple[Array, Array, Array]:
    """(..., L, 3 * E), packed as [q | k | v] by heads, to three of (..., L, heads, E / heads)."""
    *batch, width = packed.shape
    q, k, v = jnp.moveaxis(packed.reshape(*batch, 3, heads, width // (3 * heads)), -3, 0)
    return q, k, v


class SelfAttention(nnx.Module):
    """Multi-head attention over all tokens.

    Args:
      features: E, a multiple of ``heads``.
      heads: how many.
      dtype: compute dtype; softmax is float32.
    """

    def __init__(self, features: int, heads: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.heads = heads
        self.qkv = Linear(features, 3 * features, use_bias=False, dtype=dtype, rngs=rngs)
        self.proj = Linear(features, features, dtype=dtype, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """(B, L, E) to the same."""
        y = light_attention(*split_heads(self.qkv(x), self.heads))
        return self.proj(y.reshape(*x.shape))


class Mlp(nnx.Module):
    """Two linear maps around the exact (erf) GELU.

    Args:
      features: width of input and output.
      hidden: width between.
      dtype: compute dtype.
    """

    def __init__(self, features: int, hidden: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.linear1 = Linear(features, hidden, dtype=dtype, rngs=rngs)
        self.linear2 = Linear(hidden, features, dtype=dtype, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """(..., features) to the same."""
        hidden = self.linear1(x)
        return recomputed(lambda linear, x: linear(gelu(x)), self.linear2, hidden)


class TransformerBlock(nnx.Module):
    """Attention and MLP, each behind a layer norm and added to its input.

    Args:
      features: E.
      hidden: width inside the MLP.
      heads: attention heads.
      dtype: compute dtype.
    """

    def __init__(self, features: int, hidden: int, heads: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.norm1 = LayerNorm(features)
        self.attn = SelfAttention(features, heads, dtype=dtype, rngs=rngs)
        self.norm2 = LayerNorm(features)
        self.mlp = Mlp(features, hidden, dtype=dtype, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """(B, L, E) to the same."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def resized_positions(positions: Array, old: tuple[int, ...], new: tuple[int, ...]) -> Array:
    """Position embeddings (1, prod(old), E) resampled trilinearly to (1, prod(new), E)."""
    width = positions.shape[-1]
    grid = positions.reshape(1, *old, width)
    return jax.image.resize(grid, (1, *new, width), "trilinear", antialias=False).reshape(
        1, -1, width
    )
