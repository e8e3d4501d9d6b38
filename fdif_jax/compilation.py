"""Compiled programs kept in the user's cache folder: the second start need not wait for XLA."""

import os

import platformdirs

SHORTEST_KEPT = 0.1
"""Seconds: programs that compile faster are not worth a file."""


def keep_programs() -> None:
    """Turns on jax's persistent compilation cache, unless the person has set one up.

    ``JAX_COMPILATION_CACHE_DIR`` chooses another folder; an empty one turns it off.
    """
    import jax

    chosen = "JAX_COMPILATION_CACHE_DIR" in os.environ
    if chosen or jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
        return
    folder = platformdirs.user_cache_path("fdif-jax") / "programs"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", SHORTEST_KEPT)
