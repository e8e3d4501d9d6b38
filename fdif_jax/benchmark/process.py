"""Measuring in a fresh process: what it computes, how long that takes, and its peak of memory."""

import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fdif_jax.compilation import SHORTEST_KEPT
from fdif_jax.errors import EnvironmentFault


def measure(module: str, task: Mapping[str, Any], programs: Path) -> dict[str, Any]:
    """What ``module`` prints when it is run as a process of its own.

    Args:
      module: ends with ``serve(work)`` where it is run.
      task: for ``work``, JSON.
      programs: folder of the compilation cache.

    Raises:
      EnvironmentFault: the process failed.
    """
    process = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(task),
        env=os.environ | {"JAX_COMPILATION_CACHE_DIR": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        last = (process.stderr.strip().splitlines() or ["no message"])[-1]
        raise EnvironmentFault(f"a measuring process failed: {last}")
    return json.loads(process.stdout.splitlines()[-1])


def serve(
    work: Callable[[dict[str, Any]], dict[str, Any]],
    echo: Callable[[str], Any] = sys.stdout.write,
) -> None:
    """The measuring process: the task from stdin, its figures and the peak of memory to stdout."""
    import jax

    jax.config.update("jax_persistent_cache_min_compile_time_secs", SHORTEST_KEPT)
    result = work(json.load(sys.stdin))
    echo(json.dumps({**result, "peak_memory_mib": peak_memory_mib()}) + "\n")


def peak_memory_mib() -> float:
    """Of this process alone; what ``getrusage`` says starts with the size of its parent."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def forget_peak() -> None:
    """Lets the peak of memory begin anew, from what is held now; on Linux, elsewhere it stays."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
