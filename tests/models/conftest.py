"""Full matrix precision for every comparison of the networks with measured numbers."""

import jax
import pytest


@pytest.fixture(autouse=True, scope="session")
def _precise():
    jax.config.update("jax_default_matmul_precision", "highest")
    jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture(autouse=True, scope="module")
def _free_programs():
    """Compiled programs of one module are of no use to the next; they hold much memory."""
    yield
    jax.clear_caches()
