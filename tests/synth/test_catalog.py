"""A person adds a primitive, a mapper, a displacement in a few lines; nothing is global."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draw_checks import assert_uniform, quick_jit
from scenes_to_render import CUBE, UPRIGHT, renderer, scene_of

from fdif_jax.config import GenerateConfig
from fdif_jax.errors import InputError
from fdif_jax.grid import Grid
from fdif_jax.synth import sampling
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.labels import class_table
from fdif_jax.synth.replay import records_from_scene

DEFAULT = Catalog.default()


def capsule(x, y, z, radius, length, lean):
    y = y - jnp.clip(y, -length / 2, length / 2)
    return jnp.sqrt((x - lean) ** 2 + y * y + z * z) - radius


def halo(d):
    return 128.0 * jnp.exp(-d * d / 8)


def bump(x, y, z):
    return jnp.cos(3 * x)


@functools.cache
def extended():
    """The capsule twice: once the renderer knows how fast it changes, once it does not."""
    sizes = {"radius": (0.05, 0.1), "length": (0.2, 0.4)}
    return (
        DEFAULT.with_primitive(
            "capsule", capsule, ranges=sizes, ratios={"lean": (-1, 1)}, lipschitz=1.0
        )
        .with_primitive("pill", capsule, ranges=sizes, ratios={"lean": (-1, 1)})
        .with_mapper("halo", halo, reach=6.0)
        .with_displacement("bump", bump, amplitude=0.05)
    )


def placed(name, **more):
    return {
        "primitive": name,
        "params": {"radius": 3.0, "length": 12.0, "lean": 2.0},
        "local_from_world": UPRIGHT,
        "displacement": None,
        "mapper": "modular_5",
        "class_id": 1,
        **more,
    }


def test_a_catalog_is_a_value():
    assert Catalog.default() == DEFAULT
    assert hash(Catalog.default()) == hash(DEFAULT)
    assert hash(extended()) != hash(DEFAULT)
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEFAULT.mapper_rows = ()


def test_nothing_is_registered_globally():
    extended()
    assert len(Catalog.default().primitives) == 109
    assert "halo" not in Catalog.default().mappers
    assert "bump" not in Catalog.default().displacements
    assert "custom" not in Catalog.default().categories


def test_additions_are_last_and_found_by_name_and_category():
    catalog = extended()
    assert list(catalog.primitives)[:109] == list(DEFAULT.primitives)
    assert list(catalog.primitives)[109:] == ["capsule", "pill"]
    assert catalog.categories["custom"] == ("capsule", "pill")
    assert catalog.find_primitive("CAPSULE").display_name == "Capsule"
    assert list(catalog.mappers)[-1] == "halo"
    assert list(catalog.displacements)[-1] == "bump"
    assert next(iter(catalog.displacements)) == "none"


def test_additions_make_classes():
    config = GenerateConfig(
        categories=("custom",), sdf_mappers=("halo",), displacement_functions=("bump",)
    )
    assert class_table(config, extended(), 0).names == (
        *("Capsule + halo", "Pill + halo"),
        *("Capsule + displacement(bump) + halo", "Pill + displacement(bump) + halo"),
    )
    assert len(class_table(GenerateConfig(primitives=("all",)), extended(), 0).choices) == 111


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda c: c.with_primitive("sphere", capsule, ranges={}), "name 'sphere' is empty or"),
        (lambda c: c.with_primitive("", capsule, ranges={}), "name '' is empty"),
        (lambda c: c.with_primitive("onionedixstarprism", capsule, ranges={}), "taken"),
        (lambda c: c.with_primitive("a", capsule, ranges={"r": (2, 1)}), r"of r is \(2, 1\)"),
        (lambda c: c.with_primitive("a", capsule, ranges={"r": (0, jnp.inf)}), "range of r"),
        (lambda c: c.with_mapper("modular_5", halo), "mapper name 'modular_5'"),
        (lambda c: c.with_displacement("none", bump, amplitude=1), "displacement name 'none'"),
    ],
)
def test_refuses(add, message):
    with pytest.raises(InputError, match=message):
        add(DEFAULT)


def test_unknown_primitive_names_the_nearest():
    with pytest.raises(InputError, match="unknown primitive 'capsul'; did you mean 'capsule'"):
        extended().find_primitive("capsul")


def test_parameters_of_an_addition_are_drawn_from_its_ranges():
    """Sizes follow the grid's smallest side, ratios do not."""
    table = sampling.ranges(extended(), Grid.voxels((40, 60, 80)))
    draw = quick_jit(jax.vmap(lambda key: sampling.draw_shape(key, jnp.int32(110), table).custom))
    radius, length, lean = np.asarray(draw(jax.random.split(jax.random.key(0), 3000))).T
    assert_uniform(radius / 40, 0.05, 0.1)
    assert_uniform(length / 40, 0.2, 0.4)
    assert_uniform(lean, -1, 1)


@pytest.fixture(scope="module")
def scene():
    """Both names of the capsule, displaced, shining outside, and one joined to a sphere."""
    return scene_of(
        placed("capsule"),
        placed("pill", displacement="bump", class_id=2, mapper="halo"),
        placed("capsule", displacement="bump", class_id=3, mapper="halo"),
        {
            "first": {"primitive": "pill", "params": placed("")["params"]},
            "second": {"primitive": "sphere", "params": {"radius": 5.0}},
            "k": 2.0,
            "second_local_from_union": [[1, 0, 0, -6], [0, 1, 0, 0], [0, 0, 1, 0]],
            "local_from_world": [[1, 0, 0, 8], [0, 1, 0, 0], [0, 0, 1, 5]],
            "displacement": None,
            "mapper": "inverse_cube",
            "class_id": 4,
        },
        catalog=extended(),
    )


def test_additions_render_alike_in_both_paths(scene):
    plain = renderer(CUBE, "dense", extended())(scene)
    blocks = renderer(CUBE, "blocks", extended())(scene)
    np.testing.assert_array_equal(plain.label, blocks.label)
    np.testing.assert_allclose(plain.intensity, blocks.intensity, atol=1e-3)
    assert set(np.unique(plain.label)) == {0, 1, 2, 3, 4} - {2}


def test_an_unknown_rate_of_change_costs_time_only():
    """Without ``lipschitz`` no block is skipped; what is painted is the same."""
    draw = renderer(CUBE, "blocks", extended())
    known, unknown = (
        draw(scene_of(placed(name), catalog=extended())) for name in ("capsule", "pill")
    )
    np.testing.assert_array_equal(known.label, unknown.label)
    np.testing.assert_array_equal(known.intensity, unknown.intensity)


def test_capsule_lies_where_its_formula_says():
    label = renderer(CUBE, "blocks", extended())(scene_of(placed("pill"), catalog=extended())).label
    where = np.argwhere(label[0]) - 16
    np.testing.assert_array_equal(where.min(axis=0), (-3, -9, -1))
    np.testing.assert_array_equal(where.max(axis=0), (3, 9, 5))


def test_records_of_additions_carry_their_parameters(scene):
    names = [("capsule",), ("pill",), ("capsule",), ("pill", "sphere")]
    records = records_from_scene(scene, names, extended(), task_list=False)
    assert records[0] == placed("capsule")
    assert records[1]["displacement"] == "bump"
    again = scene_of(*records, catalog=extended())
    for a, b in zip(jax.tree.leaves(scene), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
