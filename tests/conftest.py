"""What every test runs under: strict dtypes, full float32 products, a warm compilation cache."""

import os
import signal
import tempfile
from pathlib import Path

import chromium
import jax
import platformdirs
import pytest
from hypothesis import settings

# Programs that a run before this one compiled; without them the suite takes about twice as long.
# Every program is kept: the suite runs thousands that compile in a blink, again in each process.
_CACHE = "JAX_COMPILATION_CACHE_DIR"
_KEEP_ALL = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def _cache_folder() -> str:
    for root in (platformdirs.user_cache_dir("fdif-jax"), tempfile.gettempdir() + "/fdif-jax"):
        folder = Path(root) / "tests"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return str(folder)
    return tempfile.mkdtemp(prefix="fdif-jax-tests-")


# In the environment, so that the processes which tests start find them too.
os.environ.setdefault(_CACHE, _cache_folder())
os.environ.update(_KEEP_ALL)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
jax.config.update("jax_compilation_cache_dir", os.environ[_CACHE])
jax.config.update("jax_platforms", os.environ["JAX_PLATFORMS"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_default_matmul_precision", "highest")

# A process that was started in the background ignores ctrl-c, and so would those that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run: a red test stays red until the code changes.
settings.register_profile(
    "repeatable", derandomize=True, database=None, deadline=None, max_examples=25
)
settings.load_profile("repeatable")


@pytest.fixture(scope="module")
def driver():
    """Of a headless Chromium; tests that need one are skipped where it is missing."""
    made = chromium.start()
    yield made
    made.quit()
