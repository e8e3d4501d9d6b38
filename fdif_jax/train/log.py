"""The log of a run: lines for a person, lines for programs, and TensorBoard's files.

    training_log.txt    what happened and when; nothing is ever taken out of it
    metrics.jsonl       the numbers (fdif_jax.io.metrics)
    tensorboard/        the same numbers, where asked for

A resumed run goes on from its checkpoint. Numbers of later updates, which it will measure again,
are forgotten; in TensorBoard they are hidden.
"""

import contextlib
import importlib
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, BinaryIO, NamedTuple

from fdif_jax.errors import EnvironmentFault
from fdif_jax.io import metrics

TEXT_FILE = "training_log.txt"
TENSORBOARD_FOLDER = "tensorboard"
_CLASSES_SHOWN = 20
_FLUSH_SECONDS = 10  # what a kill may cost TensorBoard; the files of our own lose nothing


def key_of(measure: str) -> str:
    """The name in files of what a score is called in sentences."""
    return measure.lower().replace(" ", "_")


class Validation(NamedTuple):
    """What one validation found. NaN: no case has the class."""

    score: float
    """What validations are ranked by; larger is better."""
    by_class: Mapping[str, float]
    """The score's parts."""
    cases: int
    seconds: float
    measure: str = "Dice"
    """What the score is called."""
    others: Mapping[str, float] = MappingProxyType({})
    """Further scores, of which means and ranks are not made."""

    @property
    def key(self) -> str:
        """The score's name in files."""
        return key_of(self.measure)

    def scores(self) -> dict[str, Any]:
        """What files keep of it, in plain values."""
        by_class = {name: float(value) for name, value in self.by_class.items()}
        named = {self.key: float(self.score), **self.others}
        return {**named, "by_class": by_class, "cases": self.cases}


class RunLog:
    """The three logs of one run; ``RunLog.open`` makes it.

    Every line is handed to the system when it is written, so that a kill loses none.
    """

    def __init__(self, text: BinaryIO | None, numbers: BinaryIO | None, board: Any):
        self._text, self._numbers, self._board = text, numbers, board

    @classmethod
    def open(
        cls,
        out_dir: Path,
        *,
        resume_update: int = 0,
        tensorboard: bool = False,
        enabled: bool = True,
    ) -> "RunLog":
        """The log of the run in ``out_dir``, which goes on after ``resume_update``.

        Args:
          out_dir: the run folder; made where it is missing.
          resume_update: updates that the checkpoint holds; 0 begins a run.
          tensorboard: whether to write TensorBoard's files too.
          enabled: False in all processes of a run but the first: the log then writes nothing.

        Raises:
          EnvironmentFault: tensorboardX is not installed, or the folder cannot be written.
        """
        if not enabled:
            return cls(None, None, None)
        with _writing(out_dir):
            metrics.forget_after(out_dir / metrics.FILE, resume_update)
            board = _board(out_dir / TENSORBOARD_FOLDER, resume_update) if tensorboard else None
            text = _append(out_dir / TEXT_FILE)
            log = cls(text, _append(out_dir / metrics.FILE), board)
        if resume_update:
            log.say(f"resumed after update {resume_update}")
        return log

    def say(self, sentence: str) -> None:
        """Adds a line with a time stamp to the text.

        Raises:
          EnvironmentFault: the disk is full, or the like; ``training`` and ``validation`` too.
        """
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        _write(self._text, f"{stamp}  {sentence}\n".encode())

    def training(self, update: int, values: Mapping[str, float]) -> None:
        """Adds what was measured at an update, by name: ``loss``, ``learning_rate`` and others."""
        row = {name: float(value) for name, value in values.items()}
        _write(self._numbers, metrics.encode({"update": update} | row))
        numbers = (f"{name.replace('_', ' ')} {value:.4g}" for name, value in row.items())
        self.say(f"update {update}: {', '.join(numbers)}")
        self._plot(update, "training", row)

    def validation(self, update: int, found: Validation) -> None:
        """Adds what a validation found."""
        row = found.scores() | {"seconds": found.seconds}
        by_class = row["by_class"]
        _write(self._numbers, metrics.encode({"update": update, "validation": row}))
        classes = ""
        if len(by_class) <= _CLASSES_SHOWN:
            classes = "".join(f", {name} {value:.4f}" for name, value in by_class.items())
        classes += "".join(f"; {n.replace('_', ' ')} {v:.4f}" for n, v in found.others.items())
        self.say(
            f"validation after update {update}: {found.measure} {found.score:.4f}{classes} "
            f"({found.cases} cases in {found.seconds:.1f} s)"
        )
        parts = {f"{found.key}_by_class/{name}": value for name, value in by_class.items()}
        self._plot(update, "validation", {found.key: row[found.key], **found.others} | parts)

    def close(self) -> None:
        """Ends the files."""
        for file in (self._text, self._numbers, self._board):
            if file is not None:
                with contextlib.suppress(OSError):  # was told when the line was written
                    file.close()

    def __enter__(self) -> "RunLog":
        """The log itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the files."""
        self.close()

    def _plot(self, update: int, group: str, values: Mapping[str, float]) -> None:
        if self._board is not None:
            for name, value in values.items():
                if math.isfinite(value):
                    self._board.add_scalar(f"{group}/{name}", value, update)


def _append(path: Path) -> BinaryIO:
    """The file, opened behind its last whole line."""
    file = path.open("a+b")
    if file.tell():
        file.seek(-1, 2)
        if file.read() != b"\n":
            file.write(b"\n")
    return file


def _write(file: BinaryIO | None, line: bytes) -> None:
    if file is None:
        return
    with _writing(Path(file.name)):
        file.write(line)
        file.flush()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except EnvironmentFault:
        raise
    except OSError as error:
        raise EnvironmentFault(
            f"{error.filename or path} cannot be written ({error.strerror or error}); make room "
            "or choose another --out_dir, and the run goes on from its last checkpoint."
        ) from error


def require_tensorboard() -> None:
    """Raises EnvironmentFault, naming the extra, where TensorBoard's files cannot be written."""
    try:
        importlib.import_module("tensorboardX")
    except ImportError as error:
        raise EnvironmentFault(
            "--tensorboard needs tensorboardX: pip install 'fdif-jax[tensorboard]', or leave out "
            "--tensorboard; metrics.jsonl has the same numbers."
        ) from error


def _board(folder: Path, resume_update: int) -> Any:
    require_tensorboard()
    from tensorboardX import SummaryWriter

    return SummaryWriter(
        str(folder),
        purge_step=resume_update + 1,
        flush_secs=_FLUSH_SECONDS,
        filename_suffix=f".{resume_update}",  # names hold the second, and runs can resume in one
    )
