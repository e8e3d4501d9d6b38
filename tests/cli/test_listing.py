"""`fdif list`: names, ids, aliases, networks; as a table and as JSON."""

import json

import pytest


def records(fdif, what):
    result = fdif(f"list {what} --json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_primitives_have_ids_categories_and_aliases(fdif):
    rows = records(fdif, "primitives")
    assert [row["id"] for row in rows] == list(range(1, 110))
    by_name = {row["name"]: row for row in rows}
    hexagon = by_name["onionedhexagonprism"]
    assert hexagon["aliases"] == ["onionedchexagonprism"]
    assert hexagon["class_name"] == "OnionedHexagonPrism"
    assert hexagon["category"] == "onioned_sector_polygon_prism"
    assert by_name["cone"]["parameters"] == ["radius", "height"]


def test_categories_cover_the_primitives(fdif):
    rows = records(fdif, "categories")
    assert len(rows) == 20
    assert sum(row["count"] for row in rows) == 109


def test_mappers_and_displacements(fdif):
    assert len(records(fdif, "mappers")) == 11
    rows = {row["name"]: row["label"] for row in records(fdif, "displacements")}
    assert len(rows) == 11
    assert rows["perlin_fine"] == "perlin_amp_0.01_scale_30.0"
    assert "none" in rows


def test_networks_come_with_numbers_for_programs_and_for_people(fdif):
    by_name = {row["name"]: row for row in records(fdif, "models")}
    assert by_name["vnet"]["parameters"] == 45_646_126
    assert by_name["swin_unetr"]["input_sizes"] == "multiples of 32, not 32x32x32"
    assert all(row["step_gib_remat"] < row["step_gib"] for row in by_name.values())
    assert "45,646,126" in fdif("list models").output


@pytest.mark.parametrize("what", ["primitives", "categories", "mappers", "displacements", "models"])
def test_tables_have_a_head_and_a_line_for_each(fdif, what):
    lines = fdif(f"list {what}").output.splitlines()
    assert len(lines) == 1 + len(records(fdif, what))
    assert lines[0].isupper()
