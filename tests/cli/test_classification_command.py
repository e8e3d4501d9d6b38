"""What `fdif generate-classification` decides, writes, says and refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import blosc2
import numpy as np
import pytest
import yaml
from one_sentence import assert_one_sentence

from fdif_jax.data.class_forms import read_classified
from fdif_jax.io import manifest
from fdif_jax.io.validate import validate

VOLUMES = "nnUNetResEncUNetLPlans_3d_fullres"
TINY = "generate-classification --D 16 --H 18 --W 20"
SMALL = f"{TINY} --samples_per_class 2 --compression_level 1"
ORIGINAL = (
    "generate-classification --out_dir ./cls_dataset --D 96 --H 96 --W 96 --samples_per_class 50 "
    "--primitives sphere cylinder torus cone --sdf_mappers inverse_cube linear_slope_10.0 "
    "--dataset_name my_sdf_classification"
)


def read(name, root="out"):
    return json.loads((Path(root) / name).read_text())


def files(root="out"):
    root = Path(root)
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in root.rglob("*")
        if p.is_file() and not p.name.startswith("generation_log")
    }


def names_of(root="out") -> list[str]:
    return list(manifest.read(Path(root)).classes.labels.values())


def assert_same_classes(root="out"):
    """Each class has its full share on both sides of every fold; returns the shares."""
    labels, folds = read("labelsTr.json", root), read("splits_final.json", root)
    shares = {}
    for fold in folds:
        for side in ("train", "val"):
            counts = Counter(str(labels[case]) for case in fold[side])
            assert len(counts) == len(names_of(root))
            assert len(set(counts.values())) == 1
            shares[side] = counts.most_common(1)[0][1]
        assert len(fold["train"]) + len(fold["val"]) == len(labels)
    return shares


@pytest.mark.usefixtures("fake_recipe")
def test_the_original_s_command_line(fdif):
    """On a small grid: 8 classes, 400 volumes for training, 104 for validation."""
    line = ORIGINAL.replace(" 96", " 8").replace("--sdf", "--compression_level 1 --sdf")
    result = fdif(line)
    assert result.exit_code == 0, result.output
    assert "400 training, 104 validation volumes of 8x8x8 into cls_dataset" in result.output
    assert "8 classes" in result.output
    root = Path("cls_dataset")
    assert len(list((root / VOLUMES).iterdir())) == 504
    assert assert_same_classes(root) == {"train": 50, "val": 13}
    assert list(read("labelsTr.json", root).values())[:400:50] == list(range(8))
    assert names_of(root)[:3] == [
        "Sphere + inverse_cube",
        "Sphere + linear_slope_10.0",
        "Cylinder + inverse_cube",
    ]
    config = yaml.safe_load((root / "my_sdf_classification.yaml").read_text())
    assert (config["data"]["num_classes"], config["data"]["cv"]["k"]) == (8, 5)
    assert (root / "sdf_classification.py").exists()
    assert validate(root).errors == ()


@pytest.mark.usefixtures("fake_recipe")
@pytest.mark.parametrize(
    ("args", "classes"),
    [
        ("", 4),
        ("--num_classes 6", 6),
        ("--categories basic revolution", 11),
        ("--primitives all", 109),
        ("--num_combined_unions 3", 7),
        ("--num_classes 5 --num_combined_unions 4 --sdf_mappers modular_5 modular_10", 18),
        ("--displacement_functions ridge", 8),
        ("--sdf_mappers modular_5 modular_10 --mapper_as_augmentation", 4),
        ("--displacement_functions ridge sawtooth --displacement_as_augmentation", 4),
        ("--n_splits 2", 4),
    ],
)
def test_training_and_validation_name_the_same_classes(fdif, args, classes):
    result = fdif(f"{SMALL} --D 8 --H 8 --W 8 --out_dir out {args}")
    assert result.exit_code == 0, result.output
    assert len(set(names_of())) == classes
    assert_same_classes()
    assert yaml.safe_load(Path("out/sdf_classification.yaml").read_text())["data"][
        "num_classes"
    ] == len(names_of())
    assert validate(Path("out")).errors == ()


@pytest.mark.usefixtures("fake_recipe")
def test_three_labels_a_volume(fdif):
    result = fdif(
        f"{SMALL} --out_dir out --primitives torus sphere --sdf_mappers modular_5 inverse_cube "
        "--displacement_functions turbulence ridge --num_combined_unions 1 --multilabel"
    )
    assert result.exit_code == 0, result.output
    assert "label displacement: 3 classes" in result.output
    tasks = manifest.read(Path("out")).classes.tasks
    assert next(iter(tasks["shape"])) == "Sphere"
    assert sorted(tasks["shape"].values()) == [0, 1, 2]
    assert list(tasks["displacement"]) == [
        "none",
        "ridge_amp_0.03_freq_30.0",
        "turbulence_amp_0.05_scale_30.0",
    ]
    assert tasks["mapper"] == {"inverse_cube": 0, "modular_5": 1}
    labels = read("labelsTr.json")
    assert labels["case_00000"] == [tasks["shape"]["Torus"], 0, 1]
    assert_same_classes()
    config = yaml.safe_load(Path("out/sdf_classification.yaml").read_text())
    assert config["data"]["num_classes"] == 3 + 3 + 2
    assert config["model"]["subtask"] == "multilabel"


@pytest.mark.usefixtures("fake_recipe")
def test_labels_come_in_pairs_on_request(fdif):
    fdif(f"{SMALL} --out_dir out --labels_style pair")
    assert set(map(str, read("labelsTr.json").values())) == {f"[{i}, {i}]" for i in range(4)}


@pytest.mark.usefixtures("fake_recipe")
def test_the_last_line_says_how_to_train_on_it(fdif):
    result = fdif(f"{SMALL} --out_dir my_data")
    command = "fdif train-classifier --data my_data --model_name resenc_m --grid_size 32 32 32"
    assert result.stdout.splitlines()[-1] == f"Train on it: {command}"


@pytest.mark.usefixtures("fake_recipe")
def test_the_default_folder_says_what_it_holds(fdif):
    assert fdif(SMALL).exit_code == 0
    (folder,) = Path("outputs").iterdir()
    assert folder.name.startswith("cls_2")


@pytest.mark.usefixtures("fake_recipe")
def test_a_dry_run_says_all_and_writes_nothing(fdif, tmp_path):
    result = fdif(f"{ORIGINAL} --dry_run --workers 2")
    assert result.exit_code == 0
    assert "400 training, 104 validation volumes of 96x96x96" in result.output
    assert "    7  Cone + linear_slope_10.0" in result.output
    assert "on disk" in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("fake_recipe")
def test_shards_workers_and_a_second_run_give_one_set(fdif):
    whole = f"{SMALL} --seed 5 --sdf_mappers modular_5 inverse_cube"
    fdif(f"{whole} --out_dir whole --workers 1")
    for index in (1, 0):
        assert not Path("out/labelsTr.json").exists()
        result = fdif(f"{whole} --out_dir out --shard {index}/2 --workers 3")
        assert result.exit_code == 0, result.output
    assert files() == files("whole")
    Path("out", VOLUMES, "case_00003.b2nd").write_bytes(b"")
    again = fdif(f"{SMALL} --sdf_mappers modular_5 inverse_cube --out_dir out")
    assert "case_00003.b2nd is empty; it is made again." in again.output
    assert "1 samples written, 23 were there" in again.output
    assert files() == files("whole")
    assert_one_sentence(fdif(f"{whole} --out_dir out --n_splits 3"), "n_splits: 5 there, 3 asked")
    assert_one_sentence(fdif("generate --out_dir out --seed 5"), "layout: ssl3d there, monai")
    assert fdif(f"{whole} --out_dir out --n_splits 3 --overwrite").exit_code == 0
    assert len(read("splits_final.json")) == 3


@pytest.mark.usefixtures("fake_recipe")
def test_pictures_and_log(fdif):
    fdif(f"{SMALL} --out_dir out --num_visualize 2")
    pictures = sorted(Path("out/visualizations").iterdir())
    assert [p.name for p in pictures] == ["case_00000.png", "case_00001.png"]
    log = Path("out/generation_log.txt").read_text()
    assert "    3  Cone + inverse_cube" in log
    assert "samples_per_class              2" in log


BAD_OPTIONS = [
    ("--primitives sphear", "unknown primitive 'sphear'", "did you mean 'sphere'?"),
    ("--categories basics", "unknown category 'basics'"),
    ("--sdf_mappers cubed", "unknown mapper 'cubed'"),
    ("--displacement_functions ridges", "unknown displacement 'ridges'", "'ridge'"),
    ("--labels_style triple", "'triple' is not one of 'plain', 'pair'"),
    ("--n_splits 1", "n_splits is 1; allowed: 2 to 100"),
    ("--n_splits 0", "n_splits is 0"),
    ("--samples_per_class 0", "samples_per_class is 0; allowed: 1 or more"),
    ("--samples_per_class 300000", "samples_per_class times classes is 1500000; at most 1000000"),
    ("--grid_scale 0", "grid_scale is 0.0; allowed: 0.01 to 2.0"),
    ("--grid_scale nan", "grid_scale is nan"),
    ("--compression_level 10", "compression_level is 10; allowed: 1 to 9"),
    ("--multilabel --mapper_as_augmentation", "multilabel cannot be combined", "drop one"),
    ("--multilabel --displacement_as_augmentation", "multilabel cannot be combined"),
    ("--multilabel --labels_style pair", "labels_style pair writes one label twice"),
    ("--primitives cone", "make 1 class", "name more primitives, mappers or displacements"),
    ("--num_classes 1", "make 1 class"),
    (
        "--primitives cone --sdf_mappers modular_5 modular_10 --mapper_as_augmentation",
        "make 1 class",
    ),
    ("--num_classes 110", "num_classes is 110", "109"),
    ("--num_combined_unions 17", "num_combined_unions is 17", "16 ordered pairs"),
    ("--dataset_name ../x", "dataset_name is '../x'"),
    ("--D 7", "D is 7; allowed: 8 or more"),
    ("--D 30000 --H 30000 --W 30000", "TiB of memory"),
    ("--seed -1", "seed is -1"),
    ("--workers 0", "workers is 0"),
    ("--shard 0/2", "a shard needs --seed"),
    ("--resume --overwrite", "exclude each other"),
    ("--num_visualize -1", "num_visualize is -1"),
    ("--plugin nocolon", "plugin is 'nocolon'"),
    ("--num_samples 5", "No such option"),
    ("--nnunet_format", "No such option"),
    ("--samples_per_class", "requires an argument"),
    ("stray", "unexpected extra argument"),
]


@pytest.mark.parametrize("case", BAD_OPTIONS, ids=lambda case: case[0])
def test_bad_input_is_one_sentence_and_writes_nothing(fdif, tmp_path, case):
    options, *parts = case
    assert_one_sentence(fdif(f"generate-classification --out_dir out {options}"), *parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("args", ["--n_splits 1", "--primitives cone", "--num_samples 3"])
def test_the_benchmark_refuses_the_same(fdif, args):
    assert_one_sentence(fdif(f"benchmark generate-classification {args}"))


def test_files_of_others_are_left_alone(fdif, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/labelsTr.json").write_text("mine")
    assert_one_sentence(fdif(f"{SMALL} --out_dir out"), "'labelsTr.json'", "fdif did not write it")
    assert files() == {"labelsTr.json": b"mine"}


PROGRAM = [sys.executable, "-c", "from fdif_jax.cli import main; main()"]


def start(out_dir):
    """A run of 1500 volumes: about a second of writing, so that a signal arrives within it."""
    line = f"{SMALL} --samples_per_class 200 --num_combined_unions 1 --seed 3 --out_dir {out_dir}"
    return subprocess.Popen(
        [*PROGRAM, *line.split()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path):
    process = start(tmp_path / "whole")
    assert process.communicate(timeout=300)[1] is not None
    assert process.returncode == 0
    rng = np.random.default_rng(0)
    for goal, stop in ((0, signal.SIGKILL), (9, signal.SIGTERM)):
        process = start(tmp_path / "d")
        while len(list((tmp_path / "d").rglob("*.b2nd"))) <= goal and process.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.02))
        process.send_signal(stop)
        process.communicate(timeout=60)
        assert not (tmp_path / "d/labelsTr.json").exists()
    assert 0 < len(list((tmp_path / "d").rglob("*.b2nd"))) < 1500
    process = start(tmp_path / "d")
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert files(tmp_path / "d") == files(tmp_path / "whole")
    for path in (tmp_path / "d").rglob("*.b2nd"):
        volume = blosc2.open(urlpath=str(path), mode="r")[...]
        assert (volume.shape, volume.dtype) == ((1, 16, 18, 20), np.float32)
        assert abs(volume.mean(dtype=np.float64)) < 1e-5
        assert abs(volume.std(dtype=np.float64) - 1) < 1e-5


@pytest.mark.usefixtures("fake_recipe")
def test_training_knows_the_names_of_the_classes(fdif):
    fdif(f"{SMALL} --out_dir one")
    found = read_classified(Path("one"))
    assert list(found.labels) == ["class"]
    first = found.labels["class"][found.training[0].label[0]]
    assert first == "Sphere + inverse_cube"
    fdif(f"{SMALL} --out_dir three --multilabel --displacement_functions ridge")
    none, ridge = read_classified(Path("three")).labels["displacement"]
    assert none == "none"
    assert ridge.startswith("ridge")
