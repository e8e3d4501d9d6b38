"""A web page of surfaces that can be turned, whole in one file: it asks no network for anything."""

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fdif_jax.viz.surfaces import AZIMUTH, ELEVATION, Mesh, Surface, group_colour

MOST_SCENES = 12
"""Side by side. Browsers keep 16 of them at a time."""
_COLUMNS = 4
_LINE, _HEAD, _MARGIN = 16, 80, 10  # pixels
_SCENES, _SMALLEST = 560, 280
"""Height of all rows of scenes, and of one at least."""
_STEPS = 64
"""To a voxel: coordinates are whole numbers of two bytes."""
_CAMERA = 1.75
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>body {{ margin: 0; background: white; }}</style>
</head>
<body>
{figure}
</body>
</html>
"""
_CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["sendChartToCloud"],
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

    pages = pages_of(surfaces)
    groups = list(dict.fromkeys(surface.tile.group for surface in surfaces))
    traces = [
        _trace(surface.mesh, i, group_colour(groups.index(surface.tile.group)), shown=page == 0)
        for page, (_, members) in enumerate(pages)
        for i, surface in enumerate(members)
    ]
    scenes = {_scene(i): _space(side) for i in range(max(len(members) for _, members in pages))}
    figure = go.Figure(traces, {"template": "none", **scenes})
    figure.update_layout(
        title={"text": title, "x": 0.5, "font": {"size": 16}},
        margin={"l": _MARGIN, "r": _MARGIN, "t": _HEAD, "b": _MARGIN},
        updatemenus=[_menu(pages)] if len(pages) > 1 else [],
        **_view(pages[0][1]),
    )
    div = figure.to_html(_CONFIG, include_plotlyjs=True, full_html=False, div_id="sheet")
    return _PAGE.format(title=html.escape(title), figure=div)


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


def _trace(mesh: Mesh, number: int, colour: tuple[float, float, float], *, shown: bool) -> Any:
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
        visible=shown,
        lighting=_LIGHTING,
        lightposition={"x": 60_000, "y": -20_000, "z": 70_000},
        hoverinfo="skip",
    )


def _menu(pages: Sequence[Page]) -> dict[str, Any]:
    """The list of pages."""
    buttons = []
    for chosen, (name, members) in enumerate(pages):
        visible = [page == chosen for page, (_, part) in enumerate(pages) for _ in part]
        label = f"{name} ({len(members)})"
        args = [{"visible": visible}, _view(members)]
        buttons.append({"label": label, "method": "update", "args": args})
    return {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom"}


def _view(members: Sequence[Surface]) -> dict[str, Any]:
    """The layout of a page: where its scenes are, and the text below each."""
    columns = min(_COLUMNS, len(members))
    rows = math.ceil(len(members) / columns)
    lines = max(surface.caption.count("\n") + 1 for surface in members)
    scene = max(_SMALLEST, _SCENES // rows)
    row = scene + (lines + 1) * _LINE
    layout: dict[str, Any] = {"annotations": [], "height": rows * row + _HEAD + _MARGIN}
    for number, surface in enumerate(members):
        down, across = divmod(number, columns)
        bottom = 1 - (down + scene / row) / rows
        layout[f"{_scene(number)}.domain"] = {
            "x": [across / columns, (across + 1) / columns],
            "y": [bottom, 1 - down / rows],
        }
        layout["annotations"].append(_caption(surface, (across + 0.5) / columns, bottom))
    return layout


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
