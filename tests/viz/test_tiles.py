"""What a sheet shows: names in any spelling, products in order, errors before anything is drawn."""

import jax.numpy as jnp
import pytest

from fdif_jax import Catalog
from fdif_jax.errors import InputError
from fdif_jax.viz.tiles import MAX_TILES, Request, scalars, tiles_of

CATALOG = Catalog.default()


def titles(**fields):
    return [tile.title for tile in tiles_of(Request(**fields), CATALOG)[0]]


def test_without_a_name_all_primitives_by_category():
    tiles, mappers = tiles_of(Request(), CATALOG)
    assert [tile.parts for tile in tiles] == [(name,) for name in CATALOG.primitives]
    assert [tile.group for tile in tiles] == [row.category for row in CATALOG.primitive_rows]
    assert mappers == ("inverse_cube",)


def test_names_are_taken_in_either_spelling_and_once():
    asked = ("Sphere", "hexagonprism", "sphere", "onionedchexagonprism")
    assert titles(primitives=asked) == ["Sphere", "HexagonPrism", "OnionedHexagonPrism"]
    assert len(titles(categories=("basic", "revolution"))) == 11


def test_unions_are_pairs_alone_or_beside_primitives():
    unions = ("Sphere", "cone", "cone", "sphere", "sphere", "cone")
    assert titles(unions=unions) == ["(Sphere ∪ Cone)", "(Cone ∪ Sphere)"]  # noqa: RUF001
    assert titles(primitives=("torus",), unions=unions[:2])[0] == "Torus"
    assert tiles_of(Request(unions=unions), CATALOG)[0][1].parts == ("cone", "sphere")


def test_every_solid_stands_plain_beside_its_displaced_ones():
    tiles, _ = tiles_of(
        Request(
            primitives=("sphere", "cone"),
            unions=("cone", "torus"),
            displacement_functions=("ridge", "perlin_fine"),
        ),
        CATALOG,
    )
    assert [tile.displacement for tile in tiles] == ["none", "ridge", "perlin_fine"] * 3
    assert [tile.title for tile in tiles[:2]] == ["Sphere\nnot displaced", "Sphere\nridge"]
    assert [tile.group for tile in tiles[::3]][:2] == ["Sphere", "Cone"]
    assert len(titles(primitives=("sphere",), displacement_functions=("all",))) == 11


def test_draws_are_numbered_and_tell_their_sizes():
    tiles, _ = tiles_of(Request(primitives=("hexagoncone" + "prism",), draws=3), CATALOG)
    assert [tile.draw for tile in tiles] == [0, 1, 2]
    assert [tile.title.split("\n")[1] for tile in tiles] == ["draw 1", "draw 2", "draw 3"]
    assert {tile.sizes for tile in tiles} == {2}  # half-height and scale, but not the vertices
    assert scalars(CATALOG, ("sphere", "cone")) == ()


def test_every_mapper_and_those_of_a_plugin():
    catalog = CATALOG.with_mapper("halo", lambda d: 128 * jnp.exp(-jnp.square(d)), reach=6.0)
    assert tiles_of(Request(sdf_mappers=("all",)), catalog)[1] == tuple(catalog.mappers)
    assert tiles_of(Request(sdf_mappers=("halo",)), catalog)[1] == ("halo",)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"primitives": ("sphear",)}, "did you mean 'sphere'"),
        ({"unions": ("sphere", "cones")}, "did you mean 'cone'"),
        ({"categories": ("basics",)}, "did you mean 'basic'"),
        ({"displacement_functions": ("ridges",)}, "did you mean 'ridge"),
        ({"sdf_mappers": ("cube",)}, "did you mean 'inverse_cube'"),
        (
            {"unions": ("sphere", "cone", "torus")},
            "3 names, an odd number; give pairs",
        ),
        ({"draws": 0}, "num_variations is 0; allowed: 1 or more"),
        ({"draws": 1 + MAX_TILES // 109}, f"2071 solids; at most {MAX_TILES}"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(fields, message):
    with pytest.raises(InputError, match=message):
        tiles_of(Request(**fields), CATALOG)
