"""Recomputation: the same numbers, less memory, in the compiled program too."""

import jax
import jax.numpy as jnp
import numpy as np
from fdif_jax.models.layers import Linear
from fdif_jax.models.norms import BatchNorm
from fdif_jax.models.recompute import apply
from flax import nnx

LAYERS, WIDTH, ROWS = 12, 32, 4096


class Block(nnx.Module):
    def __init__(self, rngs):
        self.linear1 = Linear(WIDTH, 4 * WIDTH, rngs=rngs)
        self.linear2 = Linear(4 * WIDTH, WIDTH, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.norm = BatchNorm(WIDTH)

    def __call__(self, x):
        y = self.dropout(jax.nn.gelu(self.linear1(x)))
        return self.norm(jnp.sin(self.linear2(y)))


def step(remat):
    """Loss and gradients of some blocks, and their state behind it."""
    model = nnx.List([Block(nnx.Rngs(i, dropout=7)) for i in range(LAYERS)])
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    def loss(params, rest, x):
        blocks = nnx.merge(graph, params, rest, copy=True)
        for block in blocks:
            x = apply(block, x, remat=remat)
        return (x**2).mean(), nnx.state(blocks, nnx.Not(nnx.Param))

    x = jax.random.normal(jax.random.key(1), (1, 1, 1, ROWS, WIDTH))
    compiled = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(params, rest, x).compile()
    return compiled(params, rest, x), compiled.memory_analysis().temp_size_in_bytes


def test_values_gradients_and_state_are_the_same_in_less_memory():
    (plain, much), (again, little) = step(remat=False), step(remat=True)
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(again), strict=True):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    # Kept without it: five maps of the inner width a block; with it: one of the outer.
    assert little < much / 2


def test_the_state_advances_once():
    counted = [
        int(leaf)
        for leaf in jax.tree.leaves(step(remat=True)[0][0][1])
        if leaf.dtype == np.uint32 and leaf.ndim == 0
    ]
    assert counted == [1] * LAYERS
