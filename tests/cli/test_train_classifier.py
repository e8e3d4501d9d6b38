"""`fdif train-classifier`: what it leaves; what it refuses at once, with nothing written."""

from pathlib import Path

import blosc2
import numpy as np
import pytest
from class_sets import VOLUMES, write_archive, write_folder, write_table
from click.testing import CliRunner
from one_sentence import assert_one_sentence

from fdif_jax.cli import cli
from fdif_jax.train.run_folder import alone_in

TINY = "--model_name primus_s --model_option hidden_size=12 depth=1 heads=1 --grid_size 8 8 16"


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Whole ones and faulty ones, to be read only."""
    root = tmp_path_factory.mktemp("sets")
    write_folder(root / "f")
    write_folder(root / "one", dict.fromkeys("abcd", 0), [{"train": ["a"], "val": ["b"]}])
    write_folder(root / "two", channels=2)
    write_archive(root / "a.npz")
    write_table(root / "t.csv")
    write_table(root / "lost.csv", ["x.nii.gz,0", "y.nii.gz,1"], "image,label")
    (root / "x.nii.gz").unlink()
    spoil(root)
    return root


def spoil(root):
    """Sets with one fault each."""
    for name in ("nan", "cut", "flat", "text", "half"):
        write_folder(root / name)
    volume = Path(VOLUMES) / "c5.b2nd"
    holes = np.full((1, 8, 8, 16), np.nan, np.float32)
    (root / "nan" / volume).write_bytes(blosc2.asarray(holes).to_cframe())
    (root / "cut" / volume).write_bytes((root / "cut" / volume).read_bytes()[:-9])
    (root / "flat" / volume).write_bytes(blosc2.asarray(holes[0]).to_cframe())
    (root / "text/labelsTr.json").write_text('{"c0": "mass"}')
    (root / "half/splits_final.json").write_text('[{"train": ["c0", "c1"], "val": ["c9"]}]')
    ones = {"train_labels": np.ones(6, np.uint8), "val_images": None, "val_labels": None}
    write_archive(root / "one.npz", **ones)
    write_archive(root / "short.npz", train_labels=np.arange(5) % 2)
    write_archive(root / "rgb.npz", train_images=np.zeros((6, 8, 8, 3), np.uint8))
    write_archive(root / "types.npz", val_images=np.zeros((4, 8, 8, 16), np.float32))
    archive = (root / "a.npz").read_bytes()
    start = archive.index(b"train_labels.npy") + 40
    (root / "flipped.npz").write_bytes(archive[:start] + b"\xff" * 40 + archive[start + 40 :])
    write_folder(root / "twice")
    (root / "twice/labelsTr.json").write_text('{"c0": 0, "c1": 1, "c0": 1}')
    write_folder(root / "none")
    (root / "none/splits_final.json").write_text("[]")
    none = np.zeros((1, 0, 8, 8), np.float32)
    write_folder(root / "void")
    (root / "void" / volume).write_bytes(blosc2.asarray(none).to_cframe())
    for name, text in {
        "cells.csv": "image,label\ni0.nii.gz,no, x\n",
        "index.csv": ",image,label\n0,i0.nii.gz,no\n1,i1.nii.gz,yes\n",
        "equals.csv": "image,a=b\ni0.nii.gz,no\ni1.nii.gz,yes\n",
        "items.csv": "image,items,b\ni0.nii.gz,0,1\ni1.nii.gz,1,0\n",
        "again.csv": "image,label\ni0.nii.gz,0\n../up/i0.nii.gz,1\n",
    }.items():
        (root / name).write_text(text.replace("up", root.name))
    (root / "torn.npz").write_bytes((root / "a.npz").read_bytes()[:-200])


def run(words):
    return CliRunner().invoke(cli, ["train-classifier", *TINY.split(), *words.split()])


BAD = [
    ("--data .", "has no labelsTr.json", "list NIfTI files in a .csv"),
    ("--data nothing", "nothing is missing; give a folder, an .npz or a .csv"),
    ("--data f --fold 2", "fold is 2", "has 0 to 1"),
    ("--data f --fold -1", "fold is -1"),
    ("--data a.npz --fold 1", "leave --fold out"),
    ("--data one", "training cases of one class only"),
    ("--data two", "has 2 channels, the network takes 1", "--in_channels"),
    ("--data lost.csv", "line 2", "x.nii.gz is missing"),
    ("--data t.csv --intensity zscore --spacing 0 1 1", "spacing is 0 1 1"),
    ("--data f --intensity ct", "leave them out"),
    ("--data nan", "c5.b2nd holds NaN or infinity"),
    ("--data cut", "c5.b2nd is cut off"),
    ("--data flat", "c5.b2nd has shape (8, 8, 16) float32"),
    ("--data text", "c0 has label 'mass'; give class ids"),
    ("--data half", "names c9, which labelsTr.json does not"),
    ("--data one.npz", "training cases of one class only"),
    ("--data short.npz", "train_labels have shape (5,), of 6 images"),
    ("--data rgb.npz", "are pictures of 3 colours"),
    ("--data types.npz", "val_images are float32, train_images uint8"),
    ("--data flipped.npz", "flipped.npz"),
    ("--data twice", "labelsTr.json is no JSON: it has 'c0' twice"),
    ("--data none", "holds no folds"),
    ("--data void", "c5.b2nd has shape (1, 0, 8, 8)"),
    ("--data cells.csv", "line 2, has more cells than columns"),
    ("--data index.csv", "has a column '', which cannot name a label"),
    ("--data equals.csv", "has a column 'a=b', which cannot name a label"),
    ("--data items.csv", "has a label 'items'; give it another name"),
    ("--data again.csv", "i0.nii.gz is in line 2 too"),
    ("--data torn.npz", "is no .npz of arrays, or damaged"),
    ("--data f --label_smoothing 1", "label_smoothing is 1.0; allowed: 0 to 1"),
    ("--data f --dropout -0.1", "dropout is -0.1"),
    ("--data f --learning_rate 0", "learning_rate is 0.0"),
    ("--data f --batch_size 0", "batch_size is 0; allowed: 1"),
    ("--data f --grid_size 9 8 16", "multiples of 8"),
    ("--data f --pretrained_model a.npz", "neither a model folder"),
]


@pytest.mark.parametrize("case", BAD, ids=[words for words, *_ in BAD])
def test_what_it_refuses(sets, monkeypatch, case):
    monkeypatch.chdir(sets)
    words, *parts = case
    before = sorted(sets.rglob("*"))
    assert_one_sentence(run(f"{words} --quiet"), *parts)
    assert sorted(sets.rglob("*")) == before


def test_a_volume_that_is_not_of_this_world_ends_the_run_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    huge = {"val_images": np.full((4, 8, 8, 16), 3e38, np.float32), "test_images": None}
    train = np.random.default_rng(0).random((6, 8, 8, 16)).astype(np.float32)
    write_archive(tmp_path / "huge.npz", train_images=train, test_labels=None, **huge)
    words = "--data huge.npz --max_iterations 2 --batch_size 2 --out_dir run --quiet"
    assert_one_sentence(run(words), "the logits of val_00000, in validation, are no numbers")


@pytest.mark.slow
def test_a_run_says_what_it_does_and_goes_on_where_it_is_complete(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "f")
    words = "--data f --max_iterations 2 --out_dir run --batch_size 2"
    found = run(words)
    assert found.exit_code == 0, found.output
    assert "classification: primus_s, 2 outputs, into run" in found.output
    assert "4 training, 4 validation images" in found.output
    assert "label smoothing 0.2" in found.output
    assert "best validation AUROC" in found.output
    assert "fdif predict --model run/model_best --input f --out_dir" in found.output
    assert "run is finished (2 updates)" in run(words).output
    assert_one_sentence(run(f"{words} --seed 3 --quiet"), "seed 0, not 3")
    (tmp_path / "run/summary.json").unlink()
    with alone_in(tmp_path / "run"):
        assert_one_sentence(run(f"{words} --quiet"), "another process is training in run")
    text = (tmp_path / "f/labelsTr.json").read_text()
    (tmp_path / "f/labelsTr.json").write_text(text.replace('"c0": 0', '"c0": 1'))
    assert_one_sentence(run(f"{words} --quiet"), "trained on other cases or classes")
