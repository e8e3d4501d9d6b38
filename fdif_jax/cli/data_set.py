"""What all commands that write a data set do: check, describe, write, draw, name the next step."""

import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import jax

from fdif_jax.classification import ClassificationConfig, DataSetConfig
from fdif_jax.cli import limits
from fdif_jax.cli.plan import Plan, make_plan
from fdif_jax.cli.progress import Bar
from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.faults import out_of_memory
from fdif_jax.io import folder, log, writer
from fdif_jax.io.layout import TRAINING
from fdif_jax.memory import human
from fdif_jax.synth.plugins import blamed

_ANY_NETWORK = 32
"""Every network takes patches whose sides are multiples of it."""


def write(config: DataSetConfig, options: Mapping[str, Any]) -> None:
    """Writes the data set of ``config``, or the part of it that is missing, and says so.

    Args:
      config: what to generate.
      options: ``options.run_options``, and ``save_scenes`` where the command has it.

    Raises:
      InputError: before anything is written.
      EnvironmentFault: the disk is full, the folder not writable, …; what was written stays.
    """
    pictures = options["num_visualize"]
    if pictures < 0:
        raise InputError(f"num_visualize is {pictures}; allowed: 0 or more.")
    if options["resume"] and options["overwrite"]:
        raise InputError("--resume and --overwrite exclude each other; drop one.")
    if pictures:
        limits.require_matplotlib()
    plan = make_plan(config, options)
    say = _silent if options["quiet"] else click.echo
    for line in describe(plan, long=options["dry_run"]):
        say(line)
    if options["dry_run"]:
        return
    if options["overwrite"] or plan.generation.config.plugin:
        probe(plan)
    if options["overwrite"]:
        folder.remove(plan.out_dir, plan.layout)
    report = run(plan, scenes=options.get("save_scenes", False), quiet=options["quiet"])
    if report.missing and plan.shard.count == 1:
        raise EnvironmentFault(
            f"{report.missing} samples vanished from {plan.out_dir} while the others were "
            "written; the same command makes them again."
        )
    log.append(plan.home, plan.generation, plan.shard, report)
    if pictures:
        draw(plan, pictures)
    for line in closing(plan, report):
        say(line)


def probe(plan: Plan) -> None:
    """Renders a sample before anything is written or deleted.

    Raises:
      InputError: what a person's plugin adds does not run.
    """
    with blamed(plan.generation.config.plugin):
        plan.recipe.produce(TRAINING, 0)


def run(plan: Plan, *, scenes: bool, quiet: bool) -> writer.Report:
    """Writes the plan's samples with a progress bar."""
    job = writer.Job(plan.out_dir, plan.layout, plan.shard, plan.workers, scenes)

    def produce(split: str, index: int) -> Any:
        try:
            return plan.recipe.produce(split, index)
        except jax.errors.JaxRuntimeError as error:
            if out_of_memory(error):
                raise MemoryError from error
            raise

    def notice(message: str) -> None:
        click.echo(f"Notice: {message}", err=True)

    with Bar(quiet=quiet) as bar:
        return writer.write_dataset(job, produce, progress=bar, notice=notice)


def draw(plan: Plan, count: int) -> None:
    """Pictures of the first training samples, those of this shard."""
    from fdif_jax.viz import slices

    first = [ref for ref in plan.shard.of(plan.layout) if ref.split == TRAINING]
    first = [ref for ref in first if ref.index < count]
    slices.write_pictures(plan.out_dir, plan.layout, first, workers=plan.workers)


def describe(plan: Plan, *, long: bool) -> list[str]:
    """What will be written; with ``long`` classes and costs too."""
    generation, classes = plan.generation, plan.generation.classes
    size = "x".join(map(str, generation.config.grid))
    training, validation = generation.counts.values()
    lines = [
        f"{training} training, {validation} validation volumes of {size} into {plan.out_dir}, "
        f"seed {generation.seed}"
    ]
    if isinstance(generation.config, ClassificationConfig):
        lines.append(f"{len(classes.labels)} classes")
        lines += [f"label {name}: {len(ids)} classes" for name, ids in classes.tasks.items()]
    else:
        lines.append(f"{classes.out_channel - 1} classes, out_channel {classes.out_channel}")
        lines += [f"task {name}: {len(ids) - 1} classes" for name, ids in classes.tasks.items()]
    if plan.shard.count > 1:
        lines.append(f"shard {plan.shard.index} of {plan.shard.count}")
    if not long:
        return lines
    lines += [f"  {i:>5}  {name}" for i, name in classes.labels.items()]
    disk = limits.disk_needed(generation)
    memory = limits.memory_needed(generation.config, plan.workers)
    lines.append(f"about {human(disk)} on disk, {human(memory)} of memory")
    free = _free_disk(plan.out_dir)
    if free < disk:
        lines.append(f"only {human(free)} are free on that disk")
    return lines


def closing(plan: Plan, report: writer.Report) -> list[str]:
    """What was done, and how to train on it."""
    rate = report.written / report.elapsed
    lines = [
        f"{report.written} samples written, {report.found} were there; {rate:.1f} samples/s"
        if report.written
        else f"nothing to do: all {report.found} samples are there"
    ]
    if report.missing:
        lines.append(f"{report.missing} samples are left to other shards")
        return lines
    return [*lines, f"Train on it: {train_command(plan)}"]


def train_command(plan: Plan) -> str:
    """The command that trains on the data set."""
    generation = plan.generation
    if isinstance(generation.config, ClassificationConfig):
        patch = [str(-(-side // _ANY_NETWORK) * _ANY_NETWORK) for side in generation.config.grid]
        words = [
            "fdif",
            "train-classifier",
            "--data",
            str(plan.out_dir),
            "--model_name",
            "resenc_m",
        ]
        return shlex.join([*words, "--grid_size", *patch])
    metadata = plan.out_dir / next(iter(plan.layout.metadata()))
    words = ["fdif", "train", "--data_json_path", str(metadata), "--model_name", "swin_unetr"]
    if generation.classes.tasks:
        words.append("--multi_task")
    else:
        words += ["--out_channel", str(generation.classes.out_channel)]
    return shlex.join(words)


def _free_disk(path: Path) -> int:
    existing = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
    return shutil.disk_usage(existing).free


def _silent(line: str) -> None:
    """Takes the place of click.echo with --quiet."""
