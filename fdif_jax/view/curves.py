"""The curves of a run as pictures that stand in a page and take its colours."""

import io
from pathlib import Path
from typing import NamedTuple

from fdif_jax.io import metrics
from fdif_jax.viz import drawing
from fdif_jax.viz.training import Lines, panels

_SIZE = (5.0, 2.8)  # inches; a page makes them as wide as there is room
_INK = "#010203"  # stands for the colour of the page's text
_FEW = 50  # values that are shown one by one


class Curve(NamedTuple):
    """A picture: what it shows, its last values in words, and the SVG element."""

    title: str
    last: str
    svg: str


def curves(measured: Path) -> list[Curve]:
    """A picture for each kind of number in a metrics.jsonl.

    Raises:
      EnvironmentFault: matplotlib is not installed.
    """
    return [
        Curve(title, _last(lines), _svg(lines)) for title, lines in panels(metrics.read(measured))
    ]


def _last(lines: Lines) -> str:
    """The last value of each line."""
    values = ", ".join(f"{name.replace('_', ' ')} {own[1][-1]:.4g}" for name, own in lines.items())
    return f"{values} after update {max(own[0][-1] for own in lines.values())}"


def _svg(lines: Lines) -> str:
    figure = drawing.figure(_SIZE)
    import matplotlib  # there, since the figure is

    axes = figure.add_subplot()
    for name, (updates, values) in lines.items():
        axes.plot(updates, values, label=name, marker="." if len(updates) < _FEW else "")
    axes.set_xlabel("update", color=_INK)
    axes.tick_params(colors=_INK)
    axes.grid(visible=True, alpha=0.3)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_INK)
    axes.spines[["top", "right"]].set_visible(False)
    if len(lines) > 1:
        axes.legend(fontsize="small", labelcolor=_INK, framealpha=0, ncols=1 + len(lines) // 8)
    drawing.without_formulas(figure)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "fdif"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace(_INK, "currentColor")
