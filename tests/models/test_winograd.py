"""Winograd's filtering: its transforms are exact, its tiles cover every depth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fdif_jax.models import winograd

ROUNDING = 3e-6  # of the largest value; a direct sum has 3e-7
TAPS = (1, 3, 5, 7)


@pytest.mark.parametrize("taps", TAPS)
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 6, 7, 12, 16])
def test_tiles_filter_as_the_direct_sum_does(taps, depth):
    tile = winograd.best_tile(depth, taps)
    form = winograd.transform(tile, taps)
    x = np.random.default_rng(taps).normal(size=tile + taps - 1)
    w = np.random.default_rng(depth).normal(size=taps)
    products = (np.array(form.kernel) @ w) * (np.array(form.input) @ x)
    wanted = np.correlate(x, w, "valid")
    np.testing.assert_allclose(np.array(form.output).T @ products, wanted, rtol=0, atol=1e-12)
    assert depth % tile == 0
    assert form.points < tile * taps or tile == 1


@pytest.mark.parametrize(("taps", "saved"), [(3, 2.0), (5, 2.5)])
def test_a_network_s_depths_take_half_the_products(taps, saved):
    for depth in (12, 24, 48, 96):
        tile = winograd.best_tile(depth, taps)
        assert tile * taps / winograd.transform(tile, taps).points >= saved


@pytest.mark.parametrize("taps", [pytest.param(3, marks=pytest.mark.slow), 5])
def test_rounding_stays_small(taps):
    keys = jax.random.split(jax.random.key(taps))
    x = jax.random.normal(keys[0], (1, 12, 8, 8, 32))
    kernel = jax.random.normal(keys[1], (taps, 3, 3, 32, 16))
    side = taps // 2
    padded = np.pad(np.float64(x), ((0, 0), (side, side), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (taps, 3, 3), axis=(1, 2, 3))
    exact = np.einsum("ndhwiabc,abcio->ndhwo", windows, np.float64(kernel), optimize=True)
    found = np.float64(winograd.conv(x, kernel))
    assert np.abs(found - exact).max() <= ROUNDING * np.abs(exact).max()


CUTS = [
    *(pytest.param(*cut, marks=pytest.mark.slow) for cut in ((1, 10**6), (4, 10**6), (3, 100))),
    (4, 2 * 12 * 8 * 8),
]


@pytest.mark.parametrize(("batch", "rows"), CUTS)
def test_every_way_of_cutting_gives_the_same(batch, rows, monkeypatch):
    """Several volumes a slab, one, part of one."""
    monkeypatch.setattr(winograd, "_ROWS", rows)
    x = jax.random.normal(jax.random.key(0), (batch, 12, 8, 8, 4))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 3, 4, 6))
    monkeypatch.setattr(winograd, "_GRADIENT_ROWS", rows)
    one_by_one = jnp.concatenate([winograd.conv(x[i : i + 1], kernel) for i in range(batch)])
    np.testing.assert_allclose(winograd.conv(x, kernel), one_by_one, rtol=0, atol=1e-4)
    grad = one_by_one
    parts = [winograd.kernel_gradient(x[i:][:1], grad[i:][:1], (3, 3, 3)) for i in range(batch)]
    found = winograd.kernel_gradient(x, grad, (3, 3, 3))
    np.testing.assert_allclose(found, sum(parts), rtol=0, atol=1e-5 * float(jnp.abs(found).max()))
