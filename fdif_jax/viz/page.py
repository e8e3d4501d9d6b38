"""A web page of surfaces that can be turned, whole in one file: it asks no network for anything."""

import html
import json
import math
import string
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any

import numpy as np

from fdif_jax.viz.surfaces import AZIMUTH, ELEVATION, Mesh, Surface, group_colour

MOST_SCENES = 12
"""Side by side. Browsers keep 16 of them at a time."""
_COLUMNS = {"wide": 4, "narrow": 2}
"""At most, by the room that a window has."""
_LINE, _HEAD, _MARGIN = 16, 32, 10  # pixels; at the head are plotly's buttons
_SCENES, _SMALLEST = 560, {4: 280, 2: 190}
"""Height of all rows of scenes, and of one at least."""
_STEPS = 64
"""To a voxel: coordinates are whole numbers of two bytes."""
_CAMERA = 1.75
_CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["sendChartToCloud"],
}
_LAYOUT = {
    "margin": {"l": _MARGIN, "r": _MARGIN, "t": _HEAD, "b": _MARGIN},
    "paper_bgcolor": "rgba(0, 0, 0, 0)",  # the page's own
    "modebar": {"bgcolor": "rgba(0, 0, 0, 0)", "color": "#808080", "activecolor": "#6db1ff"},
}
_LIGHTING = {"ambient": 0.4, "diffuse": 0.6, "specular": 0.1, "roughness": 0.8, "fresnel": 0.05}

Page = tuple[str, list[Surface]]


def html_page(surfaces: Sequence[Surface], title: str, *, side: int) -> str:
    """HTML that shows a group of tiles at a time, chosen from a list; each can be turned.

    Args:
      surfaces: all of them.
      title: above.
      side: of the grid, voxels.

    Raises:
      EnvironmentFault: plotly is not installed.
    """
    import plotly.graph_objects as go
    from plotly.offline import get_plotlyjs

    pages = pages_of(surfaces)
    groups = list(dict.fromkeys(surface.tile.group for surface in surfaces))
    traces = [
        _trace(surface.mesh, i, group_colour(groups.index(surface.tile.group)))
        for _, members in pages
        for i, surface in enumerate(members)
    ]
    scenes = {_scene(i): _space(side) for i in range(max(len(members) for _, members in pages))}
    figure = go.Figure(traces, {"template": "none", **_LAYOUT, **scenes}).to_plotly_json()
    record = {"data": figure["data"], "layout": figure["layout"], "config": _CONFIG}
    parts = {
        "title": html.escape(title),
        "plotly": get_plotlyjs(),
        "figure": _script_text(record | {"pages": list(_records(pages))}),
    }
    template = (resources.files("fdif_jax.viz") / "surfaces.html").read_text(encoding="utf-8")
    return string.Template(template).substitute(parts)


def _script_text(record: dict[str, Any]) -> str:
    """JSON that no name in it can end the script."""
    from plotly.utils import PlotlyJSONEncoder

    return json.dumps(record, cls=PlotlyJSONEncoder).replace("<", "\\u003c")


def _records(pages: Sequence[Page]) -> Iterator[dict[str, Any]]:
    """What the script knows of each page: its traces, and where its scenes stand."""
    first = 0
    for name, members in pages:
        views = {width: _view(members, most) for width, most in _COLUMNS.items()}
        yield {"name": name, "first": first, "count": len(members), **views}
        first += len(members)


def pages_of(surfaces: Sequence[Surface]) -> list[Page]:
    """Names and members of what is seen at a time: a group, or a part of it."""
    pages = []
    for group in dict.fromkeys(surface.tile.group for surface in surfaces):
        members = [surface for surface in surfaces if surface.tile.group == group]
        parts = [members[i : i + MOST_SCENES] for i in range(0, len(members), MOST_SCENES)]
        for number, part in enumerate(parts, 1):
            several = f", {number} of {len(parts)}" if len(parts) > 1 else ""
            pages.append((f"{group}{several}", part))
    return pages


def _trace(mesh: Mesh, number: int, colour: tuple[float, float, float]) -> Any:
    import plotly.graph_objects as go

    places = np.round(mesh.vertices * _STEPS)
    small = np.int16 if np.abs(places).max(initial=0) < 2**15 else np.int32
    x, y, z = places.astype(small).T
    i, j, k = mesh.faces.astype(np.uint16 if len(places) < 2**16 else np.uint32).T
    red, green, blue = (round(255 * value) for value in colour)
    return go.Mesh3d(
        **{"x": x, "y": y, "z": z, "i": i, "j": j, "k": k},
        color=f"rgb({red}, {green}, {blue})",
        scene=_scene(number),
        lighting=_LIGHTING,
        lightposition={"x": 60_000, "y": -20_000, "z": 70_000},
        hoverinfo="skip",
    )


def _view(members: Sequence[Surface], most: int) -> dict[str, Any]:
    """The layout of a page: where its scenes are, in at most so many columns, the text below."""
    columns = min(most, len(members))
    rows = math.ceil(len(members) / columns)
    lines = max(surface.caption.count("\n") + 1 for surface in members)
    scene = max(_SMALLEST[most], _SCENES // rows)
    row = scene + (lines + 1) * _LINE
    domains, captions = [], []
    for number, surface in enumerate(members):
        down, across = divmod(number, columns)
        bottom = 1 - (down + scene / row) / rows
        left, right = across / columns, (across + 1) / columns
        domains.append({"x": [left, right], "y": [bottom, 1 - down / rows]})
        captions.append(_caption(surface, (across + 0.5) / columns, bottom))
    height = rows * row + _HEAD + _MARGIN
    return {"height": height, "scenes": domains, "annotations": captions}


def _caption(surface: Surface, x: float, y: float) -> dict[str, Any]:
    name, *numbers = map(html.escape, surface.caption.split("\n"))
    return {
        "text": "<br>".join([f"<b>{name}</b>", *numbers]),
        **{"x": x, "y": y, "xref": "paper", "yref": "paper"},
        **{"xanchor": "center", "yanchor": "top", "showarrow": False},
    }


def _space(side: int) -> dict[str, Any]:
    """A scene that shows the whole volume, from where the shaded picture looks at it."""
    half = 0.5 * side * _STEPS
    axis = {"visible": False, "range": [-half, half]}
    place = (
        math.cos(ELEVATION) * math.cos(AZIMUTH),
        math.cos(ELEVATION) * math.sin(AZIMUTH),
        math.sin(ELEVATION),
    )
    eye = dict(zip("xyz", (_CAMERA * share for share in place), strict=True))
    axes = {f"{name}axis": axis for name in "xyz"}
    return {**axes, "aspectmode": "cube", "camera": {"eye": eye}, "dragmode": "orbit"}


def _scene(number: int) -> str:
    return f"scene{number + 1}" if number else "scene"
