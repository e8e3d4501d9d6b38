"""Scene files: every golden record is read, every slip is named."""

import copy
import json

import pytest

from fdif_jax.errors import InputError
from fdif_jax.io import scene
from fdif_jax.synth.catalog import Catalog

IDENTITY = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
SPHERE = {"primitive": "sphere", "params": {"radius": 5}, "local_from_world": IDENTITY}
TRIANGLE = {
    "class_name": "TrianglePrism",
    "params": {"vertices": [[0, 3], [2, -2], [-2, -2]], "h": 4, "axis": 2},
    "local_from_world": IDENTITY,
}
UNION = {
    "first": {"primitive": "sphere", "params": {"radius": 5}},
    "second": {"reference_name": "cone", "params": {"radius": 5, "height": 7}},
    "k": 2,
    "second_local_from_union": IDENTITY,
    "local_from_world": IDENTITY,
}
DROP = object()


@pytest.fixture(scope="module")
def catalog():
    return Catalog.default()


def changed(record, path, value):
    """A copy of ``record`` with the entry at ``path`` replaced, or dropped."""
    record = copy.deepcopy(record)
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    if value is DROP:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return record


def test_defaults_are_filled_in(catalog):
    found = scene.parse(json.dumps([SPHERE, TRIANGLE, UNION, UNION]), catalog)
    assert [item["class_id"] for item in found.objects] == [1, 12, 110, 111]
    assert {item["mapper"] for item in found.objects} == {"inverse_cube"}
    assert {item["displacement"] for item in found.objects} == {None}
    assert found.objects[1]["params"] == {"h": 4.0, "vertices": TRIANGLE["params"]["vertices"]}
    assert found.objects[2]["second"]["primitive"] == "cone"
    assert (found.label_dtype, found.tasks, found.grid, found.source) == ("uint8", (), None, None)


def test_the_long_form_is_read(catalog):
    objects = [{**SPHERE, "class_id": [1, 300], "mapper": "modular_5", "displacement": "none"}]
    record = {"grid": [8, 9, 10], "tasks": ["shape", "mapper"], "objects": objects}
    found = scene.parse(json.dumps(record), catalog)
    assert found.grid == (8, 9, 10)
    assert found.tasks == ("shape", "mapper")
    assert found.label_dtype == "uint16"
    assert found.objects[0]["displacement"] is None
    assert found.objects[0]["mapper"] == "modular_5"


def test_remarks_are_ignored(catalog):
    record = {**SPHERE, "inside": 17, "remark": "from a golden file"}
    assert scene.parse(json.dumps([record]), catalog).objects[0]["primitive"] == "sphere"


@pytest.mark.parametrize("name", ["onionedhexagonprism", "onionedchexagonprism"])
def test_old_misspelt_names_are_known(catalog, name):
    record = {
        "reference_name": name,
        "class_name": "OnionedHexagonPrism",
        "params": {"h": 3, "onion_ratio": 0.3, "vertices": [[1, 0]] * 6},
        "local_from_world": IDENTITY,
    }
    assert scene.parse(json.dumps([record]), catalog).objects[0]["class_id"] == 69


BAD_OBJECTS = [
    (SPHERE, ("primitive",), "sphear", r"primitive: unknown primitive 'sphear'; did you mean"),
    (SPHERE, ("primitive",), 3, "primitive is 3; give a name"),
    (SPHERE, ("primitive",), DROP, "names no primitive"),
    (SPHERE, ("class_name",), "Cone", "primitive is sphere but class_name is cone"),
    (SPHERE, ("params",), DROP, "sphere: has no 'params'"),
    (SPHERE, ("params", "radius"), DROP, "params lack radius; needed: radius"),
    (SPHERE, ("params", "radius"), "5", 'params: radius is "5"; give a number above 0'),
    (SPHERE, ("params", "radius"), True, "radius is true"),
    (SPHERE, ("params", "radius"), None, "radius is missing"),
    (SPHERE, ("params", "radius"), float("nan"), "radius is NaN"),
    (SPHERE, ("params", "radius"), float("inf"), "radius is Infinity"),
    (SPHERE, ("params", "radius"), 0, "radius is 0; allowed: a number above 0"),
    (SPHERE, ("params", "radius"), -1, "radius is -1"),
    (SPHERE, ("params", "size"), 1, "params has unknown key 'size'; allowed: radius"),
    (SPHERE, ("local_from_world",), DROP, "local_from_world is missing"),
    (SPHERE, ("local_from_world",), IDENTITY[:2], "three rows of four"),
    (SPHERE, ("local_from_world", 0), [1, 0, 0], "three rows of four"),
    (SPHERE, ("local_from_world", 2, 2), "x", "three rows of four finite"),
    (SPHERE, ("local_from_world", 2, 2), 0, "flattens space"),
    (SPHERE, ("mapper",), "modular_6", "unknown mapper 'modular_6'; did you mean 'modular_"),
    (SPHERE, ("mapper",), 6, "mapper is 6; give a name"),
    (SPHERE, ("displacement",), "perlin", "unknown displacement 'perlin'; did you mean"),
    (SPHERE, ("class_id",), 0, "class_id is 0; give 1 to 65535"),
    (SPHERE, ("class_id",), 1.5, "class_id is 1.5"),
    (SPHERE, ("class_id",), [], r"class_id is \[\]"),
    (SPHERE, ("maper",), "modular_5", "unknown key 'maper'; did you mean 'mapper'"),
    (TRIANGLE, ("params", "vertices"), [[0, 1]], "vertices has 1 points; give 3"),
    (TRIANGLE, ("params", "vertices"), [[0], [1], [2]], "a list of pairs"),
    (TRIANGLE, ("params", "h"), DROP, "trianglepr.*params lack h"),
    (UNION, ("second",), DROP, "second: is missing"),
    (UNION, ("first", "params", "radius"), DROP, "first: sphere: params lack radius"),
    (UNION, ("k",), 0, "k is 0"),
    (UNION, ("k",), DROP, "k is missing"),
    (UNION, ("second_local_from_union",), DROP, "second_local_from_union is missing"),
]


@pytest.mark.parametrize(("record", "path", "value", "message"), BAD_OBJECTS)
def test_a_bad_object_is_named_with_its_key(catalog, record, path, value, message):
    text = json.dumps([SPHERE, changed(record, path, value)])
    with pytest.raises(InputError, match=f"^s.json: object 2 of 2: .*{message}"):
        scene.parse(text, catalog, file="s.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("[", "is no JSON"),
        ("3", "neither a list"),
        ("[]", "has no objects"),
        ("{}", "has no list 'objects'"),
        ('{"objects": {}}', "has no list 'objects'"),
        ("[1]", "object 1 of 1: is 1; give an object"),
        (json.dumps({"objects": [SPHERE], "gird": [8, 8, 8]}), "did you mean 'grid'"),
        (json.dumps({"objects": [SPHERE], "grid": [8, 8]}), "grid has 2 sizes"),
        (json.dumps({"objects": [SPHERE], "grid": [8, 8, 0]}), "W is 0"),
        (json.dumps({"objects": [SPHERE], "grid": 8}), "grid is 8"),
        (json.dumps({"objects": [SPHERE], "label_dtype": "float32"}), "allowed: uint8, uint16"),
        (
            json.dumps({"objects": [{**SPHERE, "class_id": 256}], "label_dtype": "uint8"}),
            "does not hold class_id 256",
        ),
        (json.dumps({"objects": [SPHERE], "tasks": ["shape"]}), "names 1 tasks"),
        (json.dumps({"objects": [SPHERE], "tasks": 2}), "tasks is 2"),
        (json.dumps({"objects": [SPHERE], "source": {}}), "source is {}"),
        (json.dumps([SPHERE, {**SPHERE, "class_id": [1, 2]}]), "object 2 of 2: class_id has 2"),
    ],
)
def test_a_bad_file_is_refused(catalog, text, message):
    with pytest.raises(InputError, match=f"^s.json: .*{message}"):
        scene.parse(text, catalog, file="s.json")
