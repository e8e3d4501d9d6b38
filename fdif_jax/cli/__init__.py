"""The command line: `fdif COMMAND …`. One module per command, loaded when it is asked for."""

import contextlib
import errno
import importlib
import logging
import signal
import sys
import warnings
from collections.abc import Iterator

import click

from fdif_jax.errors import FdifError

# name: (module, what --help says); a module holds its command under the name `command`
COMMANDS = {
    "generate": ("fdif_jax.cli.generate", "Write a labelled data set of synthetic volumes."),
    "generate-classification": (
        "fdif_jax.cli.generate_classification",
        "Write a classification data set of synthetic volumes.",
    ),
    "list": (
        "fdif_jax.cli.listing",
        "Show the networks, and the names of primitives, mappers, …",
    ),
    "validate": ("fdif_jax.cli.validate", "Check a data set by nnU-Net's rules."),
    "view": ("fdif_jax.cli.view", "Show a data set, predictions or a run in a browser."),
    "render": ("fdif_jax.cli.render", "Render a scene file to image and label."),
    "visualize": ("fdif_jax.cli.visualize", "Draw primitives, displaced ones, unions, mappers."),
    "train": ("fdif_jax.cli.train", "Train a network on synthetic volumes or real images."),
    "train-classifier": (
        "fdif_jax.cli.train_classifier",
        "Train a classifier of whole images on a pre-trained encoder or from scratch.",
    ),
    "import": ("fdif_jax.cli.import_", "Turn another tool's weights into a model folder."),
    "export": ("fdif_jax.cli.export", "Write a network's weights for another tool."),
    "inspect": ("fdif_jax.cli.inspect", "Say what a weight file holds and which network it fits."),
    "predict": ("fdif_jax.cli.predict", "Label images with a trained network."),
    "evaluate": ("fdif_jax.cli.evaluate", "Score predictions against references."),
    "benchmark": (
        "fdif_jax.cli.benchmark",
        "Measure how fast this machine generates and predicts.",
    ),
}


# What pathlib says of `~nobody`, and of links that lead to themselves.
_NO_PATH = ("Could not determine home directory", "Symlink loop")


class Fault(click.ClickException):
    """An error as one sentence; ``click`` prints it behind ``Error:`` and exits."""

    exit_code = 2


class Stopped(Fault):
    """Ctrl-C; the exit code is what shells report after it."""

    exit_code = 130


class Program(click.Group):
    """The commands of ``COMMANDS``; every foreseen error ends in one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command's module, so that --help and list need not wait for jax."""
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(COMMANDS[cmd_name][0]).command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table, without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As in click, but errors in one sentence."""
        with one_sentence():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Runs the command; its errors end in one sentence."""
        # What these say of damaged files and full disks, fdif says itself, in one sentence.
        for library in ("absl", "asyncio", "nibabel.global"):
            logging.getLogger(library).setLevel(logging.CRITICAL)
        with one_sentence():
            return super().invoke(ctx)


@contextlib.contextmanager
def one_sentence() -> Iterator[None]:
    """Turns foreseen errors into ``Fault``; a bug keeps its traceback."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        raise Fault(error.format_message()) from error
    except FdifError as error:
        raise Fault(str(error)) from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise Fault(f"{error.filename!r} is too long for a file's name; shorten it.") from error
    except RuntimeError as error:
        if not str(error).startswith(_NO_PATH):
            raise
        reason = str(error).rstrip(".")
        raise Fault(f"a path leads nowhere ({reason}); give another one.") from error
    except KeyboardInterrupt as stop:
        raise Stopped(str(stop) or "interrupted.") from stop


def underscored(token: str) -> str:
    """Option and command names in one spelling: --num-samples is --num_samples."""
    return token.replace("-", "_") if token not in COMMANDS else token


@click.group(
    cls=Program,
    context_settings={"token_normalize_func": underscored, "help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="fdif-jax", prog_name="fdif")
def cli() -> None:
    """Formula-driven pre-training data and networks for 3-D medical segmentation."""


def main() -> None:
    """The console script. A polite kill ends like Ctrl-C: in one sentence, resumable."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.unraisablehook = _tell
    warnings.filterwarnings("ignore", "coroutine .* was never awaited")  # orbax, on a full disk
    cli(prog_name="fdif")


def _tell(unraisable: "sys.UnraisableHookArgs") -> None:
    """Python's report, but for what tensorstore's threads leave behind where a disk is full."""
    if str(unraisable.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(unraisable)
