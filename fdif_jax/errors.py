"""Errors a person can act on, and the lookup that names the nearest valid name."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


class FdifError(Exception):
    """A mistake in what the person gave: one sentence with what, what is allowed, the remedy.

    The command line prints the message behind ``Error:`` and exits with code 2; callers of the
    Python API can catch it like any exception.
    """


class InputError(FdifError, ValueError):
    """A value, name or file content that is not allowed."""


class EnvironmentFault(FdifError, OSError):
    """The surroundings failed: full disk, unwritable folder, missing optional package."""


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name closest to ``name``, ignoring case, or None where nothing is close."""
    by_fold = {candidate.casefold(): candidate for candidate in allowed}
    close = difflib.get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.5)
    return by_fold[close[0]] if close else None


def lookup(table: Mapping[str, T], name: str, *, kind: str, remedy: str = "") -> T:
    """``table[name]``, or an error that names the nearest key.

    Args:
      table: the allowed names and what they stand for.
      name: as given by the person.
      kind: the noun for the message, e.g. ``primitive``.
      remedy: a closing hint, e.g. ``fdif list primitives shows them``.

    Raises:
      InputError: ``name`` is not in ``table``.
    """
    if name in table:
        return table[name]
    close = nearest(name, table)
    if close is not None:
        hint = f"did you mean {close!r}?"
    elif len(table) <= 12:
        hint = f"allowed: {', '.join(table)}."
    else:
        hint = f"there are {len(table)}."
    raise InputError(f"unknown {kind} {name!r}; {hint}{f' {remedy}' if remedy else ''}")
