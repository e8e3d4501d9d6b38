"""Values made again for the gradient instead of kept.

``jax.checkpoint`` keeps XLA from merging the second computation with the first by barriers,
which its CPU compiler drops before it merges equal computations: nothing is saved there. Here
the second computation starts from inputs that depend on the incoming gradient, by a zero that
the compiler cannot see through; so it can neither be merged nor be moved forward in time. Parts
of the second computation that no gradient needs are dropped as usual.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array


def apply(module: nnx.Module, *inputs: Any, remat: bool = False) -> Any:
    """``module(*inputs)``; with ``remat`` only the inputs are kept for the gradient."""
    if not remat:
        return module(*inputs)  # type: ignore[operator]
    return recomputed(lambda module, *inputs: module(*inputs), module, *inputs)


def recomputed(call: Callable, module: Any, *inputs: Array) -> Any:
    """``call(module, *inputs)``, of which only the inputs are kept for the gradient.

    Random streams and batch statistics advance once, as without recomputation.

    Args:
      call: a function of a module, or a tuple of modules, and arrays.
      module: what holds the parameters.
      *inputs: floating arrays.
    """
    graph, params, rest = nnx.split(module, nnx.Param, ...)

    def run(weights, *inputs):
        again = nnx.merge(graph, *weights, copy=True)
        result = call(again, *inputs)
        return result, nnx.state(again, nnx.Not(nnx.Param))

    result, rest = keep_inputs(run, (params, rest), *inputs)
    nnx.update(module, rest)
    return result


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def keep_inputs(function: Callable, weights: Any, *inputs: Array) -> Any:
    """``function(weights, *inputs)`` with the weights and inputs as its only residuals."""
    return function(weights, *inputs)


def _forward(function: Callable, weights: Any, *inputs: Array):
    return function(weights, *inputs), (weights, inputs)


def _backward(function: Callable, saved, grads):
    weights, inputs = saved
    zero = _hidden_zero(grads)
    tied = [x + zero.astype(x.dtype) for x in inputs]
    return jax.vjp(partial(function), weights, *tied)[1](grads)


keep_inputs.defvjp(_forward, _backward)


def _hidden_zero(grads: Any) -> Array:
    """Zero, as far as the first gradient's first value is a number."""
    first = next(g for g in jax.tree.leaves(grads) if jnp.issubdtype(g.dtype, jnp.floating))
    return jnp.minimum(jnp.abs(first.reshape(-1)[0]), 0)
