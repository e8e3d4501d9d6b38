"""The folder of a page: whether it may be written, and that it is whole or not there."""

import contextlib
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.view.assets import DATA, INDEX

_MARK = '<meta name="generator" content="fdif view">'
_OWN = re.compile(
    rf"{re.escape(INDEX)}|{re.escape(DATA)}|page/[^/]+\.(js|css|txt)|thumbnails/\d+\.jpg"
    r"|volumes/\d+\.js|pictures/[^/]+\.png"
)
"""The files of a page."""
_ASIDE = ("tmp", "before")
_MARK_WITHIN = 1000  # bytes of the index


def check(out_dir: Path, *, overwrite: bool) -> None:
    """Refuses a folder that would lose something; touches nothing.

    Raises:
      InputError: it holds a page and ``overwrite`` is not given, or something else.
      EnvironmentFault: it cannot be looked into.
    """
    try:
        held = sorted(path.name for path in out_dir.iterdir())
        strangers = sorted(_strangers(out_dir)) if _is_page(out_dir) else held
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise InputError(f"{out_dir} is a file, or below one; choose another --out_dir.") from error
    except OSError as error:
        raise EnvironmentFault(
            f"{out_dir} cannot be read ({error.strerror}); choose another --out_dir."
        ) from error
    if strangers:
        raise InputError(
            f"{out_dir} holds {strangers[0]!r}, which fdif view did not write; choose another "
            "--out_dir."
        )
    if held and not overwrite:
        raise InputError(
            f"{out_dir} holds a page already; pass --overwrite to replace it, or choose another "
            "--out_dir."
        )


@contextlib.contextmanager
def staged(out_dir: Path) -> Iterator[Path]:
    """An empty folder that takes the place of ``out_dir``, which ``check`` let pass, at the end.

    Raises:
      EnvironmentFault: it cannot be written; nothing stays behind, and a page there stays as it is.
    """
    out_dir = out_dir.resolve()
    token = secrets.token_hex(8)
    temporary, before = (out_dir.with_name(f".{out_dir.name}.{token}.{end}") for end in _ASIDE)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        with contextlib.suppress(FileNotFoundError):
            out_dir.rename(before)
        _rename(temporary, out_dir, before)
    except EnvironmentFault:
        raise
    except OSError as error:
        raise EnvironmentFault(
            f"{out_dir} cannot be written ({error.strerror or error}); make room, or choose "
            "another --out_dir."
        ) from error
    finally:
        for folder in (temporary, before):
            shutil.rmtree(folder, ignore_errors=True)


def _rename(new: Path, place: Path, before: Path) -> None:
    """Puts ``new`` into its place; where that fails, what was there ``before`` goes back."""
    try:
        new.rename(place)
    except OSError:
        with contextlib.suppress(OSError):
            before.rename(place)
        raise


def _strangers(folder: Path) -> Iterator[str]:
    """What is no part of a page."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if (path.is_symlink() or not path.is_dir()) and not _OWN.fullmatch(name):
            yield name


def _is_page(folder: Path) -> bool:
    try:
        with (folder / INDEX).open(encoding="utf-8", errors="replace") as file:
            return _MARK in file.read(_MARK_WITHIN)
    except OSError:
        return False
