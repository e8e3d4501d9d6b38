"""What updates measured, read back from the device many at a time."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from fdif_jax.train.step import Metrics

_MEANS = ("loss", "dice_loss", "ce", "gradient_norm")
_NAMED = 4  # crops in a message


class NotANumber(ArithmeticError):
    """A loss, the norm of a gradient, or logits; its text says at which update, of which images."""


class Reading(NamedTuple):
    """Of the updates since the reading before."""

    means: dict[str, float]
    updates_per_second: float


@dataclasses.dataclass
class Readings:
    """Takes the metrics of updates that were only sent off, and reads them when asked.

    Args:
      name: tells where a crop came from, by the number of its batch and its place in it.
      accumulation: batches in an update.
    """

    name: Callable[[int, int], str]
    accumulation: int
    _pending: list[Metrics] = dataclasses.field(default_factory=list, init=False)
    _clock: float = dataclasses.field(default_factory=time.monotonic, init=False)

    def add(self, metrics: Metrics) -> None:
        """Of the update that was sent off last; the device is not waited for."""
        self._pending.append(metrics)

    def start_clock(self) -> None:
        """The time until now was spent on something else than updates."""
        self._clock = time.monotonic()

    def read(self, done: int) -> Reading | None:
        """Waits for all updates, the last of which is number ``done``; None where none are new.

        Raises:
          NotANumber: in one of them.
        """
        if not self._pending:
            return None
        found: list[Metrics] = jax.device_get(self._pending)
        self._pending = []
        for update, metrics in enumerate(found, done - len(found)):
            if not (math.isfinite(metrics.loss) and math.isfinite(metrics.gradient_norm)):
                raise NotANumber(self._sentence(update, metrics))
        seconds = time.monotonic() - self._clock
        self.start_clock()
        given = [name for name in _MEANS if getattr(found[0], name) is not None]
        means = {name: float(np.mean([getattr(m, name) for m in found])) for name in given}
        return Reading(means, len(found) / max(seconds, 1e-9))

    def _sentence(self, update: int, metrics: Metrics) -> str:
        bad = np.argwhere(~np.isfinite(metrics.by_crop))
        names = [self.name(update * self.accumulation + int(a), int(n)) for a, n in bad]
        unique = list(dict.fromkeys(names))
        where = f" in {', '.join(unique[:_NAMED])}" if unique else ""
        where += f" and {len(unique) - _NAMED} more" if len(unique) > _NAMED else ""
        return f"the loss or its gradient is not a number at update {update + 1}{where}"
