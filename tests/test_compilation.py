"""The cache of compiled programs, in processes that know nothing of this suite's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHOW = (
    "from fdif_jax.compilation import keep_programs; import jax; {before} keep_programs(); "
    "print(jax.config.jax_compilation_cache_dir)"
)


def cache_folder(before: str = "", **variables: str) -> str:
    env = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"} | variables
    done = subprocess.run(
        [sys.executable, "-c", SHOW.format(before=before)],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_programs_are_kept_in_the_users_cache_folder(tmp_path):
    folder = Path(cache_folder(XDG_CACHE_HOME=str(tmp_path)))
    assert folder.parts[-2:] == ("fdif-jax", "programs")


@pytest.mark.parametrize("chosen", ["/somewhere", ""])
def test_a_folder_in_the_environment_wins(chosen):
    assert cache_folder(JAX_COMPILATION_CACHE_DIR=chosen) in (chosen, "None")


def test_a_folder_that_a_program_chose_wins():
    before = "jax.config.update('jax_compilation_cache_dir', '/mine');"
    assert cache_folder(before) == "/mine"


def test_a_lean_step_computes_the_same_in_no_more_memory():
    import jax
    import jax.numpy as jnp

    from fdif_jax.compilation import compile_step

    step = jax.jit(lambda x: sum(jnp.sin(x * i).sum() for i in range(8)))
    x = jnp.ones((64, 64))
    plain, lean = (compile_step(step, x, lean=order) for order in (False, True))
    assert float(plain(x)) == float(lean(x))
    sizes = [program.memory_analysis().temp_size_in_bytes for program in (plain, lean)]
    assert sizes[1] <= sizes[0]
