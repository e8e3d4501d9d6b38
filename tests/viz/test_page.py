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


def record(page: str) -> dict:
    """What the page's script is given: traces, layout, settings and pages."""
    start = page.index("} = {") + len("} = ")
    return json.JSONDecoder().raw_decode(page, start)[0]


def numbers(packed: dict | list) -> list[int]:
    if not packed:
        return []
    return np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"]).tolist()


@pytest.fixture(scope="module")
def page():
    return html_page([*solids(basic=2, odd=14), *solids(last=1)], "a < b", side=16)


def test_the_page_needs_no_network(page):
    assert not re.search(
        r"<script[^>]+src|<link(?! rel=.icon. href=.data:,)|@import|<img|<iframe", page
    )
    assert '"modeBarButtonsToRemove": ["sendChartToCloud"]' in page
    assert "<title>a &lt; b</title>" in page
    assert len(page) < 6e6


def test_coordinates_are_steps_of_a_64th_of_a_voxel(page):
    traces, layout = (record(page)[name] for name in ("data", "layout"))
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
    told = record(page)
    assert [one["name"] for one in told["pages"]] == names
    assert [one["count"] for one in told["pages"]] == sizes
    assert len([key for key in told["layout"] if key.startswith("scene")]) == MOST_SCENES
    start = 0
    for one, size in zip(told["pages"], sizes, strict=True):
        assert one["first"] == start
        scenes = [told["data"][i]["scene"] for i in range(start, start + size)]
        assert scenes == ["scene", *(f"scene{i}" for i in range(2, size + 1))]
        start += size


@pytest.mark.parametrize(("width", "columns"), [("wide", 4), ("narrow", 2)])
def test_captions_stand_below_their_scenes_in_as_many_columns_as_fit(page, width, columns):
    first, second, *_ = (one[width] for one in record(page)["pages"])
    texts = [note["text"] for note in first["annotations"]]
    assert texts == ["<b>basic 0</b><br>0 voxels", "<b>basic 1</b><br>1 voxels"]
    for view in (first, second):
        for domain, note in zip(view["scenes"], view["annotations"], strict=True):
            assert note["y"] == domain["y"][0] > 0
            assert note["x"] == pytest.approx(np.mean(domain["x"]))
    assert len({domain["x"][0] for domain in second["scenes"]}) == columns
    assert len({domain["y"][0] for domain in second["scenes"]}) == MOST_SCENES // columns


def test_names_are_no_markup_and_an_empty_mesh_needs_no_care():
    one = [Surface(Tile("<b>", "</script>", ("a",)), NOTHING, "<b>\nnothing inside")]
    page = html_page(one, "title", side=16)
    assert page.count("</script>") == 2
    (trace,), (only,) = record(page)["data"], record(page)["pages"]
    assert numbers(trace["x"]) == []
    assert only["name"] == "</script>"
    assert only["wide"]["annotations"][0]["text"] == "<b>&lt;b&gt;</b><br>nothing inside"


def test_the_same_solids_are_the_same_page():
    once, again = (html_page(solids(basic=2), "title", side=16) for _ in range(2))
    assert once == again
