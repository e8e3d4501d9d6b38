"""What sphinx-click writes of a command, in the words of this project's help."""

import re

import click
from sphinx.application import Sphinx

from fdif_jax.cli.options import Several

_DEFAULT = re.compile(r"^(\s*):default: ``'?(.*?)'?``$")


def options(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    """Defaults without Python's quotes; what takes several values says so."""
    several = {p.opts[0] for p in context.command.params if isinstance(p, Several)}
    result: list[str] = []
    for line in lines:
        if found := _DEFAULT.match(line):
            line = f"{found[1]}Default: {found[2]}."
            result += [line, ""]
            continue
        result.append(line)
        option = line.removeprefix(".. option:: ").split(" ")[0]
        if line.startswith(".. option::") and option in several:
            result += ["", "    One value or several, up to the next option."]
    lines[:] = result


def setup(app: Sphinx) -> dict[str, bool]:
    """Listens to sphinx-click."""
    app.connect("sphinx-click-process-options", options)
    return {"parallel_read_safe": True}
