"""Memory between the modules of the networks' tests."""

import jax
import pytest


@pytest.fixture(autouse=True, scope="module")
def _free_programs():
    """Compiled programs of one module are of no use to the next; they hold much memory."""
    yield
    jax.clear_caches()
