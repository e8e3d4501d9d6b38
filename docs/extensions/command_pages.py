"""What sphinx-click writes of a command, in the words of this project's help."""

import re

import click
from sphinx.application import Sphinx

from fdif_jax.cli.options import Several

_DEFAULT = re.compile(r"^(\s*):default: ``'?(.*?)'?``$")
_CHOICES = re.compile(r"^(\s*):options: (.*)$")
_CODE_OR_OPTION = re.compile(r"`[^`]*`|(?<![\w-])--\w+")


def description(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    """Options as code: two hyphens would become a dash."""
    lines[:] = _with_code("\n".join(lines)).split("\n")


def options(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    """Defaults without Python's quotes; what takes several values says so."""
    several = {p.opts[0] for p in context.command.params if isinstance(p, Several)}
    result: list[str] = []
    for line in lines:
        if found := _DEFAULT.match(line):
            result += [f"{found[1]}Default: {found[2]}.", ""]
            continue
        if found := _CHOICES.match(line):
            choices = ", ".join(f"``{choice}``" for choice in found[2].split(" | "))
            result += [f"{found[1]}One of {choices}.", ""]
            continue
        result.append(line)
        option = line.removeprefix(".. option:: ").split(" ")[0]
        if line.startswith(".. option::") and option in several:
            result += ["", "    One value or several, up to the next option."]
    lines[:] = [line if ".. option::" in line else _with_code(line) for line in result]


def _with_code(text: str) -> str:
    return _CODE_OR_OPTION.sub(lambda m: m[0] if m[0][0] == "`" else f"``{m[0]}``", text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Listens to sphinx-click."""
    app.connect("sphinx-click-process-description", description)
    app.connect("sphinx-click-process-options", options)
    return {"parallel_read_safe": True}
