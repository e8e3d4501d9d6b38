"""Moving and joining."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdif_jax.sdf import ops

distances = st.floats(-50, 50, width=32)
widths = st.floats(0.125, 20, width=32)


@pytest.mark.parametrize(
    ("first", "second", "k", "expected"),
    [
        pytest.param(3, 3, 4, 2, id="equal-lower-by-a-quarter"),
        pytest.param(-2, -2, 8, -4, id="equal-and-inside"),
        pytest.param(1, 5, 4, 1, id="apart-by-the-width"),
        pytest.param(9, -1, 4, -1, id="far-apart"),
        pytest.param(1, 3, 4, 0.75, id="half-way"),
    ],
)
def test_smooth_union_closed_form(first, second, k, expected):
    got = ops.smooth_union(jnp.float32(first), jnp.float32(second), k=jnp.float32(k))
    assert float(got) == pytest.approx(expected, abs=1e-6)


@given(first=distances, second=distances, k=widths)
def test_smooth_union_is_between_the_minimum_and_a_quarter_less(first, second, k):
    first, second, k = map(np.float32, (first, second, k))
    got = float(ops.smooth_union(jnp.asarray(first), jnp.asarray(second), k=jnp.asarray(k)))
    low = min(first, second)
    assert low - k / 4 - 1e-4 <= got <= low
    swapped = ops.smooth_union(jnp.asarray(second), jnp.asarray(first), k=jnp.asarray(k))
    assert got == float(swapped)


@given(first=distances, second=distances, k=widths, step=st.floats(0, 5, width=32))
def test_smooth_union_rises_with_its_parts(first, second, k, step):
    """Bounds of the parts therefore join to a bound of the union."""
    first, second, k, step = (jnp.float32(v) for v in (first, second, k, step))
    low = ops.smooth_union(first, second, k=k)
    assert float(ops.smooth_union(first + step, second, k=k)) >= float(low) - 1e-4


def test_affine_acts_on_columns():
    matrix = jnp.asarray([[1, 2, 3, 10], [0, 1, 0, 20], [0, 0, -1, 30]], jnp.float32)
    x, y, z = (jnp.float32(v) for v in (1, 2, 3))
    assert tuple(map(float, ops.affine(matrix, x, y, z))) == (24, 22, 27)


def test_affine_broadcasts_rows():
    x, y, z = jnp.ones((1, 1, 4)), jnp.ones((1, 3, 1)), jnp.ones((2, 1, 1))
    assert {part.shape for part in ops.affine(jnp.ones((3, 4)), x, y, z)} == {(2, 3, 4)}
