"""Writing one file: whole or not at all, and an error in one sentence where it cannot be."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.io import atomic


@contextlib.contextmanager
def saving(path: Path) -> Iterator[BinaryIO]:
    """An open file that gets its name at the end; folders above it are made.

    Raises:
      InputError: the name is a folder's.
      EnvironmentFault: the folder is not writable, the disk is full, …
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file to write.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.staged(path) as temporary, temporary.open("xb") as file:
            yield file
    except OSError as error:
        raise EnvironmentFault(
            f"{path} cannot be written ({error.strerror or error}); choose another place."
        ) from error
