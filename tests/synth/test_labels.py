"""Which combination is which class, in which order, under which name."""

import dataclasses
import itertools

import numpy as np
import pytest

from fdif_jax.config import PAPER, GenerateConfig
from fdif_jax.errors import InputError
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.labels import class_table

CATALOG = Catalog.default()
ALL = tuple(CATALOG.primitives)
FOUR = ("Sphere", "Cylinder", "Torus", "Cone")
PERLIN = "displacement(perlin_amp_0.03_scale_50.0)"
RIDGE = "displacement(ridge_amp_0.03_freq_30.0)"


def table(seed=0, catalog=CATALOG, **options):
    return class_table(GenerateConfig(**options), catalog, seed)


def shapes(**options):
    return [shape.name for shape in table(**options).shapes]


def test_default_is_four_primitives_with_one_mapper():
    classes = table()
    assert classes.names == tuple(f"{name} + inverse_cube" for name in FOUR)
    assert classes.labels[0] == "background"
    assert classes.labels[1] == "Sphere + inverse_cube"
    assert classes.out_channel == 5
    assert classes.task_ids == ((1,), (2,), (3,), (4,))
    assert classes.tasks == {}


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"primitives": ("all",)}, 109),
        ({"num_classes": 10}, 10),
        ({"num_classes": 109}, 109),
        ({"categories": ("basic", "revolution")}, 11),
        ({"primitives": ("sphere", "torus"), "categories": ("basic",)}, 8),
        ({"primitives": ("sphere", "SPHERE", "Sphere")}, 1),
        ({"primitives": ("sphere", "all")}, 109),
        ({"sdf_mappers": ("inverse_cube", "modular_5")}, 8),
        ({"sdf_mappers": ("modular_5", "modular_5")}, 4),
        ({"sdf_mappers": ("inverse_cube", "modular_5"), "mapper_as_augmentation": True}, 4),
        ({"displacement_functions": ("ridge",)}, 8),
        ({"displacement_functions": ("none",)}, 4),
        ({"displacement_functions": ("none", "ridge", "ridge")}, 8),
        ({"displacement_functions": ("ridge",), "displacement_as_augmentation": True}, 4),
        ({"num_combined_unions": 5}, 9),
        ({"num_combined_unions": 5, "sdf_mappers": ("modular_5", "modular_10")}, 18),
        (
            {
                "num_combined_unions": 5,
                "sdf_mappers": ("modular_5", "modular_10"),
                "mapper_as_augmentation": True,
            },
            9,
        ),
        ({"num_combined_unions": 2, "displacement_functions": ("ridge", "sawtooth")}, 14),
        (
            {
                "primitives": FOUR[:3],
                "sdf_mappers": ("inverse_cube", "modular_5"),
                "displacement_functions": ("ridge", "sawtooth"),
            },
            18,
        ),
    ],
)
def test_number_of_classes(options, count):
    classes = table(**options)
    assert len(classes.choices) == len(classes.names) == count
    assert classes.out_channel == count + 1
    assert classes.task_ids == tuple((i,) for i in range(1, count + 1))
    assert len(set(classes.names)) == count or "num_combined_unions" in options


def test_paper_has_a_class_for_each_primitive():
    classes = class_table(PAPER, CATALOG, 3)
    assert classes.out_channel == 110
    displays = [row.display_name for row in CATALOG.primitive_rows]
    assert classes.names == tuple(f"{name} + inverse_cube" for name in displays)
    assert classes.any_mapper
    assert classes.any_displacement
    assert classes.mappers == PAPER.sdf_mappers
    assert classes.displacements == ("none", *PAPER.displacement_functions)


def test_order_is_plain_then_displaced_then_unions_and_mappers_run_fastest():
    classes = table(
        primitives=("torus", "sphere"),
        sdf_mappers=("modular_5", "inverse_cube"),
        displacement_functions=("perlin_more_fine", "ridge"),
        num_combined_unions=1,
    )
    first, second = (CATALOG.primitives[n].display_name for n in classes.shapes[2].parts)
    stems = [
        "Torus",
        "Sphere",
        *(f"{s} + {d}" for s, d in itertools.product(("Torus", "Sphere"), (PERLIN, RIDGE))),
        f"({first} ∪ {second})",  # noqa: RUF001
    ]
    expected = [f"{stem} + {m}" for stem in stems for m in ("modular_5", "inverse_cube")]
    assert classes.names == tuple(expected)


def test_augmenting_mappers_read_inverse_cube_whatever_they_are():
    classes = table(
        sdf_mappers=("modular_5", "modular_10"),
        displacement_functions=("ridge",),
        mapper_as_augmentation=True,
    )
    assert classes.names[0] == "Sphere + inverse_cube"
    assert classes.names[4] == f"Sphere + {RIDGE} + inverse_cube"
    assert classes.any_mapper
    assert not classes.any_displacement


def test_named_primitives_keep_their_order_and_others_that_of_the_table():
    named = ("cone", "onionedixstarprism", "SPHERE", "cone")
    assert shapes(primitives=named) == ["cone", "onionedsixstarprism", "sphere"]
    assert shapes(categories=("revolution", "basic"))[:2] == ["sphere", "cylinder"]
    drawn = shapes(primitives=("torus", "cone", "sphere", "octahedron"), num_classes=3)
    assert drawn == [name for name in ALL if name in drawn]


def test_num_classes_draws_from_all_109_or_the_chosen_pool():
    seen = set()
    for seed in range(60):
        drawn = shapes(num_classes=10, seed=seed)
        assert len(set(drawn)) == 10
        assert drawn == [name for name in ALL if name in drawn]
        seen |= set(drawn)
    # 600 draws: each class is missed with (99/109)^60 = 0.3 %.
    assert len(seen) >= 105
    assert shapes(num_classes=10, seed=1) == shapes(num_classes=10, seed=1)
    pool = set(CATALOG.categories["star_torus"])
    assert set(shapes(categories=("star_torus",), num_classes=2)) < pool
    assert set(shapes(primitives=("cone", "torus"), num_classes=1)) < {"cone", "torus"}


def test_unions_are_distinct_ordered_pairs():
    classes = table(num_combined_unions=16)
    unions = classes.shapes[4:]
    pairs = [union.parts for union in unions]
    names = [shape.parts[0] for shape in classes.shapes[:4]]
    assert sorted(pairs) == sorted(itertools.product(names, names))
    for i, (union, (first, second)) in enumerate(zip(unions, pairs, strict=True)):
        assert union.name == f"Union_{first}_{second}_{i:03d}"
        a, b = (CATALOG.primitives[n].display_name for n in (first, second))
        assert union.display_name == f"({a} ∪ {b})"  # noqa: RUF001
        assert union.task_name == f"{a}_union_{b}"
        assert classes.names[4 + i] == f"({a} ∪ {b}) + inverse_cube"  # noqa: RUF001


def test_unions_and_drawn_classes_depend_on_the_seed():
    def drawn(seed):
        return shapes(num_classes=10, num_combined_unions=3, seed=seed)

    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(seed)) for seed in (1, 2, 1 + 2**32)}) == 3


def test_multi_task_ids():
    classes = table(
        primitives=("torus", "sphere", "cone"),
        sdf_mappers=("modular_5", "inverse_cube"),
        displacement_functions=("sawtooth", "perlin_fine", "perlin_more_fine"),
        multi_task=True,
    )
    assert list(classes.tasks) == ["shape", "displacement", "mapper"]
    assert classes.tasks["shape"] == {"background": 0, "Cone": 1, "Sphere": 2, "Torus": 3}
    assert classes.tasks["displacement"] == {
        "background": 0,
        "none": 1,
        "perlin_amp_0.01_scale_30.0": 2,
        "perlin_amp_0.03_scale_50.0": 3,
        "sawtooth_amp_0.03_freq_15.0": 4,
    }
    assert classes.tasks["mapper"] == {"background": 0, "inverse_cube": 1, "modular_5": 2}
    ids = dict(zip(classes.names, classes.task_ids, strict=True))
    assert ids["Torus + modular_5"] == (3, 1, 2)
    assert ids["Cone + displacement(sawtooth_amp_0.03_freq_15.0) + inverse_cube"] == (1, 4, 1)
    assert classes.out_channel == 4
    assert classes.labels == {0: "background", 1: "Cone", 2: "Sphere", 3: "Torus"}


def test_multi_task_has_only_the_tasks_that_can_be_learnt():
    assert list(table(multi_task=True).tasks) == ["shape"]
    mappers = ("modular_5", "inverse_cube")
    assert list(table(multi_task=True, sdf_mappers=mappers).tasks) == ["shape", "mapper"]
    displaced = table(multi_task=True, displacement_functions=("ridge",))
    assert list(displaced.tasks) == ["shape", "displacement"]
    assert {ids for ids in displaced.task_ids} == set(itertools.product(range(1, 5), (1, 2)))


def test_multi_task_unions_are_shapes_of_their_own():
    classes = table(primitives=("sphere", "cone"), num_combined_unions=4, multi_task=True)
    assert list(classes.tasks["shape"]) == [
        "background",
        *("Cone", "Cone_union_Cone", "Cone_union_Sphere"),
        *("Sphere", "Sphere_union_Cone", "Sphere_union_Sphere"),
    ]
    for shape, ids in zip(classes.shapes, classes.task_ids, strict=True):
        assert classes.tasks["shape"][shape.task_name] == ids[0]


@pytest.mark.parametrize(
    ("classes", "options", "dtype"),
    [
        (109, {"primitives": ("all",)}, np.uint8),
        (218, {"primitives": ("all",), "sdf_mappers": ("modular_5", "modular_10")}, np.uint8),
        (255, {"primitives": ("all",), "num_combined_unions": 146}, np.uint8),
        (256, {"primitives": ("all",), "num_combined_unions": 147}, np.uint16),
        (1308, {"primitives": ("all",), "num_combined_unions": 1199}, np.uint16),
    ],
)
def test_label_dtype_holds_the_largest_id(classes, options, dtype):
    found = table(**options)
    assert len(found.choices) == classes
    assert found.dtype == dtype


def test_multi_task_dtype_is_that_of_the_largest_task():
    """Many combinations, few ids in each task."""
    mappers = ("modular_5", "modular_10", "inverse_cube")
    found = table(primitives=("all",), sdf_mappers=mappers, multi_task=True)
    assert len(found.choices) == 327
    assert found.dtype == np.uint8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"primitives": ("sphere", "shpere")},
            r"unknown primitive 'shpere'; did you mean 'sphere'",
        ),
        ({"primitives": ("hexprism",)}, r"'hexprism'; did you mean 'hexagonprism'"),
        ({"categories": ("basics",)}, r"unknown category 'basics'; did you mean 'basic'"),
        ({"sdf_mappers": ("modular_6",)}, r"unknown mapper 'modular_6'; did you mean 'modular_"),
        ({"displacement_functions": ("rigde",)}, r"displacement 'rigde'; did you mean 'ridge'"),
        ({"num_classes": 110}, r"num_classes is 110, but the pool holds 109"),
        ({"categories": ("basic",), "num_classes": 9}, r"num_classes is 9, but the pool holds 8"),
        ({"num_combined_unions": 17}, r"is 17, but 4 primitives make 16 ordered pairs"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(InputError, match=message):
        table(**options)


def test_refuses_more_classes_than_a_label_can_hold():
    options = {"primitives": ("all",), "num_combined_unions": 109**2}
    mappers = ("modular_5", "modular_10", "inverse_cube", "floor_width_0.5", "floor_width_1.0")
    with pytest.raises(InputError, match="at most 65535") as error:
        table(**options, sdf_mappers=(*mappers, "linear_slope_10.0"))
    assert "make 71940 classes" in str(error.value)


def test_refuses_a_seed_out_of_range():
    with pytest.raises(InputError, match="seed is -1"):
        table(seed=-1)


def test_json_of_the_table():
    classes = table(num_combined_unions=1, multi_task=True)
    record = classes.to_json()
    assert record["labels"]["0"] == "background"
    assert record["out_channel"] == len(record["labels"])
    assert record["tasks"] == classes.tasks
    assert record["shapes"][:4] == ["sphere", "cylinder", "torus", "cone"]
    assert "tasks" not in table().to_json()


def test_table_is_a_value():
    assert table() == table()
    assert dataclasses.replace(table()) == table()
