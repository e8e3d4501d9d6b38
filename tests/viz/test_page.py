"""The web page: offline, pages of few scenes, meshes and captions as in the pictures."""

import base64
import json
import re

import numpy as np
import pytest

from fdif_jax.viz.page import MOST_SCENES, html_page, pages_of
from fdif_jax.viz.surfaces import Mesh, Surface
from fdif_jax.viz.tiles import Tile

CORNER = Mesh(
    np.array([[0.0, 0.0, 0.0], [4.5, 0.0, 0.0], [0.0, -2.25, 0.0], [0.0, 0.0, 1.0]]),
    np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32),
    np.zeros((4, 3)),
)
NOTHING = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32), np.zeros((0, 3)))


def solids(**groups):
    return [
        Surface(Tile(f"{group} {i}", group, ("a",)), CORNER, f"{group} {i}\n{i} voxels")
        for group, count in groups.items()
        for i in range(count)
    ]


def figure(page: str) -> tuple[list[dict], dict]:
    """Traces and layout that the page hands to plotly."""
    start = re.search(r'Plotly\.newPlot\(\s*"sheet",\s*', page).end()
    decoder = json.JSONDecoder()
    traces, end = decoder.raw_decode(page, start)
    layout, _ = decoder.raw_decode(page, end + re.match(r"\s*,\s*", page[end:]).end())
    return traces, layout


def numbers(packed: dict | list) -> list[int]:
    if not packed:
        return []
    return np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"]).tolist()


@pytest.fixture(scope="module")
def page():
    return html_page([*solids(basic=2, odd=14), *solids(last=1)], "a < b", side=16)


def test_the_page_needs_no_network(page):
    assert not re.search(r"<script[^>]+src|<link|@import|<img|<iframe", page)
    assert '"modeBarButtonsToRemove": ["sendChartToCloud"]' in page
    assert "<title>a &lt; b</title>" in page
    assert len(page) < 6e6


def test_coordinates_are_steps_of_a_64th_of_a_voxel(page):
    traces, layout = figure(page)
    assert len(traces) == 17
    assert [numbers(traces[0][axis]) for axis in "xyz"] == [
        [0, 288, 0, 0],
        [0, 0, -144, 0],
        [0, 0, 0, 64],
    ]
    assert [numbers(traces[0][axis]) for axis in "ijk"] == np.transpose(CORNER.faces).tolist()
    assert traces[0]["x"]["dtype"] == "i2"
    assert traces[0]["i"]["dtype"] == "u2"
    assert layout["scene"]["xaxis"]["range"] == [-512, 512]


def test_a_page_holds_a_group_or_a_part_of_it(page):
    names = ["basic", "odd, 1 of 2", "odd, 2 of 2", "last"]
    sizes = [2, MOST_SCENES, 2, 1]
    found = pages_of([*solids(basic=2, odd=14), *solids(last=1)])
    assert [name for name, _ in found] == names
    assert [len(members) for _, members in found] == sizes
    traces, layout = figure(page)
    (menu,) = layout["updatemenus"]
    assert [button["label"] for button in menu["buttons"]] == [
        f"{name} ({size})" for name, size in zip(names, sizes, strict=True)
    ]
    assert len([key for key in layout if key.startswith("scene")]) == MOST_SCENES
    start = 0
    for button, size in zip(menu["buttons"], sizes, strict=True):
        visible = button["args"][0]["visible"]
        assert [i for i, shown in enumerate(visible) if shown] == [*range(start, start + size)]
        scenes = [traces[i]["scene"] for i in range(start, start + size)]
        assert len(set(scenes)) == size
        assert {f"{scene}.domain" for scene in scenes} <= set(button["args"][1])
        start += size


def test_the_first_page_is_open_and_captions_stand_below_their_scenes(page):
    traces, layout = figure(page)
    assert [trace["visible"] for trace in traces] == [True, True, *[False] * 15]
    texts = [note["text"] for note in layout["annotations"]]
    assert texts == ["<b>basic 0</b><br>0 voxels", "<b>basic 1</b><br>1 voxels"]
    for i, note in enumerate(layout["annotations"]):
        domain = layout["scene" + str(i + 1) * (i > 0)]["domain"]
        assert note["y"] == domain["y"][0] > 0
        assert note["x"] == pytest.approx(np.mean(domain["x"]))


def test_one_page_needs_no_list_and_an_empty_mesh_no_care():
    one = [Surface(Tile("<b>", "g", ("a",)), NOTHING, "<b>\nnothing inside")]
    traces, layout = figure(html_page(one, "title", side=16))
    assert not layout.get("updatemenus")
    assert numbers(traces[0]["x"]) == []
    assert layout["annotations"][0]["text"] == "<b>&lt;b&gt;</b><br>nothing inside"


def test_the_same_solids_are_the_same_page():
    once, again = (html_page(solids(basic=2), "title", side=16) for _ in range(2))
    assert once == again
