"""The 109 rows: their order, names, categories and parameters."""

import itertools
import json

import pytest
from golden_files import records

from fdif_jax.synth.catalog import PROGRAMS, Catalog
from fdif_jax.synth.table import ALIASES, CATEGORIES, PRIMITIVES

SIDES = ("triangle", "square", "pentagon", "hexagon", "heptagon", "octagon", "nonagon")
STARS = ("fivestar", "sixstar", "sevenstar", "eightstar")


def expected():
    """(category, names) in class order, written out from the published list."""
    yield (
        "basic",
        (
            *("sphere", "cylinder", "torus", "cone", "octahedron"),
            *("convexcylinder", "concavecylinder", "conecylinder"),
        ),
    )
    yield "revolution", tuple(f"{n}starrevolution" for n in ("three", "four", "five"))
    for onion, prefix in (("", ""), ("onioned", "onioned_")):
        for taper in ("", "convex", "concave", "cone"):
            word = f"{taper}_" if taper else ""
            yield (
                f"{prefix}{word}sector_polygon_prism",
                tuple(f"{onion}{side}{taper}prism" for side in SIDES),
            )
        for taper in ("", "convex", "concave", "cone"):
            yield (
                f"{prefix}star_{taper or 'polygon'}_prism",
                tuple(f"{onion}{star}{taper}prism" for star in STARS),
            )
        if not onion:
            yield "sector_polygon_torus", tuple(f"{side}torus" for side in SIDES[1:])
            yield "star_torus", tuple(f"{star}torus" for star in STARS)


def test_rows_and_categories_have_the_published_order():
    assert list(CATEGORIES.items()) == list(expected())
    names = [name for _, members in expected() for name in members]
    assert [row.name for row in PRIMITIVES] == names
    assert len(names) == len(set(names)) == 109
    assert len(CATEGORIES) == 20


@pytest.mark.parametrize(
    ("category", "first", "last"),
    [
        ("basic", 1, 8),
        ("revolution", 9, 11),
        ("sector_polygon_prism", 12, 18),
        ("convex_sector_polygon_prism", 19, 25),
        ("concave_sector_polygon_prism", 26, 32),
        ("cone_sector_polygon_prism", 33, 39),
        ("star_polygon_prism", 40, 43),
        ("star_convex_prism", 44, 47),
        ("star_concave_prism", 48, 51),
        ("star_cone_prism", 52, 55),
        ("sector_polygon_torus", 56, 61),
        ("star_torus", 62, 65),
        ("onioned_sector_polygon_prism", 66, 72),
        ("onioned_cone_sector_polygon_prism", 87, 93),
        ("onioned_star_polygon_prism", 94, 97),
        ("onioned_star_cone_prism", 106, 109),
    ],
)
def test_ids_of_a_category(category, first, last):
    ids = [i for i, row in enumerate(PRIMITIVES, 1) if row.category == category]
    assert ids == list(range(first, last + 1))


@pytest.mark.parametrize("name", ["primitives_48.json", "primitives_96.json"])
def test_every_name_of_the_goldens_leads_to_its_class(name):
    catalog = Catalog.default()
    for record in records(name):
        row = PRIMITIVES[record["class_id"] - 1]
        assert catalog.find_primitive(record["reference_name"]) is row, record["reference_name"]
        assert catalog.find_primitive(record["class_name"]) is row
        assert catalog.find_primitive(row.name) is row
        assert catalog.find_primitive(row.display_name.upper()) is row
        assert record["class_name"] == row.display_name


@pytest.mark.parametrize("name", ["primitives_48.json", "primitives_96.json"])
def test_parameters_are_those_of_the_goldens(name):
    for record in records(name):
        row = PRIMITIVES[record["class_id"] - 1]
        unused = {"axis", "r"} if row.category.endswith("torus") else {"axis"}
        assert set(row.params) == set(record["params"]) - unused, row.name


def test_aliases_are_old_names_of_shells():
    assert ALIASES["onionedchexagonprism"] == "onionedhexagonprism"
    assert ALIASES["onionedixstarprism"] == "onionedsixstarprism"
    assert ALIASES["onionedfvestarconcaveprism"] == "onionedfivestarconcaveprism"
    assert ALIASES["onionedsevenstar concaveprism"] == "onionedsevenstarconcaveprism"
    canonical = {row.name for row in PRIMITIVES}
    assert set(ALIASES.values()) <= canonical
    assert not set(ALIASES) & canonical


def test_display_names_are_camel_case():
    names = {row.name: row.display_name for row in PRIMITIVES}
    assert names["sphere"] == "Sphere"
    assert names["convexcylinder"] == "ConvexCylinder"
    assert names["triangleconeprism"] == "TriangleConePrism"
    assert names["fivestarconvexprism"] == "FiveStarConvexPrism"
    assert names["onionedsevenstarconeprism"] == "OnionedSevenStarConePrism"


def test_rows_ask_for_programs_that_exist():
    """And no two rows are the same class."""
    assert {row.program for row in PRIMITIVES} == set(PROGRAMS)
    facts = [(r.program, r.sides, r.taper, r.shell, r.category == "revolution") for r in PRIMITIVES]
    assert len(set(facts)) == 109


def test_mappers_and_displacements_are_the_published_ones():
    catalog = Catalog.default()
    assert list(catalog.mappers) == [
        "inverse_cube",
        *("exponential_base_1.5", "exponential_base_2.0"),
        *("linear_slope_10.0", "linear_slope_20.0"),
        *("floor_width_0.5", "floor_width_1.0"),
        *("modular_5", "modular_10"),
        *("sinusoidal_wavelength_1.0", "sinusoidal_wavelength_3.0"),
    ]
    assert {name: row.long_name for name, row in catalog.displacements.items()} == {
        "none": "none",
        "perlin_more_fine": "perlin_amp_0.03_scale_50.0",
        "perlin_fine": "perlin_amp_0.01_scale_30.0",
        "turbulence": "turbulence_amp_0.05_scale_30.0",
        "ridge": "ridge_amp_0.03_freq_30.0",
        "ridge_coarse": "ridge_amp_0.05_freq_10.0",
        "sharpmax": "sharpmax_amp_0.05_freq_20.0",
        "sharpmax_fine": "sharpmax_amp_0.03_freq_40.0",
        "twisted_x": "twisted_amp_0.04_freq_20.0_axis_x",
        "sawtooth": "sawtooth_amp_0.03_freq_15.0",
        "sawtooth_fine": "sawtooth_amp_0.02_freq_30.0",
    }


def test_names_survive_json():
    names = [*Catalog.default().primitives, *itertools.chain(*CATEGORIES.values())]
    assert json.loads(json.dumps(names)) == names
