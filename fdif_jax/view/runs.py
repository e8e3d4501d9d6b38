"""The page of a run folder: how the run ended, its curves, pictures, configuration and log."""

import contextlib
import html
import json
import os
import string
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fdif_jax.data.images import counted
from fdif_jax.errors import FdifError, InputError
from fdif_jax.io import metrics
from fdif_jax.train.log import TEXT_FILE
from fdif_jax.train.run_folder import RunFolder
from fdif_jax.view import assets, thumbnails
from fdif_jax.view.curves import Curve, curves

_CONFIG, _SUMMARY = "config.json", "summary.json"
_DRAWN_ANEW = "curves.png"
_LOG_LINES = 25


def is_run(path: Path) -> bool:
    """Whether ``path`` is a run folder.

    Raises:
      InputError: it is a model folder.
    """
    record = _record(path / _CONFIG)
    if isinstance(record.get("config"), dict) and "started" in record:
        return True
    if record and (path / "weights").exists():
        raise InputError(
            f"{path} is a model folder; give the folder of its run, or one of label files that "
            "`fdif predict` wrote with it."
        )
    return False


def write_page(run: Path, folder: Path) -> str:
    """Writes the page of a run into an empty folder; returns what it shows.

    Raises:
      InputError: a file of the run cannot be read, or is not as `fdif train` writes it.
      EnvironmentFault: what draws is not installed.
      OSError: the folder cannot be written.
    """
    thumbnails.require_viz()
    with _blamed(run):
        drawn = curves(run / metrics.FILE)
        record = _record(run / _CONFIG)
        pictures = {
            path.name: path.read_bytes()
            for path in sorted(run.glob("*.png"))
            if path.name != _DRAWN_ANEW and path.is_file()
        }
        parts = {
            "title": html.escape(run.resolve().name),
            "facts": _pairs(_facts(run, record)),
            "curves": "".join(map(_figure, drawn)) or "<p>Nothing was measured yet.</p>",
            "pictures": "".join(map(_picture, pictures)) or "<p>There are none.</p>",
            "config": _pairs(dict(_flat(record["config"]))),
            "lines": str(_LOG_LINES),
            "log": html.escape(_end(run / TEXT_FILE)),
        }
    (folder / "pictures").mkdir(parents=True)
    for name, data in pictures.items():
        (folder / "pictures" / name).write_bytes(data)
    assets.write_run(folder, string.Template(assets.text("run.html")).substitute(parts))
    return f"{counted(len(drawn), 'curve')} and {counted(len(pictures), 'picture')} of a run"


@contextlib.contextmanager
def _blamed(run: Path) -> Iterator[None]:
    """Says of what goes wrong inside that it is the run folder's doing."""
    try:
        yield
    except FdifError:
        raise
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read ({error.strerror}).") from error
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise InputError(
            f"{run} holds metrics or a summary that fdif train did not write so ({error!r}); mend "
            f"or remove {metrics.FILE} and {_SUMMARY}."
        ) from error


def _facts(run: Path, record: dict[str, Any]) -> dict[str, str]:
    """The run in a few words."""
    config, summary = record["config"], RunFolder(run).summary() or {}
    rows = metrics.read(run / metrics.FILE)
    done = summary.get("updates", rows[-1]["update"] if rows else 0)
    facts = {
        "folder": str(run),
        "state": f"{'complete' if summary else 'not complete'}, {done} updates",
        "network": config.get("model_name"),
        "data": config.get("data") or "volumes on the fly",
        "best validation Dice": _best(summary, rows),
        "started": record.get("started"),
        "command": _command(record.get("command")),
    }
    return {name: str(value) for name, value in facts.items() if value}


def _command(words: Any) -> str | None:
    """As it was given, but for the folder of the program."""
    if not isinstance(words, list) or not words:
        return None
    return " ".join([Path(str(words[0])).name, *map(str, words[1:])])


def _best(summary: dict[str, Any], rows: list[dict[str, Any]]) -> str | None:
    found = [
        (row["validation"]["dice"], row["update"])
        for row in rows
        if row.get("validation", {}).get("dice") is not None
    ]
    if summary.get("best_dice") is not None:
        found = [(summary["best_dice"], summary["best_update"])]
    if not found:
        return None
    dice, update = max(found)
    return f"{dice:.4f} after update {update}"


def _flat(record: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested fields as ``outer.inner``; those that are not set are left out."""
    if isinstance(record, dict):
        for key, value in record.items():
            yield from _flat(value, f"{name}.{key}" if name else key)
    elif isinstance(record, list):
        yield name, " ".join(map(str, record))
    elif record is not None:
        yield name, str(record)


def _end(path: Path) -> str:
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-_LOG_LINES:])


def _pairs(rows: dict[str, str]) -> str:
    cells = (
        f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(value)}</td></tr>'
        for name, value in rows.items()
    )
    return "".join(cells)


def _figure(curve: Curve) -> str:
    title, last = html.escape(curve.title), html.escape(curve.last)
    return (
        f'<figure><h3>{title}</h3><div role="img" aria-label="{title}: {last}">{curve.svg}</div>'
        f"<figcaption>{last}</figcaption></figure>"
    )


def _picture(file: str) -> str:
    name, source = html.escape(file), urllib.parse.quote(os.fsencode(file))
    image = f'<img src="pictures/{source}" alt="{name}">'
    return f"<figure>{image}<figcaption>{name}</figcaption></figure>"


def _record(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty where there is none."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
