"""Prepared cases kept on the disk, so that each is read and resampled once.

A case's folder is named after all that decides its content: files (place, size, time of change)
and preprocessing. Its arrays are memory-mapped: a crop reads the pages that it lies on, and the
system keeps in memory what fits.
"""

import dataclasses
import errno
import hashlib
import json
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs

from fdif_jax.data.crops import foreground_of
from fdif_jax.data.datalist import Case
from fdif_jax.data.preprocess import Preprocessing, prepare_case
from fdif_jax.errors import EnvironmentFault

_FORMAT = 1  # raise it when preprocessing gives other numbers than before
_FILES = ("image", "label", "foreground")


class Volume(NamedTuple):
    """A prepared case."""

    image: np.ndarray
    """(D, H, W, C) float32."""
    label: np.ndarray
    """(D, H, W) or (D, H, W, T) integers."""
    foreground: np.ndarray
    """Places in the flattened volume that carry a label."""


def default_folder() -> Path:
    """``fdif-jax/volumes`` in the user's cache folder."""
    return platformdirs.user_cache_path("fdif-jax") / "volumes"


@dataclasses.dataclass(frozen=True)
class Volumes:
    """Prepared cases, from the disk where they were prepared before.

    Args:
      plan: the preprocessing.
      classes: as for ``read_label``.
      folder: of the cache; None prepares a case each time it is asked for.
      channels: of the images; None takes what a file seems to have.
    """

    plan: Preprocessing
    classes: Sequence[int] = ()
    folder: Path | None = None
    channels: int | None = None

    def load(self, case: Case) -> Volume:
        """One case; may be called from several threads and processes at once.

        Raises:
          InputError: a file cannot be read or holds what it should not.
          EnvironmentFault: the cache's disk is full or not writable.
        """
        if self.folder is None:
            return self._prepared(case)
        path = self.folder / self._key(case)
        found = _read(path)
        if found is None:
            _write(path, self._prepared(case))
            found = _read(path)
        return self._prepared(case) if found is None else found

    def _prepared(self, case: Case) -> Volume:
        image, label, _ = prepare_case(case, self.plan, self.classes, self.channels)
        assert label is not None, case.id
        return Volume(image, label, foreground_of(label))

    def _key(self, case: Case) -> str:
        files = []
        for file in (*case.images, *case.label):
            status = file.stat()
            files.append([str(file.resolve()), status.st_size, status.st_mtime_ns])
        record = [_FORMAT, self.plan.to_json(), list(self.classes), self.channels, files]
        return hashlib.sha256(json.dumps(record).encode()).hexdigest()[:32]


def _read(path: Path) -> Volume | None:
    """None where the folder is not there, or was damaged."""
    try:
        return Volume(*(np.load(path / f"{name}.npy", mmap_mode="r") for name in _FILES))
    except (OSError, ValueError):
        return None


def _write(path: Path, volume: Volume) -> None:
    """The folder appears whole; where another process was faster, its one stays."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        partial.mkdir(parents=True)
        for name, array in zip(_FILES, volume, strict=True):
            np.save(partial / f"{name}.npy", array)
        try:
            partial.rename(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if _read(path) is None:  # damaged: make way for the whole one
                shutil.rmtree(path, ignore_errors=True)
                partial.rename(path)
    except OSError as error:
        raise EnvironmentFault(
            f"{path.parent} cannot be written ({error.strerror or error}); choose another place "
            "for prepared volumes with --cache_dir, or --cache_dir none."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
