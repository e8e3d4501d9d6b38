"""Files that are whole or absent under their final names.

Content goes to a temporary file in the same folder, which is then renamed. The temporary name,
``.<final name>.<token>.tmp``, ends with no ending that another tool looks for.

When to flush to the disk: a killed process loses nothing that it had handed to the system, so a
rename alone is enough against kill and crash, and a flush for each file would cost more than
rendering it. A power cut can leave renamed files empty. So the writer flushes what it wrote once,
before the metadata that calls the set whole (``flush``); and before that moment resume notices
such files by their checksums.
"""

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}\.tmp")
_ATTEMPTS = 5
_CANNOT_FLUSH = (errno.EINVAL, errno.EBADF, errno.ENOTSUP)  # some network and memory systems


def write(path: Path, data: bytes) -> None:
    """Puts ``data`` under ``path``, replacing what was there; makes the folders above it.

    Raises:
      OSError: the disk is full, the folder not writable, …; no temporary file stays behind.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _write_once(path, data)
        except FileNotFoundError:  # folder not there yet, or another run cleaned our temporary
            if attempt == _ATTEMPTS - 1:
                raise
            path.parent.mkdir(parents=True, exist_ok=True)


def _write_once(path: Path, data: bytes) -> None:
    with staged(path) as temporary, temporary.open("xb") as file:
        file.write(data)


@contextlib.contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of ``path``, renamed to it at the end.

    Raises:
      OSError: as ``write``; FileNotFoundError where there is no such folder.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def clean(root: Path, finals: Iterable[str]) -> None:
    """Removes temporary files that killed runs left for any of ``finals`` (paths below root).

    A live process that loses a temporary file to this writes it again.
    """
    names: dict[str, set[str]] = {}
    for final in finals:
        folder, _, name = final.rpartition("/")
        names.setdefault(folder, set()).add(name)
    for folder, own in names.items():
        for path in _files(root / folder):
            match = _TEMPORARY.fullmatch(path.name)
            if match and match["name"] in own:
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()


def flush(root: Path, written: Iterable[str], workers: int) -> None:
    """Returns when the files, and their names, are on the disk."""
    paths = [root / name for name in written]
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(_flush, paths))
        list(pool.map(_flush, sorted({path.parent for path in paths})))


def _flush(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, PermissionError):  # Windows opens no folders; nothing to flush
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
    finally:
        os.close(handle)


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
