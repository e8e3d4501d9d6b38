"""What `fdif train` refuses of options and data: at once, in one sentence, with nothing written."""

import gzip
import json
import sys
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from one_sentence import assert_one_sentence
from tiny_runs import save, volume

TINY = "--model_name primus_s --model_option hidden_size=12 depth=1 heads=1 --grid_size 8 8 16"
FILES = f"{TINY} --data_json_path d/dataset.json"
LIST = "--data_json_path d/dataset.json --num_crops 1"

BAD_OPTIONS = [
    # numbers
    *(
        (f"--{name} {value}", f"{name} is {value}; allowed: 1 to 2147483647")
        for name in (
            *("batch_size", "num_crops", "gradient_accumulation_steps", "max_iterations"),
            *("eval_every", "eval_max_cases", "checkpoint_every", "log_every", "devices"),
            "in_channels",
        )
        for value in (0, 2**31)
    ),
    ("--freeze_encoder -1", "freeze_encoder is -1; allowed: 0 to"),
    ("--early_stop -1", "early_stop is -1; allowed: 0 to"),
    ("--out_channel 1", "out_channel is 1; allowed: 2 to 65536"),
    ("--out_channel 65537", "out_channel is 65537"),
    ("--seed -1", "seed is -1; allowed: 0 to"),
    ("--seed 99999999999999999999", "seed is 99999999999999999999"),
    ("--max_iterations nan", "'nan' is not a valid integer"),
    ("--batch_size inf", "'inf' is not a valid integer"),
    ("--learning_rate 0", "learning_rate is 0.0; allowed: 1e-30 to 1e+30"),
    ("--learning_rate -1", "learning_rate is -1.0"),
    ("--learning_rate nan", "learning_rate is nan"),
    ("--learning_rate inf", "learning_rate is inf"),
    ("--learning_rate 1e39", "learning_rate is 1e+39"),
    ("--devices 64", "devices is 64; allowed: 1 to"),
    ("--batch_size 2000000000", "8000000000 crops of 8x8x16", "of memory", "--batch_size"),
    ("--grid_size 0 8 16", "grid_size is 0 8 16", "1 to 32767"),
    ("--grid_size -8 8 16", "grid_size is -8 8 16"),
    ("--grid_size 40000 8 16", "grid_size is 40000 8 16"),
    ("--grid_size 9 8 16", "multiples of 8", "the nearest is 8x8x16"),
    ("--grid_size 32760 32760 32760", "32760x32760x32760", "TiB of memory"),
    # spacing
    ("--spacing 1 1 1", "--spacing needs --is_real_data"),
    *(
        (f"--is_real_data --spacing {words}", f"spacing is {shown}", "give three sizes in mm")
        for words, shown in [
            *(("1 1", "1 1"), ("1 1 1 1", "1 1 1 1"), ("wide", "wide"), ("native 1 1", "native")),
            *(("0 1 1", "0"), ("-1 1 1", "-1"), ("nan 1 1", "nan"), ("inf 1 1", "inf")),
            *(("1e-300 1 1", "1e-300"), ("1e300 1 1", "1e+300")),
        ]
    ),
    # what excludes each other
    ("--out_channel 9", "out_channel is 9, but d/dataset.json has 3", "leave --out_channel out"),
    ("--in_channels 2", "has 1 channel, not 2", "(3 cases have problems.)"),
    ("--multi_task", "d/dataset.json has no tasks; leave --multi_task out"),
    ("--on_the_fly", "either --data_json_path or --on_the_fly"),
    ("--preset small", "--preset says what to render; it needs --on_the_fly"),
    ("--pretraining_out_channel 3", "describe a --pretrained_model"),
    ("--coordinator localhost:1", "belong together"),
    ("--num_processes 0", "belong together"),
    # names
    ("--model_name primuss", "unknown network 'primuss'; did you mean 'primus_s'?"),
    ("--model_name x", "unknown network 'x'", "fdif list models"),
    ("--intensity mr", "'mr' is not one of"),
    ("--precision fp16", "'fp16' is not one of"),
    ("--lerning_rate 1", "Did you mean '--learning_rate'?"),
    ("--data_json_path nowhere.json", "nowhere.json does not exist"),
    ("stray", "unexpected extra argument"),
    # options of the network
    ("--model_option hiden_size=12", "unknown option of primus_s 'hiden_size'", "'hidden_size'?"),
    ("--feature_size 12", "unknown option of primus_s 'feature_size'", "'hidden_size'?"),
    ("--model_option hidden_size", "give NAME=VALUE"),
    *(
        (f"--model_option {text}", f"{text.partition('=')[0]} is ", "primus_s takes values like")
        for text in (
            *("hidden_size=wide", "hidden_size=0", "hidden_size=-12", "hidden_size=12.5"),
            *("hidden_size=[12]", "hidden_size=null", "hidden_size=NaN", 'hidden_size={"a":1}'),
            *("hidden_size=1000000002", "depth=true", "depth=0", "heads=0"),
            *("drop_path=NaN", "drop_path=1", "drop_path=-1", "drop_path=high"),
        )
    ),
    ("--model_option heads=5", "hidden_size / heads", "12 / 5"),
    ("--model_option image_size=[8,8,8]", "image_size is set by --grid_size"),
    ("--model_option dtype=float16", "dtype is set by --precision"),
]


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("case", BAD_OPTIONS, ids=lambda case: case[0])
def test_options_are_refused(refuses, case):
    options, *parts = case
    refuses(f"{FILES} {options}", *parts)


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("network", "part"),
    [
        ("vnet --grid_size 16 16 17", "multiples of 16"),
        ("vnet --grid_size 16 16 16", "vnet cannot train on one 16x16x16"),
        ("vnet --grid_size 16 16 32 --model_option width=0", "width is 0"),
        ("unetr --grid_size 16 24 16", "multiples of 16"),
        ("swin_unetr --grid_size 33 32 64", "multiples of 32"),
        ("swin_unetr --grid_size 32 32 32", "cannot take 32x32x32"),
        ("swin_unetr --grid_size 32 32 64 --feature_size 13", "multiple of 12"),
        ("swin_unetr --grid_size 32 32 64 --model_option merging=new", "unknown merging 'new'"),
        ("swin_unetr --grid_size 32 32 64 --model_option heads=[3,6]", "no swin_unetr can be"),
        ("resenc_m --grid_size 33 32 32", "multiples of"),
        ("resenc_m --grid_size 32 32 32 --model_option strides=[1,2]", "strides is (1, 2)"),
        ("resenc_m --grid_size 32 32 32 --model_option features=[4,8]", "for each stage"),
        ("primus_b --grid_size 9 8 8", "multiples of 8"),
    ],
)
def test_each_network_is_asked_before_it_is_built(refuses, network, part):
    refuses(f"{LIST} --model_name {network}", part)


@pytest.mark.usefixtures("listed")
def test_options_that_fit_each_other_only_until_they_are_used(refuses):
    network = "swin_unetr --grid_size 32 32 64 --model_option heads=[3,6,12,7] feature_size=12"
    refuses(f"{LIST} --model_name {network}", "no swin_unetr can be built")


@pytest.mark.usefixtures("listed")
def test_a_batch_that_the_devices_cannot_share_is_refused(refuses, monkeypatch):
    made = SimpleNamespace(size=3)
    monkeypatch.setattr("fdif_jax.train.start_run.make_mesh", lambda count: made)
    refuses(FILES, "4 crops an update", "3 devices; make it a multiple of 3")


@pytest.mark.usefixtures("listed")
def test_packages_that_are_missing_are_named(refuses, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    refuses(f"{FILES} --tensorboard", "fdif-jax[tensorboard]")


RENDER = f"{TINY} --on_the_fly --generation_config g.json"


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "g.json cannot be read"),
        ("", "g.json is not JSON"),
        ("[" * 100_000, "g.json is not JSON"),
        ("[]", "g.json holds no configuration"),
        ('{"config": 5}', "g.json holds no configuration"),
        ('{"num_clases": 5}', "unknown keys num_clases"),
        ('{"num_classes": "five"}', "num_classes is 'five'"),
        ('{"primitives": ["sphear"]}', "did you mean 'sphere'?"),
        ('{"multi_task": true}', "has the tasks shape; add --multi_task"),
        ('{"plugin": "nowhere:catalog"}', "'nowhere' cannot be imported"),
    ],
)
def test_a_malformed_generation_config_is_refused(refuses, tmp_path, content, part):
    if content is not None:
        (tmp_path / "g.json").write_text(content)
    refuses(RENDER, part)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ("--in_channels 2", "volumes on the fly have one channel"),
        ("--multi_task", "the generation has no tasks; leave --multi_task out"),
        ("--out_channel 9", "out_channel is 9, but the generation has"),
        ("--is_real_data", "about images in files"),
        ("--intensity zscore", "about images in files"),
        ("--preset big", "'big' is not one of"),
        ("--preset small --generation_config g.json", "exclude each other"),
        ("--grid_size 4 8 8", "D is 4; allowed: 8 or more"),
    ],
)
def test_volumes_on_the_fly_have_their_own_rules(refuses, options, part):
    refuses(f"{TINY} --on_the_fly {options}", part)


BAD_LISTS = [
    ("", "is no JSON"),
    (b"\xff", "is no JSON"),
    ("[" * 100_000, "is no JSON"),
    ("[]", "holds no JSON object"),
    ("{}", "neither a Decathlon list", "scripts/make_datalist"),
    ({"training": []}, "lists no training cases"),
    ({"training": 5}, "training is not a list of cases"),
    ({"training": {"image": "a"}}, "training is not a list of cases"),
    ({"validation": "all"}, "validation is not a list of cases"),
    *(
        ({"training": [entry]}, "training[0] has no readable image and label; an entry is")
        for entry in (
            5,
            None,
            {},
            {"image": ""},
            {"image": ["a.nii", 3]},
            {"image": "a", "label": 4},
        )
    ),
    ({"training": [{"image": "a.nii"}]}, "d/a.nii has no label in the list"),
    ({"training": [{"image": "a\0.nii", "label": "b"}]}, "cannot be read"),
    ({"labels": ["liver"]}, "labels must go from id to name"),
    ({"labels": {"liver": "1"}}, "labels must go from id to name"),
    ({"labels": {"²": "liver"}}, "labels must go from id to name"),
    ({"labels": {"0": "background"}}, "declares 1 classes with background"),
    ({"labels": {"99999999999": "liver"}}, "declares 100000000000 classes"),
    ({"out_channel": 2}, "out_channel is 2, its labels go up to 2"),
    ({"out_channel": "3"}, "out_channel is '3'"),
    ({"modality": 5}, "the channels must go from number to name"),
    ({"modality": {"x": "CT"}}, "the channels must go from number to name"),
    ({"modality": {"0": "PET"}}, "declares the modality PET", "--intensity ct"),
    ({"modality": None}, "declares no modality", "--intensity ct"),
    ({"tasks": {"shape": {"labels": {"a": 0, "b": 1}}}}, "has the tasks shape; add --multi_task"),
    *(
        ({"tasks": tasks}, "tasks must go from task to its labels")
        for tasks in ([1], {"a": 5}, {"a": {}}, {"a": {"labels": ["x"]}})
    ),
    ({"tasks": {"a": {"labels": {"x": "0"}}}}, "label 'x' has id '0'"),
]


@pytest.mark.parametrize("case", BAD_LISTS, ids=lambda case: str(case[0])[:40])
def test_a_malformed_list_is_refused(refuses, small_set, case):
    content, *parts = case
    path = small_set / "dataset.json"
    if isinstance(content, dict):
        content = json.dumps(json.loads(path.read_text()) | content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refuses(FILES, "d/", *parts)


@pytest.mark.parametrize(
    ("labels", "part"),
    [({}, "1 and 1 classes"), ({"x": 0}, "1 and 1 classes"), ({"a": 0, "b": 1}, "labels of")],
)
def test_tasks_need_classes_and_labels(refuses, small_set, labels, part):
    path = small_set / "dataset.json"
    tasks = {"tasks": {"one": {"labels": labels}, "two": {"labels": labels}}}
    path.write_text(json.dumps(json.loads(path.read_text()) | tasks))
    refuses(f"{FILES} --multi_task", part)
    refuses(f"{FILES} --multi_task --out_channel 3", "leave --out_channel out")


GOOD, LABEL = volume(np.random.default_rng(0))
IMAGE_FILE, LABEL_FILE = "images/training_0.nii.gz", "labels/training_0.nii.gz"


def spoiled(value):
    voxels = GOOD.copy()
    voxels[1, 2, 3] = value
    return voxels


BAD_VOLUMES = [
    (IMAGE_FILE, None, "is missing"),
    (LABEL_FILE, None, "is missing"),
    ("labels/validation_0.nii.gz", None, "is missing"),
    (IMAGE_FILE, spoiled(np.nan), "holds NaN or infinity in 1 voxel"),
    (IMAGE_FILE, spoiled(np.inf), "holds NaN or infinity in 1 voxel"),
    ("images/validation_0.nii.gz", spoiled(np.nan), "holds NaN or infinity"),
    (IMAGE_FILE, GOOD[..., 0], "has the shape (10, 12); it needs three axes"),
    (IMAGE_FILE, np.stack([GOOD] * 2, -1), "has 2 channels, not 1"),
    (IMAGE_FILE, GOOD.astype(np.complex64), "holds complex64 voxels"),
    (LABEL_FILE, LABEL[1:], "has 9 x 12 x 18 voxels", "10 x 12 x 18"),
    (LABEL_FILE, LABEL + 3, "holds the label 5, 3 classes allow 0 to 2"),
    ("labels/validation_0.nii.gz", LABEL + 3, "holds the label 5"),
    (LABEL_FILE, LABEL + np.float32(0.5), "holds the label 0.5; labels are integers"),
    (LABEL_FILE, LABEL.astype(np.int16) - 1, "holds the label -1; they start at 0"),
]


@pytest.mark.parametrize("case", BAD_VOLUMES, ids=lambda case: f"{case[0]} {case[-1]}")
def test_files_that_are_not_as_they_should_be(refuses, small_set, case):
    name, voxels, *parts = case
    (small_set / name).unlink()
    if voxels is not None:
        save(small_set / name, voxels)
    refuses(FILES, f"d/{name}", *parts)


def test_the_cached_path_finds_them_too(refuses, small_set):
    save(small_set / IMAGE_FILE, spoiled(np.nan))
    refuses(f"{FILES} --is_real_data --cache_dir cache", "holds NaN or infinity")


@pytest.mark.parametrize("kept", [0, 5, 100, 400, -20])
def test_a_file_that_is_cut_off_is_named(refuses, small_set, kept):
    path = small_set / IMAGE_FILE
    path.write_bytes(path.read_bytes()[:kept])
    refuses(FILES, "d/images/training_0.nii.gz")


@pytest.mark.parametrize(
    "fields",
    [
        {"dim": [3, 30000, 30000, 30000, 1, 1, 1, 1]},
        {"dim": [3, -10, 12, 18, 1, 1, 1, 1]},
        {"dim": [9, 10, 12, 18, 1, 1, 1, 1]},
        {"datatype": 999},
        {"magic": b"xxx"},
        {"vox_offset": 1e9},
        {"srow_x": [np.nan] * 4},
        {"srow_x": [0] * 4},
    ],
    ids=str,
)
def test_a_header_that_cannot_be_meant_is_refused(refuses, small_set, fields, capfd):
    path = small_set / IMAGE_FILE
    raw = bytearray(gzip.decompress(path.read_bytes()))
    header = nibabel.Nifti1Header(bytes(raw[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    raw[:348] = header.binaryblock
    path.write_bytes(gzip.compress(bytes(raw)))
    refuses(FILES, "d/images/training_0.nii.gz")
    assert capfd.readouterr().err == ""


def test_no_validation_list_is_a_note(fdif, monkeypatch, small_set):
    path = small_set / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"validation": []}))
    monkeypatch.setattr("fdif_jax.train.loop.Trainer.run", lambda self: 1 / 0)
    result = fdif(f"train --out_dir out {FILES}")
    assert isinstance(result.exception, ZeroDivisionError)
    assert "lists no validation cases: nothing is validated" in result.output
    assert "intensities: zscore; spacing: as it is" in result.output
    assert "assumed" not in result.output


def test_classes_that_nobody_names_are_a_note(fdif, monkeypatch, small_set):
    path = small_set / "dataset.json"
    record = {k: v for k, v in json.loads(path.read_text()).items() if k != "labels"}
    path.write_text(json.dumps(record))
    monkeypatch.setattr("fdif_jax.train.loop.Trainer.run", lambda self: 1 / 0)
    result = fdif(f"train --out_dir out {FILES}")
    assert "d/dataset.json names no classes: 14 outputs are assumed; --out_channel" in result.output


@pytest.mark.usefixtures("listed")
def test_a_device_out_of_memory_ends_in_one_sentence(fdif, monkeypatch):
    import jax

    def run(self):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory\nmore")

    monkeypatch.setattr("fdif_jax.train.loop.Trainer.run", run)
    assert_one_sentence(fdif(f"train --quiet --out_dir out {FILES}"), "--batch_size")
