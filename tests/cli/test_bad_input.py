"""Every wrong value ends with exit code 2 and one sentence, and nothing is written."""

import json

import pytest
from one_sentence import assert_one_sentence

BAD_OPTIONS = [
    # unknown names, with the nearest
    ("--primitives sphear", "unknown primitive 'sphear'", "did you mean 'sphere'?"),
    ("--primitives sphere hexprism", "unknown primitive 'hexprism'", "'hexagonprism'"),
    ("--primitives xyzzy", "unknown primitive 'xyzzy'", "fdif list primitives"),
    ("--primitives=", "unknown primitive ''"),
    ("--categories basics", "unknown category 'basics'", "did you mean 'basic'?"),
    ("--sdf_mappers inverse_cubed", "unknown mapper", "did you mean 'inverse_cube'?"),
    ("--sdf_mappers sphere", "unknown mapper 'sphere'"),
    ("--displacement_functions perlin", "unknown displacement 'perlin'", "perlin_fine"),
    ("--displacement_functions turbulense", "did you mean 'turbulence'?"),
    ("--preset papier", "'papier' is not one of 'small', 'paper'"),
    ("--recipe primgeo", "recipe"),
    # empty lists
    ("--primitives", "--primitives", "at least one value"),
    ("--categories --D 16", "--categories", "at least one value"),
    ("--sdf_mappers --multi_task", "--sdf_mappers", "at least one value"),
    ("--displacement-functions", "at least one value"),
    # numbers
    ("--D 0", "D is 0; allowed: 8 or more"),
    ("--H -64", "H is -64"),
    ("--W 7", "W is 7"),
    ("--D 64.5", "'64.5' is not a valid integer"),
    ("--D wide", "'wide' is not a valid integer"),
    ("--num_samples 0", "num_samples is 0; allowed: 1 or more"),
    ("--num_samples -5", "num_samples is -5"),
    ("--num_val_samples -1", "num_val_samples is -1"),
    ("--min_objects 0", "min_objects is 0"),
    ("--min_objects 6", "max_objects is 5, below min_objects 6"),
    ("--min_objects 3 --max_objects 2", "max_objects is 2, below min_objects 3"),
    ("--max_objects 0", "max_objects is 0"),
    ("--num_classes 0", "num_classes is 0"),
    ("--num_classes 110", "num_classes is 110", "109"),
    ("--primitives sphere cone --num_classes 3", "num_classes is 3", "allowed: 1 to 2"),
    ("--num_combined_unions -1", "num_combined_unions is -1"),
    ("--num_combined_unions 17", "num_combined_unions is 17", "16 ordered pairs"),
    ("--seed -1", "seed is -1; allowed: 0 to"),
    ("--seed 99999999999999999999", "seed is 99999999999999999999"),
    ("--seed soon", "'soon' is not a valid integer"),
    ("--workers 0", "workers is 0; allowed: 1 or more"),
    ("--num_visualize -1", "num_visualize is -1"),
    ("--dataset_id 0 --nnunet_format", "dataset_id is 0; allowed: 1 to 999"),
    ("--dataset_id 1000 --nnunet_format", "dataset_id is 1000"),
    ("--dataset_name a/b --nnunet_format", "dataset_name is 'a/b'"),
    # what excludes each other
    ("--multi_task --mapper_as_augmentation", "multi_task cannot be combined"),
    ("--multi_task --displacement_as_augmentation", "multi_task cannot be combined"),
    ("--preset paper --multi_task", "multi_task cannot be combined"),
    ("--resume --overwrite", "exclude each other"),
    # too much
    ("--D 30000 --H 30000 --W 30000", "30000x30000x30000", "TiB of memory", "available"),
    ("--D 4096 --H 4096 --W 4096", "4096x4096x4096", "choose a smaller one"),
    # shards
    ("--shard 0/2", "a shard needs --seed"),
    ("--shard 2/2 --seed 1", "shard is '2/2'; give I/N"),
    ("--shard half --seed 1", "shard is 'half'"),
    ("--shard 0/2 --seed 1 --overwrite", "--overwrite cannot be combined with shards"),
    # plugins
    ("--plugin nocolon", "plugin is 'nocolon'; give module:catalog"),
    ("--plugin no_such_module:catalog", "'no_such_module' cannot be imported"),
    ("--plugin json:loads", "'loads' is function; it must be a Catalog"),
    ("--plugin json:nothing", "it must be a Catalog"),
    # the command line itself
    ("--num_sampels 5", "No such option", "num_samples"),
    ("--num_samples", "requires an argument"),
    ("stray", "unexpected extra argument"),
]


@pytest.mark.parametrize("case", BAD_OPTIONS, ids=lambda case: case[0])
def test_generate_refuses(fdif, tmp_path, case):
    options, *parts = case
    result = fdif(f"generate --out_dir out {options}")
    assert_one_sentence(result, *parts)
    assert list(tmp_path.iterdir()) == []


def test_a_class_count_beyond_the_label_type_is_refused(fdif, tmp_path):
    mappers = "inverse_cube modular_5 modular_10 linear_slope_10.0 linear_slope_20.0"
    result = fdif(
        f"generate --out_dir out --primitives all --num_combined_unions 11881 "
        f"--sdf_mappers {mappers} floor_width_0.5"
    )
    assert_one_sentence(result, "classes; at most 65535 are allowed")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("args", ["", "--nnunet_format"])
def test_an_out_dir_that_is_a_file_is_refused(fdif, tmp_path, args):
    (tmp_path / "out").write_text("mine")
    result = fdif(f"generate --D 8 --H 8 --W 8 --num_samples 1 --out_dir out {args}")
    assert_one_sentence(result, "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("args", ["generate-nothing", "generat --D 8", "list primitive"])
def test_an_unknown_command_is_refused(fdif, args):
    assert_one_sentence(fdif(args), "No such command")


GOOD = {
    "primitive": "sphere",
    "params": {"radius": 3},
    "local_from_world": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]],
}
BAD_SCENES = [
    (None, "cannot be read"),
    ("{", "is no JSON"),
    ([], "has no objects"),
    ([GOOD, {**GOOD, "primitive": "cube"}], "object 2 of 2", "unknown primitive 'cube'"),
    ([{**GOOD, "params": {}}], "object 1 of 1", "sphere", "params lack radius"),
    ([{**GOOD, "params": {"radius": -1}}], "radius is -1"),
    ([{**GOOD, "params": {"radius": 1, "h": 2}}], "unknown key 'h'"),
    ([{**GOOD, "local_from_world": [[1]]}], "local_from_world"),
    ([{**GOOD, "mapper": "cubed"}], "unknown mapper 'cubed'"),
    ([{**GOOD, "displacement": "ridges"}], "unknown displacement 'ridges'"),
    ([{**GOOD, "class_id": -1}], "class_id is -1"),
]


@pytest.mark.parametrize("case", BAD_SCENES, ids=lambda case: case[-1])
def test_render_refuses_a_bad_scene(fdif, tmp_path, case):
    content, *parts = case
    if content is not None:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "s.json").write_text(text)
    before = sorted(tmp_path.iterdir())
    result = fdif("render s.json --grid 8 8 8 --out_dir out --sdf_out fields.npz")
    assert_one_sentence(result, "s.json", *parts)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("args", "part"),
    [
        ("--out_dir out", "names no grid; give --grid D H W"),
        ("--out_dir out --grid 8 8", "requires 3 arguments"),
        ("--out_dir out --grid 8 8 0", "W is 0"),
        ("--grid 8 8 8", "--out_dir"),
        ("--out_dir out --grid 20000 20000 20000", "of memory"),
    ],
)
def test_render_refuses_bad_options(fdif, tmp_path, args, part):
    (tmp_path / "s.json").write_text(json.dumps([GOOD]))
    assert_one_sentence(fdif(f"render s.json {args}"), part)
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]


def test_validate_refuses_what_is_no_data_set(fdif):
    assert_one_sentence(fdif("validate nowhere"), "nowhere does not exist")
    assert_one_sentence(fdif("validate ."), "holds none of data/data.json")
