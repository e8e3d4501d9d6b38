"""A whole run, from its config to the sentences at its end."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import jax
from jax.experimental import multihost_utils

from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.faults import enough_memory
from fdif_jax.train.checkpoints import read_update
from fdif_jax.train.class_config import RunConfig
from fdif_jax.train.config import RunOptions
from fdif_jax.train.devices import make_mesh
from fdif_jax.train.job import Say
from fdif_jax.train.jobs import AnyPlan, job_of, plan_of
from fdif_jax.train.log import require_tensorboard
from fdif_jax.train.loop import Progress, Result, Trainer
from fdif_jax.train.run_folder import RunFolder, alone_in, check_run, default_path, open_run


def start_run(
    config: RunConfig,
    options: RunOptions,
    *,
    out_dir: Path | None = None,
    overwrite: bool = False,
    resume_from: Path | None = None,
    say: Say = print,
    progress: Progress = lambda done, total, note: None,
) -> Iterator[str]:
    """Trains; gives the closing sentences.

    Args:
      config: what to train on what.
      options: how to carry it out.
      out_dir: the run folder; an unfinished run of the same config there is continued.
      overwrite: delete the run that is there.
      resume_from: a run folder, or its checkpoints, to begin with.
      say: takes sentences while it runs.
      progress: takes the bar's state.

    Raises:
      InputError, EnvironmentFault, Interrupted: as ``Trainer.run``; or the options do not fit.
    """
    if out_dir is not None:
        check_run(out_dir, config, overwrite=overwrite)
    if options.tensorboard:
        require_tensorboard()
    if out_dir is None and jax.process_count() > 1:
        raise InputError("a job of several processes needs --out_dir, the same for all of them.")
    checkpoints = _checkpoints_of(resume_from)
    plan = plan_of(config, options)
    mesh = make_mesh(options.devices)
    path = out_dir or default_path(config.model_name, plan.kind)
    first = jax.process_index() == 0
    say = say if first else _nothing
    finished = RunFolder(path).summary()
    if finished is not None and not overwrite:
        yield f"{path} is finished ({finished['updates']} updates); --overwrite trains anew"
        return
    opening = describe(plan, path, mesh.size)
    for line in opening:
        say(line)
    # The network is made, and a pretrained one read, before anything is written.
    bar = progress if first else _no_bar
    trainer = Trainer(plan, options, RunFolder(path), mesh, say, bar, opening)
    begun = not overwrite and read_update(trainer.folder.checkpoints) is not None
    if checkpoints is not None and not begun:
        trainer.begin_with(checkpoints)
    trainer.job.read_all(say, begun)
    if options.profile is not None:
        _make_folder(Path(options.profile))
    _open(path, config, overwrite, trainer.job.data)
    with alone_in(path) if first else contextlib.nullcontext():
        result = _run(trainer)
    yield from closing(trainer, result)


def describe(plan: AnyPlan, path: Path, devices: int) -> list[str]:
    """What will be trained on what."""
    job = job_of(plan)
    config, words = job.config, job.words
    size = "x".join(map(str, config.patch))
    shared = "" if devices == 1 else f" on {devices} devices"
    return [
        f"{job.kind.replace('_', ' ')}: {config.model_name}, {words.outputs} outputs, into {path}",
        words.data,
        f"{config.max_iterations} updates of {config.accumulation * config.crops} {words.sample} "
        f"of {size}{shared}, seed {config.seed}",
        words.images,
        *words.notes,
    ]


def closing(trainer: Trainer, result: Result) -> Iterator[str]:
    """What came out, and the commands that use it."""
    folder, score = trainer.folder, result.score
    yield f"{result.updates} updates done; the last model is {folder.last}"
    if score.best is not None:
        measure = trainer.job.words.score
        best = f"best validation {measure} {score.best:.4f}, after update {score.best_update}"
        yield f"{best}: {folder.best}"
    images = trainer.job.words.predict
    command = f"fdif predict --model {folder.best} --input {images} --out_dir PREDICTIONS"
    yield f"Predict with it: {command}"


def _open(path: Path, config: RunConfig, overwrite: bool, data: str) -> None:
    """The run folder, made by the first process of a job before the others look at it."""
    if jax.process_index() == 0:
        if RunFolder(path).config() is not None:
            with alone_in(path):  # before anything of it is deleted
                pass
        open_run(path, config, overwrite=overwrite, data=data)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("run folder")
        open_run(path, config, overwrite=False, data=data)


def _checkpoints_of(path: Path | None) -> Path | None:
    """The folder of checkpoints that a person means by a path."""
    if path is None:
        return None
    for folder in (path / "checkpoints", path, path.parent):
        if folder.is_dir() and any(p.name.isdigit() for p in folder.iterdir()):
            return folder
    raise InputError(
        f"--resume_from_checkpoint {path}: no checkpoints there; give a run folder of fdif train."
    )


def _run(trainer: Trainer) -> Result:
    with enough_memory(
        "the device has not enough memory; lower --batch_size or --grid_size, or give "
        "--use_checkpoint or --precision bf16: what is in checkpoints is good."
    ):
        return trainer.run()


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"{path} cannot be made a folder ({error.strerror}); choose another --profile."
        ) from error


def _nothing(line: str) -> None:
    """Takes the place of ``say`` in all processes but the first."""


def _no_bar(done: int, total: int, note: str) -> None:
    """Takes the place of the bar there."""
