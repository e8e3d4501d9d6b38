"""scripts/make_datalist: which files of which data set become which list."""

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from tiny_volumes import ROOT, oblique, save

from fdif_jax.data.datalist import read_datalist
from fdif_jax.data.images import read_image, read_label
from fdif_jax.data.survey import check_datalist

SCRIPT = ROOT / "scripts/make_datalist"
PAIRS = ("--images", "i/*.nii.gz", "--labels", "l/*_seg.nii.gz")


@pytest.fixture(scope="module")
def script():
    loader = importlib.machinery.SourceFileLoader("make_datalist", str(SCRIPT))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def run(script):
    def run(*words):
        return CliRunner().invoke(script.main, [str(word) for word in words])

    return run


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def made(run, *words, out):
    result = run(*words)
    assert result.exit_code == 0, result.output
    found = read_datalist(out)
    files = [p for c in (*found.training, *found.validation) for p in (*c.images, *c.label)]
    assert all(path.is_file() for path in files)
    return found, result.output


def ids(cases):
    return [case.id for case in cases]


def refused(result, *parts):
    assert result.exit_code == 2, result.output
    lines = result.output.splitlines()
    assert len(lines) == 1, result.output
    assert lines[0].startswith("Error: ")
    for part in parts:
        assert part in lines[0]


def pairs(root, count=10):
    names = (f"{folder}{i:02d}{end}" for i in range(count) for folder, end in _ENDS)
    return touch(root, *names, "i/._c00.nii.gz", "l/._c00_seg.nii.gz")  # as macOS leaves them


_ENDS = (("i/c", ".nii.gz"), ("l/c", "_seg.nii.gz"))


@pytest.mark.parametrize("root", ["", "Training", "RawData/Training"])
def test_btcv_has_its_fixed_split(run, tmp_path, root):
    numbers = [1, 2, 10, 34, 35, 36, 40]
    for i in numbers:
        touch(tmp_path / root, f"img/img{i:04d}.nii.gz", f"label/label{i:04d}.nii.gz")
    touch(tmp_path / root, "img/img0061.nii.gz", "img/._img0001.nii.gz")
    found, output = made(run, "btcv", tmp_path, out=tmp_path / "dataset.json")
    assert ids(found.training) == ["img0001", "img0002", "img0010", "img0034"]
    assert ids(found.validation) == ["img0035", "img0036", "img0040"]
    assert found.out_channel == 14
    assert found.labels[13] == "left adrenal gland"
    assert found.modality == ("CT",)
    assert "no label: img0061.nii.gz (1 in all)" in output
    entry = json.loads((tmp_path / "dataset.json").read_text())["training"][0]
    assert entry["image"] == "/".join(filter(None, (root, "img/img0001.nii.gz")))


def test_a_list_moves_with_its_data(run, tmp_path):
    pairs(tmp_path / "a/data")
    out = tmp_path / "a/lists/list.json"
    made(run, "pairs", tmp_path / "a/data", *PAIRS, "--out", out, out=out)
    (tmp_path / "a").rename(tmp_path / "b")
    found = read_datalist(tmp_path / "b/lists/list.json")
    assert found.training[0].images[0].is_file()


def test_amos_separates_ct_and_mr_and_keeps_its_split(run, tmp_path):
    names = [
        f"{kind}{part}/amos_{i:04d}.nii.gz"
        for part, numbers in (("Tr", (1, 2, 507)), ("Va", (8, 540)))
        for i in numbers
        for kind in ("images", "labels")
    ]
    touch(tmp_path, *names, "imagesTs/amos_0003.nii.gz", "dataset.json")
    found, output = made(run, "amos", tmp_path, out=tmp_path / "datalist.json")
    assert ids(found.training) == ["amos_0001", "amos_0002"]
    assert ids(found.validation) == ["amos_0008"]
    assert found.out_channel == 16
    assert "left out" not in output
    out = tmp_path / "mr.json"
    found, _ = made(run, "amos_mr", tmp_path, "--out", out, out=out)
    assert ids(found.training) + ids(found.validation) == ["amos_0507", "amos_0540"]
    assert found.modality == ("MR",)


def test_acdc_keeps_a_patient_on_one_side(run, tmp_path):
    for i in range(1, 11):
        stem = f"training/patient{i:03d}/patient{i:03d}"
        names = (f"{stem}_frame{f}{end}.nii.gz" for f in ("01", "12") for end in ("", "_gt"))
        touch(tmp_path, *names, f"{stem}_4d.nii.gz")
    found, output = made(run, "acdc", tmp_path, "--seed", 5, out=tmp_path / "dataset.json")
    assert [len(found.training), len(found.validation)] == [16, 4]
    sides = [{name[:10] for name in ids(side)} for side in (found.training, found.validation)]
    assert not sides[0] & sides[1]
    assert list(found.labels.values())[1:] == ["right ventricle", "myocardium", "left ventricle"]
    assert "left out" not in output


@pytest.mark.parametrize(
    ("kind", "label", "classes"),
    [
        ("kits", "segmentation", 4),
        ("kits19", "segmentation", 3),
        ("kits21", "aggregated_MAJ_seg", 4),
    ],
)
def test_kits(run, tmp_path, kind, label, classes):
    for i in range(5):
        touch(tmp_path, *(f"dataset/case_{i:05d}/{n}.nii.gz" for n in ("imaging", label)))
    out = tmp_path / "dataset.json"
    found, _ = made(run, kind, tmp_path, "--validation_cases", "case_00003_imaging", out=out)
    assert ids(found.validation) == ["case_00003_imaging"]
    assert len(found.training) == 4
    assert found.out_channel == classes


def test_nnunet_raw_data(run, tmp_path):
    root = tmp_path / "Dataset005_Prostate"
    for i in range(4):
        touch(root, f"labelsTr/p_{i}.nii.gz", *(f"imagesTr/p_{i}_{c:04d}.nii.gz" for c in (0, 1)))
    record = {
        "channel_names": {"0": "T2", "1": "ADC"},
        "file_ending": ".nii.gz",
        "numTraining": 4,
        "labels": {"background": 0, "PZ": 1, "TZ": 2},
    }
    (root / "dataset.json").write_text(json.dumps(record))
    found, _ = made(run, "nnunet", root, "--validation", 0.5, out=root / "datalist.json")
    assert [len(found.training), len(found.validation)] == [2, 2]
    assert found.modality == ("T2", "ADC")
    assert len(found.training[0].images) == 2
    assert dict(found.labels) == {0: "background", 1: "PZ", 2: "TZ"}
    assert json.loads((root / "dataset.json").read_text()) == record


def test_a_task_of_the_decathlon_as_it_is_downloaded(run, tmp_path):
    """Its list has no validation, paths that begin with a dot, and tests without labels."""
    root = tmp_path / "Task04_Hippocampus"
    for i in range(10):
        touch(root, f"imagesTr/hippocampus_{i:03d}.nii.gz", f"labelsTr/hippocampus_{i:03d}.nii.gz")
    touch(root, "imagesTs/hippocampus_101.nii.gz", "imagesTr/._hippocampus_000.nii.gz")
    record = {
        "tensorImageSize": "3D",
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
        "numTraining": 10,
        "numTest": 1,
        "training": [
            {kind: f"./{kind}sTr/hippocampus_{i:03d}.nii.gz" for kind in ("image", "label")}
            for i in range(10)
        ],
        "test": ["./imagesTs/hippocampus_101.nii.gz"],
    }
    (root / "dataset.json").write_text(json.dumps(record))
    found, _ = made(run, "decathlon", root, out=root / "datalist.json")
    assert [len(found.training), len(found.validation)] == [8, 2]
    assert found.modality == ("MRI",)
    assert dict(found.labels) == {0: "background", 1: "Anterior", 2: "Posterior"}
    assert json.loads((root / "dataset.json").read_text()) == record


def test_pairs_with_channels_classes_and_a_list_of_names(run, tmp_path):
    for i in range(4):
        touch(tmp_path, *(f"case{i}/{name}.nii.gz" for name in ("t1", "flair", "seg")))
    (tmp_path / "who.txt").write_text("case1_t1\ncase2_t1\n")
    out = tmp_path / "dataset.json"
    words = (
        "--images",
        "*/t1.nii.gz",
        "*/flair.nii.gz",
        "--labels",
        "*/seg.nii.gz",
        "--modality",
        "T1",
        "FLAIR",
        "--classes",
        "oedema",
        "tumour",
        "--validation-cases",
        tmp_path / "who.txt",
    )
    found, _ = made(run, "pairs", tmp_path, *words, out=out)
    assert ids(found.validation) == ["case1_t1", "case2_t1"]
    assert [path.name for path in found.training[0].images] == ["t1.nii.gz", "flair.nii.gz"]
    assert dict(found.labels) == {0: "background", 1: "oedema", 2: "tumour"}


def test_the_split_is_that_of_its_seed(run, tmp_path):
    pairs(tmp_path)
    sides = {}
    for name, words in {"a": (3, 0.3), "same": (3, 0.3), "other": (4, 0.3), "none": (3, 0)}.items():
        out = tmp_path / f"{name}.json"
        options = ("--seed", words[0], "--validation", words[1], "--out", out)
        found, _ = made(run, "pairs", tmp_path, *PAIRS, *options, out=out)
        sides[name] = ids(found.validation)
        assert sorted(ids(found.training) + sides[name]) == [f"c{i:02d}" for i in range(10)]
    assert len(sides["a"]) == 3
    assert sides["a"] == sides["same"] != sides["other"]
    assert sides["none"] == []


def test_labels_are_remapped(run, tmp_path):
    label = np.zeros((4, 5, 6), np.uint8)
    label[0], label[1], label[2] = 5, 52, 117
    for i in range(2):
        save(tmp_path / f"i/c{i}.nii.gz", np.zeros((4, 5, 6), np.int16), oblique())
        save(tmp_path / f"l/c{i}_seg.nii.gz", label if i else label * (label < 100), oblique())
    both = {
        "compact": ([5, 52, 117], ["label 5", "label 52", "label 117"]),
        "117:2 5:1 52:1": ([(5, 52), 117], ["label 5", "label 117"]),
    }
    for words, (old, names) in both.items():
        out = tmp_path / f"{words[:3]}.json"
        options = ("--remap_labels", *words.split(), "--out", out, "--validation", 0)
        found, _ = made(run, "pairs", tmp_path, *PAIRS, *options, out=out)
        assert list(found.labels.values()) == ["background", *names]
        assert check_datalist(found).notes == (), "the affine is kept"
        new = read_label(found.training[1].label, (4, 5, 6), (len(names) + 1,))
        for i, ids_of_class in enumerate(old, 1):
            np.testing.assert_array_equal(new == i, np.isin(label, ids_of_class))
        np.testing.assert_array_equal(
            read_image(found.training[1].label).affine, read_image(found.training[1].images).affine
        )
    refused(run("pairs", tmp_path, *PAIRS, *options[:-2], "--out", tmp_path / "117.json"), "exists")


def test_a_new_id_of_a_label_that_no_file_holds_costs_nothing(run, tmp_path):
    save(tmp_path / "i/c.nii.gz", np.zeros((4, 5, 6), np.int16))
    save(tmp_path / "l/c_seg.nii.gz", np.ones((4, 5, 6), np.uint8))
    words = (*PAIRS, "--validation", 0, "--remap_labels", "1:1", "99999999999999:2")
    found, _ = made(run, "pairs", tmp_path, *words, out=tmp_path / "dataset.json")
    assert read_label(found.training[0].label, (4, 5, 6)).min() == 1


def test_labels_are_never_read_and_written_in_one_place(run, tmp_path):
    for folder in ("i", "dataset_labels"):
        save(tmp_path / f"{folder}/c.nii.gz", np.full((4, 5, 6), 5, np.uint8))
    before = (tmp_path / "dataset_labels/c.nii.gz").read_bytes()
    patterns = ("--images", "i/*.nii.gz", "--labels", "dataset_labels/*.nii.gz")
    words = (*patterns, "--remap_labels", "5:1", "--validation", 0, "--overwrite")
    refused(run("pairs", tmp_path, *words), "dataset_labels/c.nii.gz", "give another --out")
    assert (tmp_path / "dataset_labels/c.nii.gz").read_bytes() == before


@pytest.mark.parametrize(
    ("ids", "part"),
    [(("a", "a"), "are both called a"), (("../a", "b"), "labels with new ids cannot be written")],
)
def test_names_that_would_mix_up_cases_are_refused(run, tmp_path, ids, part):
    entries = [{"image": f"{i}.nii.gz", "label": f"{i}.nii.gz", "id": ids[i]} for i in range(2)]
    for i in range(2):
        save(tmp_path / f"{i}.nii.gz", np.full((4, 5, 6), i, np.uint8))
    record = {"training": entries[:1], "validation": entries[1:]}
    (tmp_path / "dataset.json").write_text(json.dumps(record))
    refused(run("nnunet", tmp_path, "--remap_labels", "1:1"), part)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "0.nii.gz",
        "1.nii.gz",
        "dataset.json",
    ]


def test_nothing_is_replaced_unasked(run, tmp_path):
    pairs(tmp_path)
    out = tmp_path / "dataset.json"
    out.write_text("mine")
    refused(run("pairs", tmp_path, *PAIRS), str(out), "exists", "--overwrite")
    assert out.read_text() == "mine"
    made(run, "pairs", tmp_path, *PAIRS, "--overwrite", out=out)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(("words", "part"), [
    (("btcv", "{}"), "no images at {}/RawData/Training/img/img*.nii.gz or"),
    (("btcv", "{}/missing"), "missing is no folder"),
    (("nnunet", "{}"), "holds none of"),
    (("nnu", "{}"), "'nnu' is not one of"),
    (("pairs", "{}"), "pairs needs --images and --labels"),
    (("kits", "{}", "--labels", "x"), "--images and --labels are for pairs"),
    (("pairs", "{}", "--images", "i/*.nii.gz", "--labels", "l/*.nii.gz"),
     "10 images (c00.nii.gz, c01.nii.gz, c02.nii.gz, …) and 10 labels"),
    (("pairs", "{}", "--images", "i/*.nii.gz", "j/*.nii.gz", "--labels", "l/*_seg.nii.gz"),
     "c00.nii.gz has no counterpart"),
    (("pairs", "{}", "--images", "/i/*", "--labels", "l/*"), "'/i/*' is no pattern below a folder"),
    (("pairs", "{}", *PAIRS, "--validation_cases", "c1"), "no case is called 'c1'"),
    (("pairs", "{}", *PAIRS, "--validation_cases", "{}/no.txt"), "no.txt cannot be read"),
    (("pairs", "{}", *PAIRS, "--validation_cases", *(f"c{i:02d}" for i in range(10))),
     "all 10 cases would validate"),
    (("pairs", "{}", *PAIRS, "--validation", "1"), "--validation"),
    (("pairs", "{}", *PAIRS, "--remap_labels", "5"), "'5' is no pair of ids"),
    (("pairs", "{}", *PAIRS, "--remap_labels", "5:1", "7:3"), "no id becomes 2"),
    (("pairs", "{}", *PAIRS, "--remap_labels", "5:1", "5:2"), "id 5 is to become 1 and 2"),
    (("pairs", "{}", *PAIRS, "--remap_labels", "5:99999999999999"), "no id becomes 1"),
    (("pairs", "{}", *PAIRS, "--validation", "nan"), "validation is nan"),
    (("pairs", "{}", *PAIRS, "--remap_labels", "compact"), "c00_seg.nii.gz is cut off or empty"),
    (("pairs", "{}", *PAIRS, "--out", "{}/i/c00.nii.gz/list.json"), "cannot be written"),
])  # fmt: skip
def test_mistakes_end_in_one_sentence(run, tmp_path, words, part):
    pairs(tmp_path)
    refused(run(*(word.format(tmp_path) for word in words)), part.format(tmp_path))
    assert not list(tmp_path.glob("*.json"))


def test_it_runs_as_a_program(tmp_path):
    pairs(tmp_path)
    assert os.access(SCRIPT, os.X_OK)
    command = [sys.executable, SCRIPT, "pairs", tmp_path, *PAIRS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "8 cases train, 2 validate" in done.stdout
    again = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert again.returncode == 2
    assert again.stderr.startswith("Error: ")
