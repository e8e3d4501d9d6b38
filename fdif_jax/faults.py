"""The ways in which a disk fails while orbax writes to it, as one fault."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from fdif_jax.errors import EnvironmentFault, FdifError

# A full disk comes as OSError, as a ValueError that holds the text of one, or with a code of
# tensorstore's behind it.
_OS_REASON = re.compile(r"\[Errno \d+\] ([^:]*)|([^:]*) \[os_error_code")
_LONGEST = 200  # characters of a reason that is none of these


@contextmanager
def one_fault(what: str, remedy: str) -> Iterator[None]:
    """Turns them into an EnvironmentFault: ``what`` (the reason)``remedy``."""
    try:
        yield
    except FdifError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise EnvironmentFault(f"{what} ({_reason(error)}){remedy}") from error


def _reason(error: Exception) -> str:
    found = _OS_REASON.search(str(error))
    if found:
        return (found[1] or found[2]).strip()
    return (str(error).splitlines() or [repr(error)])[0][:_LONGEST]
