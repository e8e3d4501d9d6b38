"""The progress bar: how fast, how long still, and a note, on stderr."""

import sys
from types import TracebackType

from tqdm import tqdm

LOG_EVERY_S = 30.0
"""Where stderr is a file, each state of the bar is a line in it."""
_LINE = "{n_fmt} of {total_fmt} {unit}s, {rate_fmt}, {elapsed} done, {remaining} left{postfix}"


class Bar:
    """Called with (complete, all, note); a bar appears with the first call.

    Args:
      unit: what is counted, in the singular.
      quiet: nothing is shown.
    """

    def __init__(self, *, unit: str = "sample", quiet: bool = False):
        self._unit, self._quiet = unit, quiet
        self._bar: tqdm | None = None

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Moves the bar to ``done`` of ``total``, which may change on the way.

        A note (loss, Dice, …) stays until the next one.
        """
        if self._quiet:
            return
        if self._bar is None:
            self._bar = _begin(done, total, self._unit)
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> "Bar":
        """The bar itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the bar's line."""
        if self._bar is not None:
            self._bar.close()


class _Lines:
    """stderr for logs: what would overwrite the line before becomes a line of its own."""

    def write(self, text: str) -> None:
        if text := text.strip():
            sys.stderr.write(f"{text}\n")

    def flush(self) -> None:
        sys.stderr.flush()


def _begin(done: int, total: int, unit: str) -> tqdm:
    """A bar that starts at ``done``: what a run before this one did counts for no speed."""
    if sys.stderr.isatty():
        return tqdm(total=total, initial=done, unit=unit, dynamic_ncols=True)
    return tqdm(
        total=total,
        initial=done,
        unit=unit,
        file=_Lines(),
        bar_format=_LINE,
        mininterval=LOG_EVERY_S,
        maxinterval=LOG_EVERY_S,
    )
