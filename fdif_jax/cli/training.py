"""What `fdif train` and `fdif train-classifier` have in common: options, and the run itself."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fdif_jax.cli.options import Function, declare, model_option
from fdif_jax.cli.progress import Bar
from fdif_jax.compilation import keep_programs
from fdif_jax.errors import FdifError
from fdif_jax.train.class_config import RunConfig
from fdif_jax.train.config import RunOptions

_NETWORK = (
    click.option(
        "--pretrained_model", help="Start from a model folder, or from a file of MONAI, …."
    ),
    click.option(
        "--in_channels", type=int, default=1, show_default=True, help="Channels of an image."
    ),
    click.option(
        "--feature_size", type=int, show_default="16 unetr, 48 swin_unetr", help="Its width."
    ),
    model_option,
    click.option(
        "--precision",
        type=click.Choice(["fp32", "bf16"]),
        default="fp32",
        show_default=True,
        help="Of the network's products; weights are fp32.",
    ),
    click.option("--use_checkpoint", is_flag=True, help="Recompute blocks, to save memory."),
)
_UPDATES = (
    click.option(
        "--gradient_accumulation_steps",
        type=int,
        default=1,
        show_default=True,
        help="Batches that one update is the mean of.",
    ),
    click.option(
        "--learning_rate", type=float, default=1e-4, show_default=True, help="Its maximum."
    ),
    click.option("--no_augment", is_flag=True, help="No flips, turns and intensity shifts."),
    click.option(
        "--freeze_encoder",
        type=int,
        default=0,
        show_default=True,
        help="For so many updates at the start the encoder stays as it is.",
    ),
    click.option(
        "--eval_every",
        type=int,
        default=500,
        show_default=True,
        help="Updates between validations.",
    ),
    click.option(
        "--early_stop",
        type=int,
        default=0,
        show_default="never",
        help="Stop after so many validations without a better score.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Of everything random."),
)
_RUN = (
    click.option("--overwrite", is_flag=True, help="Delete the run in out_dir first."),
    click.option(
        "--resume_from_checkpoint",
        type=click.Path(path_type=Path),
        help="Begin with the newest checkpoint of another run folder.",
    ),
    click.option(
        "--checkpoint_every",
        type=int,
        show_default="eval_every",
        help="Updates between checkpoints.",
    ),
    click.option(
        "--log_every",
        type=int,
        default=20,
        show_default=True,
        help="Updates between lines of the log.",
    ),
    click.option("--tensorboard", is_flag=True, help="Also write a TensorBoard log."),
    click.option("--devices", type=int, show_default="all", help="Devices that share each batch."),
    click.option("--distributed", is_flag=True, help="Join the processes of a cluster job."),
    click.option(
        "--coordinator", metavar="HOST:PORT", help="Of process 0, where no cluster says it."
    ),
    click.option("--num_processes", type=int, help="Processes of the job."),
    click.option("--process_id", type=int, help="Number of this one, from 0."),
    click.option("--profile", help="Folder for a trace of updates 11 to 20."),
    click.option("--quiet", is_flag=True, help="Say nothing but errors."),
)


def training_options(kind: str) -> Callable[[Function], Function]:
    """The options, as a decorator.

    Args:
      kind: the run's folder among others, for the help text.
    """
    out_dir = click.option(
        "--out_dir",
        type=click.Path(path_type=Path),
        show_default=f"training_output/<model>/{kind}/<time>",
        help="Run folder; an unfinished run of the same options is continued.",
    )
    return lambda function: declare((*_NETWORK, *_UPDATES, out_dir, *_RUN), function)


def run_options(options: dict[str, Any]) -> RunOptions:
    """How a run is carried out.

    Raises:
      InputError: a number is out of range.
    """
    return RunOptions(
        devices=options["devices"],
        cache_dir=options.get("cache_dir"),
        checkpoint_every=options["checkpoint_every"],
        log_every=options["log_every"],
        tensorboard=options["tensorboard"],
        profile=options["profile"],
    )


def run_training(config: RunConfig, run: RunOptions, options: dict[str, Any]) -> None:
    """Trains, as one of a job's processes where the options say so.

    Args:
      config: what defines the run.
      run: how it is carried out.
      options: of the command line: the job's, ``quiet``, and what is about the run folder.
    """
    keep_programs()
    _join(options)
    try:
        _train(config, run, options)
    except FdifError as error:
        _leave_the_job(error)
        raise


def _join(options: dict[str, Any]) -> None:
    names = ("coordinator", "num_processes", "process_id")
    if options["distributed"] or any(options[n] is not None for n in names):
        from fdif_jax.train.devices import join_processes

        join_processes(*(options[n] for n in names))


def _train(config: RunConfig, run: RunOptions, options: dict[str, Any]) -> None:
    from fdif_jax.train.start_run import start_run

    say = (lambda line: None) if options["quiet"] else click.echo
    with Bar(unit="update", quiet=options["quiet"]) as bar:
        for line in start_run(
            config,
            run,
            out_dir=options["out_dir"],
            overwrite=options["overwrite"],
            resume_from=options["resume_from_checkpoint"],
            say=say,
            progress=bar,
        ):
            say(line)


def _leave_the_job(error: FdifError) -> None:
    """Ends a process of several at once: a regular exit would wait for the others to end too."""
    import jax

    if jax.process_count() > 1:
        click.echo(f"Error: {error}", err=True)
        os._exit(2)
