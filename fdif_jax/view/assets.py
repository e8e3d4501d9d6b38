"""The files that every page has: its text, its style, its scripts and the viewer."""

from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

INDEX = "index.html"
SCRIPTS = ("start.js", "list.js", "store.js", "scene.js", "classes.js", "controls.js", "main.js")
STYLE = "style.css"
VIEWER = ("niivue.umd.js", "LICENSES.txt")
DATA = "data.js"


def write(folder: Path, data: bytes) -> None:
    """Writes those of a page of samples.

    Args:
      folder: of the page.
      data: the script with what the list shows.
    """
    _copy(folder, "page", (STYLE, *SCRIPTS))
    _copy(folder, "niivue", VIEWER)
    (folder / DATA).write_bytes(data)
    (folder / INDEX).write_text(text(INDEX), encoding="utf-8")


def write_run(folder: Path, index: str) -> None:
    """Writes those of a page of a run, with the text of its index."""
    _copy(folder, "page", (STYLE,))
    # Names of files need not be text.
    (folder / INDEX).write_text(index, encoding="utf-8", errors="replace")


def text(name: str) -> str:
    """One of the page's files."""
    return (_here() / "page" / name).read_text(encoding="utf-8")


def _copy(folder: Path, place: str, names: Iterable[str]) -> None:
    (folder / "page").mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / "page" / name).write_bytes((_here() / place / name).read_bytes())


def _here() -> Traversable:
    return resources.files("fdif_jax.view")
