"""The learning rate: the original's values, and runs of every length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_goldens import golden

from fdif_jax.train.schedules import warmup_cosine, warmup_updates

FLOAT32 = 5e-7  # relative


def rates(base, max_iterations, counts):
    return np.asarray(jax.jit(warmup_cosine(base, max_iterations))(jnp.asarray(counts)))


def test_rates_of_the_original():
    z = golden("lr_schedule")
    steps = z["steps"].astype(np.int32)
    np.testing.assert_allclose(rates(1e-4, 30000, steps), z["lr"], rtol=FLOAT32)


@pytest.mark.parametrize(
    ("max_iterations", "warmup"), [(1, 1), (2, 1), (19, 1), (999, 99), (1000, 500), (30000, 500)]
)
def test_warmup_and_ends(max_iterations, warmup):
    assert warmup_updates(max_iterations) == warmup
    found = rates(1.0, max_iterations, np.arange(max_iterations))
    assert found[0] == 0
    assert np.isfinite(found).all()
    assert (np.diff(found[: warmup + 1]) >= 0).all()
    assert (np.diff(found[warmup:]) <= 0).all()
    if warmup > 1:
        assert found[warmup - 1] == 1
    if max_iterations > warmup:
        assert found[warmup] == 1
    assert rates(1.0, max_iterations, [max_iterations])[0] == 0
