"""The progress bar: how many per second and time left, on stderr."""

import sys
from types import TracebackType

from tqdm import tqdm

_LOG_EVERY_S = 10.0  # where stderr is a file, each update is a line in it


class Bar:
    """Called with (complete, all); a bar appears with the first call."""

    def __init__(self, *, quiet: bool = False, unit: str = "sample"):
        self._quiet, self._unit = quiet, unit
        self._bar: tqdm | None = None

    def __call__(self, done: int, total: int) -> None:
        """Moves the bar to ``done``."""
        if self._quiet:
            return
        if self._bar is None:
            every = 0.1 if sys.stderr.isatty() else _LOG_EVERY_S
            self._bar = tqdm(total=total, initial=done, unit=self._unit, mininterval=every)
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
