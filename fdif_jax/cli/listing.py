"""`fdif list`: the names that options take. Needs no jax unless it must."""

import json
from collections.abc import Sequence
from typing import Any

import click

from fdif_jax.synth.table import ALIASES, CATEGORIES, PRIMITIVES

Record = dict[str, Any]


@click.group("list")
def command() -> None:
    """Show the names that options take."""


def _option(function: Any) -> Any:
    option = click.option("--json", "as_json", is_flag=True, help="For programs.")
    plugin = click.option("--plugin", metavar="MODULE:CATALOG", help="A catalog of your own.")
    return option(plugin(function))


@command.command()
@_option
def primitives(as_json: bool, plugin: str | None) -> None:
    """The primitives with class id, name, class name, category and older spellings."""
    rows = PRIMITIVES if plugin is None else _catalog(plugin).primitive_rows
    aliases: dict[str, list[str]] = {}
    for old, name in ALIASES.items():
        aliases.setdefault(name, []).append(old)
    records = [
        {
            "id": i,
            "name": row.name,
            "class_name": row.display_name,
            "category": row.category,
            "parameters": list(row.params),
            "aliases": aliases.get(row.name, []),
        }
        for i, row in enumerate(rows, start=1)
    ]
    _show(records, as_json)


@command.command()
@_option
def categories(as_json: bool, plugin: str | None) -> None:
    """The categories and their primitives."""
    table = CATEGORIES if plugin is None else _catalog(plugin).categories
    records = [
        {"category": name, "count": len(members), "primitives": list(members)}
        for name, members in table.items()
    ]
    _show(records, as_json)


@command.command()
@_option
def mappers(as_json: bool, plugin: str | None) -> None:
    """The functions from distance to intensity."""
    _show([{"name": name} for name in _catalog(plugin).mappers], as_json)


@command.command()
@_option
def displacements(as_json: bool, plugin: str | None) -> None:
    """The surface displacements, with the names that class labels carry."""
    rows = _catalog(plugin).displacements.items()
    _show([{"name": name, "label": row.long_name} for name, row in rows], as_json)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def models(as_json: bool) -> None:
    """The networks, with the memory of a training step.

    STEP_GIB is what a step must hold at 96x96x96 voxels, batch 1, 14 classes, float32: weights,
    gradients, AdamW and kept activations; STEP_GIB_REMAT the same with recomputation (remat=True).
    """
    from fdif_jax.cli.models import model_records

    _show(model_records(), as_json)


def _catalog(plugin: str | None) -> Any:
    from fdif_jax.synth.plugins import load_catalog

    return load_catalog(plugin)[0]


def _show(records: Sequence[Record], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(records, indent=2))
        return
    rows = [[_cell(value) for value in record.values()] for record in records]
    rows.insert(0, [key.upper() for key in records[0]])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
