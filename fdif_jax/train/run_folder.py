"""The folder of a run: its config, whether it may be continued, where the best model is found."""

import contextlib
import dataclasses
import importlib.metadata
import json
import os
import platform
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.io import atomic, metrics
from fdif_jax.train.class_config import ClassifyConfig, RunConfig
from fdif_jax.train.config import Kind, TrainConfig, differences
from fdif_jax.train.log import TENSORBOARD_FOLDER, TEXT_FILE

ROOT = Path("training_output")
_FORMAT = 1
_CLASSES = "classification"
_CONFIG, _SUMMARY = "config.json", "summary.json"
_PICTURES = ("curves.png", "inference_visualization.png", "inference_multiplane_visualization.png")
_PACKAGES = ("fdif-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "nibabel")


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """Paths of a run."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """What a killed run goes on from."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Model folder with the best score of a validation."""
        return self.path / "model_best"

    @property
    def last(self) -> Path:
        """Model folder of the last update."""
        return self.path / "model_last"

    def config(self) -> RunConfig | None:
        """Of the run that is there, or None.

        Raises:
          InputError: config.json is no such record.
        """
        file = self.path / _CONFIG
        try:
            record = json.loads(file.read_text())
            kind = ClassifyConfig if record.get("task") == _CLASSES else TrainConfig
            return kind.from_json(record["config"])
        except FileNotFoundError:
            return None
        except InputError as error:
            raise InputError(f"{file}: {str(error)[:-1]}; choose another --out_dir.") from None
        except OSError as error:
            raise InputError(
                f"{file} cannot be read ({error.strerror}); choose another --out_dir."
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise InputError(
                f"{file} is not the config of a training run, or damaged; choose another --out_dir."
            ) from None

    def summary(self) -> dict[str, Any] | None:
        """How the run ended, or None where it has not."""
        try:
            found = json.loads((self.path / _SUMMARY).read_text())
        except (OSError, ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) and "updates" in found else None

    def finish(self, summary: dict[str, Any]) -> None:
        """Marks the run as complete."""
        _write(self.path / _SUMMARY, summary)


def default_path(model_name: str, kind: Kind) -> Path:
    """``training_output/<model>/<kind>/<time>``."""
    name = time.strftime("%Y-%m-%d_%H-%M-%S")
    return ROOT / model_name / kind / name


def open_run(path: Path, config: RunConfig, *, overwrite: bool, data: str = "") -> RunFolder:
    """The folder, ready for a new run or with one of the same config to be continued.

    Args:
      path: of the folder.
      config: of the run.
      overwrite: delete the run that is there.
      data: a digest of what the data declare; a run goes on with the same ones only.

    Raises:
      InputError: it holds another run, or something else.
      EnvironmentFault: it cannot be written.
    """
    check_run(path, config, overwrite=overwrite)
    folder = RunFolder(path)
    if overwrite:
        _remove(folder)
    if folder.config() is None:
        _write(path / _CONFIG, _record(config) | {"data": data})
    elif (before := json.loads((path / _CONFIG).read_text()).get("data", data)) != data:
        raise InputError(
            f"{path} was trained on other cases or classes ({before}) than {config.data} has now "
            f"({data}); put those back, or give another --out_dir, or --overwrite."
        )
    return folder


def check_run(path: Path, config: RunConfig, *, overwrite: bool) -> None:
    """Refuses a folder that ``open_run`` would refuse; touches nothing.

    Raises:
      InputError: it holds another run, or something else.
      EnvironmentFault: it cannot be made.
    """
    there = next(place for place in (path, *path.absolute().parents) if _exists(place))
    if not there.is_dir():
        raise InputError(f"{there} is a file; choose another --out_dir.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise EnvironmentFault(f"{there} cannot be written; choose another --out_dir.")
    existing = RunFolder(path).config()
    if existing is None and path.is_dir() and any(path.iterdir()):
        raise InputError(
            f"{path} is not empty and holds no training run; choose another --out_dir."
        )
    if existing is None or overwrite:
        return
    if differing := differences(existing, config):
        raise InputError(
            f"{path} holds a run with other options ({'; '.join(differing[:4])}); give those, "
            "another --out_dir, or --overwrite."
        )


@contextlib.contextmanager
def alone_in(path: Path) -> Iterator[None]:
    """Keeps other processes from training in the folder, where the system has locks.

    Raises:
      InputError: one trains there now.
    """
    with (path / _CONFIG).open() as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another process is training in {path}; wait for it or stop it, or choose another "
                "--out_dir."
            ) from None
        except (ImportError, OSError):  # Windows; some network file systems
            pass
        yield


def point_to_best(folder: RunFolder, model_name: str) -> None:
    """Lets ``training_output/<model>/model_best`` stand for the run's best model.

    Only for runs below ``training_output``.
    """
    link = ROOT / model_name / "model_best"
    if ROOT.resolve() not in folder.path.resolve().parents or (
        link.exists() and not link.is_symlink()
    ):
        return
    temporary = link.with_name(f".model_best.{secrets.token_hex(8)}.tmp")
    try:
        temporary.symlink_to(os.path.relpath(folder.best.resolve(), link.parent.resolve()))
        temporary.replace(link)
    except OSError:  # a file system without links: the run folder has the model
        temporary.unlink(missing_ok=True)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # in a folder that may not be looked into, or too long a name
        return False


def _record(config: RunConfig) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "program": "fdif-jax",
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": sys.argv,
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "git": _git(),
        "config": config.to_json(),
        **({"task": _CLASSES} if isinstance(config, ClassifyConfig) else {}),
    }


def _git() -> dict[str, Any] | None:
    """State of the repository that the command was given in, if it was one."""

    def ask(*words: str) -> str:
        result = subprocess.run(
            ["git", *words], capture_output=True, text=True, timeout=10, check=True
        )
        return result.stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "changed": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _remove(folder: RunFolder) -> None:
    """What a run writes, and nothing else."""
    for path in (folder.checkpoints, folder.best, folder.last, folder.path / TENSORBOARD_FOLDER):
        shutil.rmtree(path, ignore_errors=True)
    for name in (_SUMMARY, TEXT_FILE, metrics.FILE, *_PICTURES, _CONFIG):
        (folder.path / name).unlink(missing_ok=True)


def _write(path: Path, record: dict[str, Any]) -> None:
    try:
        atomic.write(path, (json.dumps(record, indent=2) + "\n").encode())
    except OSError as error:
        raise EnvironmentFault(
            f"{path} cannot be written ({error.strerror or error}); choose another --out_dir."
        ) from error
