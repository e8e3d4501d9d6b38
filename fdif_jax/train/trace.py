"""The profile of some updates, where `--profile` asks for one."""

import jax
from jax import Array

_TRACED = range(10, 20)  # updates, counted from the first of this process


def trace(folder: str | None, number: int, last: Array) -> str | None:
    """Starts or ends the profile where update ``number`` is the one to do so.

    Args:
      folder: where it goes; None: there is none.
      number: of the update that comes, from 0.
      last: a result of the update before, to be waited for.

    Returns:
      A sentence, when it was written.
    """
    if folder is None:
        return None
    if number == _TRACED.start:
        jax.profiler.start_trace(folder)
    elif number == _TRACED.stop:
        jax.block_until_ready(last)
        jax.profiler.stop_trace()
        return f"wrote a trace of {len(_TRACED)} updates to {folder}"
    return None
