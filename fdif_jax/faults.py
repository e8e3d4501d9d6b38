"""Faults of the machine, known by what libraries say of them: a failing disk, no memory left."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from fdif_jax.errors import EnvironmentFault, FdifError

# A full disk comes as OSError, as a ValueError that holds the text of one, or with a code of
# tensorstore's behind it.
_OS_REASON = re.compile(r"\[Errno \d+\] ([^:]*)|([^:]*) \[os_error_code")
_LONGEST = 200  # characters of a reason that is none of these


def out_of_memory(error: Exception) -> bool:
    """Whether the host had no memory left, or a device, which jax tells by a word in its text."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


@contextmanager
def one_fault(what: str, remedy: str) -> Iterator[None]:
    """Turns a failing disk, while orbax writes to it, into an EnvironmentFault.

    Its text is ``what`` (the reason)``remedy``.
    """
    try:
        yield
    except FdifError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise EnvironmentFault(f"{what} ({_reason(error)}){remedy}") from error


@contextmanager
def enough_memory(sentence: str) -> Iterator[None]:
    """Turns a lack of memory, of the host or a device, into an EnvironmentFault of this text."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # jax raises the second
        if not out_of_memory(error):
            raise
        raise EnvironmentFault(sentence) from error


def _reason(error: Exception) -> str:
    found = _OS_REASON.search(str(error))
    if found:
        return (found[1] or found[2]).strip()
    return (str(error).splitlines() or [repr(error)])[0][:_LONGEST]
