"""The run: updates, log, validations, checkpoints; killed at any moment it can go on.

The device is waited for once every ``log_every`` updates. Between these, updates are only sent
off, while threads make the batches of the next ones.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax import Array
from jax.sharding import Mesh

from fdif_jax.errors import FdifError, InputError
from fdif_jax.train import schedules
from fdif_jax.train.checkpoints import Checkpoints, Score
from fdif_jax.train.config import RunOptions
from fdif_jax.train.devices import own_slots
from fdif_jax.train.job import Say
from fdif_jax.train.jobs import AnyPlan, job_of
from fdif_jax.train.log import RunLog, Validation
from fdif_jax.train.outcome import Outcome
from fdif_jax.train.program import compile_update
from fdif_jax.train.readings import NotANumber, Readings
from fdif_jax.train.run_folder import RunFolder
from fdif_jax.train.signals import stop_signals
from fdif_jax.train.sources import device_batches
from fdif_jax.train.step import State, take_apart
from fdif_jax.train.trace import trace

Progress = Callable[[int, int, str], None]
"""Called with (updates done, all, a note)."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or a polite kill; what was done is in the last checkpoint."""


class Result(NamedTuple):
    """How a run ended."""

    updates: int
    score: Score
    validation: Validation | None
    """The last one."""


@dataclasses.dataclass
class Trainer:
    """A run under way.

    Args:
      plan: what to train on what.
      options: how to carry it out.
      folder: where; a run that is there is continued.
      mesh: devices that share each batch.
      say: takes sentences for the person.
      progress: takes the bar's state.
      opening: what was said of the run before, for the log.
    """

    plan: AnyPlan
    options: RunOptions
    folder: RunFolder
    mesh: Mesh
    say: Say = print
    progress: Progress = lambda done, total, note: None
    opening: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Makes what needs no disk: the network, the source of its crops."""
        self.job = job = job_of(self.plan)
        self._slots = own_slots(job.config.crops, self.mesh)
        start = job.start()
        self._notes = start.notes
        self._parts, self._state = take_apart(start.model, job.recipe, self.mesh)
        self._validator = job.validator(self._parts)
        self._programs: dict[bool, Any] = {}
        self._readings = Readings(job.source.name, job.config.accumulation)
        self._loss: float | None = None
        self._score = Score()
        self._validation: Validation | None = None
        self._validated = -1
        self._done = 0

    def begin_with(self, checkpoints: Path) -> None:
        """Takes the state from the newest of another run's checkpoints.

        Raises:
          InputError: none can be read, they are of another network, or have no updates left to do.
        """
        other = Checkpoints(checkpoints, self.mesh, read_only=True)
        found = other.restore(self._state)
        other.close()
        if found is None:
            raise InputError(f"--resume_from_checkpoint {checkpoints} holds no checkpoint.")
        self._take_over(found[0], Score())  # its best model is in the other folder
        if self._over():
            raise InputError(
                f"--resume_from_checkpoint {checkpoints} has {self._done} updates behind it; give "
                "a larger --max_iterations."
            )

    def run(self) -> Result:
        """Trains to the end, from the newest checkpoint if there is one.

        Raises:
          InputError: the data are not as they should be, or the loss is not a number.
          EnvironmentFault: a disk is full, …
          Interrupted: by a signal, behind a checkpoint.
        """
        self._checkpoints = Checkpoints(self.folder.checkpoints, self.mesh)
        try:
            found = self._checkpoints.restore(self._state)
            if found is not None:
                self._take_over(*found)
            if self._done:
                self.say(f"going on after update {self._done}")
            self._log = RunLog.open(
                self.folder.path,
                resume_update=self._done,
                tensorboard=self.options.tensorboard,
                enabled=jax.process_index() == 0,
            )
            self._outcome = Outcome(self.job, self.folder, self._parts, self._log, self.say)
            with self._log, stop_signals() as stopped:
                for line in self.opening:
                    self._log.say(line)
                for note in self._notes if self._done == 0 else ():
                    self._tell(note)
                self._updates(stopped)
                return self._finish()
        finally:
            self._checkpoints.close()

    def _take_over(self, state: State, score: Score) -> None:
        self._state, self._score = state, score
        self._done = int(state.update)
        self._validated = self._done if self._done % self.job.config.eval_every == 0 else -1

    def _updates(self, stopped: Callable[[], bool]) -> None:
        config = self.job.config
        batches = device_batches(
            self.job.source,
            self.mesh,
            slots=self._slots,
            accumulation=config.accumulation,
            updates=range(self._done, config.max_iterations),
        )
        self._readings.start_clock()
        try:
            for number, (images, labels) in enumerate(batches):
                wrote = trace(self.options.profile, number, self._state.update)
                if wrote:
                    self._tell(wrote)
                step = self._program(images, labels)
                self._state, metrics = step(self._state, images, labels)
                self._readings.add(metrics)
                self._done += 1
                self._between_updates()
                if self._early() or stopped():
                    break
        except FdifError:
            self._save()  # the updates up to here are good
            raise
        finally:
            batches.close()
        if stopped() and not self._over():
            self._save()
            raise Interrupted(
                f"stopped after {self._done} of {config.max_iterations} updates; the same command "
                f"with --out_dir {self.folder.path} goes on from there."
            )

    def _program(self, images: Array, labels: Array) -> Any:
        """The step, compiled when its first batch is there."""
        frozen = self._done < self.job.config.freeze_encoder
        if frozen not in self._programs:
            began = time.monotonic()
            self._programs[frozen] = compile_update(
                self.job, self._parts, self.mesh, self._state, images, labels, frozen=frozen
            )
            self._tell(f"compiled the update in {time.monotonic() - began:.0f} s")
            self._readings.start_clock()
        return self._programs[frozen]

    def _between_updates(self) -> None:
        config, done = self.job.config, self._done
        evaluate = done % config.eval_every == 0 and not self._over()
        save = done % (self.options.checkpoint_every or config.eval_every) == 0
        if done % self.options.log_every == 0 or evaluate or save or self._over():
            self._read_metrics()
        self.progress(done, config.max_iterations, self._note())
        if evaluate:
            self._validate()
        if save and not self._over():
            self._save()

    def _read_metrics(self) -> None:
        """Waits for the updates that were sent off, and logs them.

        Raises:
          InputError: a loss is not a number.
        """
        try:
            found = self._readings.read(self._done)
        except NotANumber as error:
            raise self._not_to_be_saved(error) from None
        if found is None:
            return
        config = self.job.config
        rate = schedules.warmup_cosine(config.learning_rate, config.max_iterations)(self._done - 1)
        self._loss = found.means["loss"]
        more = {"learning_rate": float(rate), "updates_per_second": found.updates_per_second}
        self._log.training(self._done, found.means | more)

    def _not_to_be_saved(self, error: NotANumber) -> InputError:
        """Lets go of the state; what to say of it."""
        self._state = None  # type: ignore[assignment]
        good = self._checkpoints.newest()
        kept = (
            f"the checkpoint after update {good} is good" if good else "no checkpoint was due yet"
        )
        return InputError(
            f"{error}; {kept}: lower --learning_rate, look at these images, or train with "
            "--precision fp32."
        )

    def _validate(self) -> None:
        if self._validator is None or self._validated == self._done:
            return
        try:
            found = self._validator(self._state)
        except NotANumber as error:
            self._read_metrics()  # an update that went wrong before is to blame
            raise self._not_to_be_saved(error) from None
        self._validation, self._validated = found, self._done
        self._log.validation(self._done, found)
        said = f"validation {found.measure} {found.score:.4f} ({found.cases} cases)"
        self.say(f"update {self._done}: {said}")
        score = self._score
        if not math.isnan(found.score) and (score.best is None or found.score > score.best):
            self._score = Score(found.score, self._done, 0)
            self._outcome.save_best(self._state, found)
        else:
            self._score = score._replace(evaluations_since=score.evaluations_since + 1)
        self._readings.start_clock()

    def _save(self) -> None:
        """A checkpoint of updates that were read, hence are good."""
        if self._state is None or self._done in (0, self._checkpoints.newest()):
            return
        self._read_metrics()
        self._checkpoints.save(self._state, self._score)
        self._readings.start_clock()

    def _finish(self) -> Result:
        self._read_metrics()
        self._validate()
        self.progress(self._done, self.job.config.max_iterations, self._note())
        self._save()
        self._outcome.finish(self._state, self._score, self._done, self._validator)
        return Result(self._done, self._score, self._validation)

    def _early(self) -> bool:
        most = self.job.config.early_stop
        if not most or self._score.evaluations_since < most:
            return False
        measure = self.job.words.score
        self._tell(f"no better {measure} in {most} validations: stopping after update {self._done}")
        return True

    def _over(self) -> bool:
        return self._done >= self.job.config.max_iterations

    def _note(self) -> str:
        parts = [] if self._loss is None else [f"loss {self._loss:.4f}"]
        if self._score.best is not None:
            parts.append(f"best {self.job.words.score} {self._score.best:.4f}")
        return ", ".join(parts)

    def _tell(self, sentence: str) -> None:
        self._log.say(sentence)
        self.say(sentence)
