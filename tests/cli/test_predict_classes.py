"""`fdif predict` and `fdif evaluate` with classifiers: what they write, what they refuse."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from class_sets import VOLUMES, write_archive, write_folder, write_table
from fdif_jax.models import create_model
from fdif_jax.models.heads import Classifier
from flax import nnx
from one_sentence import assert_one_sentence

from fdif_jax.data.intensities import Intensity
from fdif_jax.data.preprocess import Preprocessing
from fdif_jax.model_io import ModelInfo, load_info, load_model, save_model

PATCH = (8, 8, 16)
AS_THEY_ARE = Preprocessing(Intensity("none"), orient=False, crop=False).to_json()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A classifier of one label, and one of two."""
    folder = tmp_path_factory.mktemp("models")

    def save(name, outputs, names):
        options = {"hidden_size": 12, "depth": 1, "heads": 1, "image_size": PATCH}
        encoder = create_model("primus_s", rngs=nnx.Rngs(0), **options)
        model = Classifier(encoder, outputs, rngs=nnx.Rngs(1))
        info = ModelInfo(model.config, PATCH, AS_THEY_ARE, names)
        save_model(folder / name, model, info)

    save("one", 2, {"0": "0", "1": "1"})
    save("abc", 2, {"0": "a", "1": "b"})
    both = {"shape": {"0": "cone", "1": "ball", "2": "ring"}, "side": {"0": "left", "1": "right"}}
    save("two", (("shape", 3), ("side", 2)), both)
    return folder


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_set_is_predicted_and_scored(fdif, tmp_path, models):
    write_folder(tmp_path / "set")
    line = f"predict --model {models / 'one'} --input set --out_dir out --batch 3"
    found = fdif(line)
    assert found.exit_code == 0, found.output
    assert "wrote the classes of 4 validation images to out/predictions.csv" in found.stdout
    table = rows(tmp_path / "out/predictions.csv")
    assert [row["id"] for row in table] == ["c4", "c5", "c6", "c7"]
    for row in table:
        p = [float(row["class=0"]), float(row["class=1"])]
        assert sum(p) == pytest.approx(1, abs=1e-6)
        assert row["class"] == str(int(np.argmax(p)))
    before = (tmp_path / "out/predictions.csv").read_bytes()
    assert_one_sentence(fdif(line), "predictions.csv is there", "--overwrite")
    assert fdif(f"{line} --overwrite --split all --quiet").exit_code == 0
    every = rows(tmp_path / "out/predictions.csv")
    assert len(every) == 8
    assert fdif(f"{line} --overwrite --fold 1 --quiet").exit_code == 0
    assert [row["id"] for row in rows(tmp_path / "out/predictions.csv")] == ["c0", "c1", "c2", "c3"]
    assert fdif(f"{line} --overwrite --quiet --batch 4").exit_code == 0
    assert (tmp_path / "out/predictions.csv").read_bytes() == before

    found = fdif("evaluate --prediction out --reference set --out_dir scores")
    assert found.exit_code == 0, found.output
    record = json.loads((tmp_path / "scores/scores.json").read_text())
    right = [row["class"] == str(int(row["id"][1:]) % 2) for row in table]
    assert record["labels"]["class"]["accuracy"] == np.mean(right)
    assert record["references_without_prediction"] == []
    assert [row["name"] for row in rows(tmp_path / "scores/scores.csv")] == ["0", "1"]


def test_loose_images_are_predicted_alike(fdif, tmp_path, models):
    write_table(tmp_path / "t.csv", [f"i{i}.nii.gz,{'ab'[i % 2]}" for i in range(4)], "image,label")
    write_folder(tmp_path / "set")
    common = f"predict --model {models / 'abc'} --quiet"
    assert fdif(f"{common} --input t.csv --out_dir table").exit_code == 0
    assert fdif(f"{common} --input . --out_dir folder").exit_code == 0
    one, other = (rows(tmp_path / name / "predictions.csv") for name in ("table", "folder"))
    assert [row["id"] for row in one] == [f"i{i}.nii.gz" for i in range(4)]
    assert [row["id"] for row in other] == [f"i{i}" for i in range(4)]
    assert [row["class=b"] for row in one] == [row["class=b"] for row in other]
    found = fdif("evaluate --prediction folder/predictions.csv --reference t.csv")
    assert found.exit_code == 0, found.output
    assert fdif(f"{common} --input set/{VOLUMES} --out_dir volumes").exit_code == 0
    assert len(rows(tmp_path / "volumes/predictions.csv")) == 8


def test_several_labels_have_columns_each(fdif, tmp_path, models):
    labels = {f"c{i}": [i % 3, i % 2] for i in range(8)}
    write_folder(tmp_path / "set", labels)
    line = f"predict --model {models / 'two'} --input set --split all --out_dir out --quiet"
    found = fdif(line)
    assert found.exit_code == 0, found.output
    row = rows(tmp_path / "out/predictions.csv")[0]
    assert list(row)[:4] == ["id", "shape", "side", "shape=cone"]
    for label, names in {"shape": ("cone", "ball", "ring"), "side": ("left", "right")}.items():
        p = [float(row[f"{label}={name}"]) for name in names]
        assert sum(p) == pytest.approx(1, abs=1e-6)
        assert row[label] == names[int(np.argmax(p))]
    words = "evaluate --prediction out --reference set"
    assert_one_sentence(fdif(words), "predictions are of shape, side", "has label 0, label 1")


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("--input nothing", ["nothing does not exist"]),
        ("--input set --fold 2", ["fold is 2"]),
        ("--input set --split test", ["has no test cases; it has validation, training"]),
        ("--input set --mirror", ["is a classifier of whole images; leave --mirror out"]),
        ("--input set --grid_size 16 16 16", ["puts images on 8x8x16 voxels"]),
        ("--input set --intensity ct --spacing native", ["leave out --intensity"]),
        ("--input set --batch 0", ["batch is 0; allowed: 1 or more"]),
        ("--input set --devices 99", ["devices is 99"]),
        ("--input two", ["has 2 channels, the network takes 1"]),
        ("--input a.npz --fold 1", ["leave --fold out"]),
        ("--input images --fold 1", ["has no folds; leave --fold out"]),
        (f"--input set/{VOLUMES} --split test", ["--split chooses from a data list or set"]),
        ("--input broken", ["cut off"]),
        ("--input mixed", ["holds Blosc2 and NIfTI files"]),
        ("--input set --out_dir a.npz", ["a.npz/predictions.csv cannot be made there"]),
    ],
)
def test_what_predict_refuses(fdif, tmp_path, models, line, parts):
    for name, channels in (("set", 1), ("two", 2), ("broken", 1)):
        write_folder(tmp_path / name, channels=channels)
    write_archive(tmp_path / "a.npz")
    write_table(tmp_path / "images/t.csv")
    (tmp_path / "images/t.csv").unlink()
    (tmp_path / "mixed").mkdir()
    for name in (f"set/{VOLUMES}/c0.b2nd", "images/i0.nii.gz"):
        shutil.copy(tmp_path / name, tmp_path / "mixed")
    cut = tmp_path / "broken" / VOLUMES / "c5.b2nd"
    cut.write_bytes(cut.read_bytes()[:-10])
    out = "" if "--out_dir" in line else "--out_dir out"
    found = fdif(f"predict --model {models / 'one'} {out} {line} --quiet")
    assert_one_sentence(found, *parts)
    assert not (tmp_path / "out").exists()


GOOD = "id,class,class=0,class=1\nc4,0,0.75,0.25\nc5,1,0.25,0.75\n"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["has the columns of nothing", "give the predictions.csv"]),
        ("id,class\nc4,0\n", ["has the columns id, class"]),
        (GOOD.split("\n")[0] + "\n", ["has no rows"]),
        (GOOD.replace("c5,1,0.25,0.75", "c5,1"), ["line 3, has 2 cells of 4"]),
        (GOOD.replace("0.75", "much"), ["line 2: a probability is no number"]),
        (
            GOOD.replace("0.75", "nan"),
            ["line 2: the probabilities of a label are below 0, or do not add up"],
        ),
        (GOOD.replace("0,0.75,0.25", "0,1.75,-0.75"), ["line 2: the probabilities of a label"]),
        (GOOD.replace("class=1", "class=0"), ["has a column twice"]),
        (GOOD.replace("c5", "c4"), ["has an image twice"]),
        (GOOD.replace("c5", "x9"), ["x9 has no class in"]),
        (GOOD.replace("class=1", "class=2"), ["have no class '1', which", "they have 0, 2"]),
    ],
)
def test_what_evaluate_refuses(fdif, tmp_path, text, parts):
    write_folder(tmp_path / "set")
    (tmp_path / "p.csv").write_text(text)
    found = fdif("evaluate --prediction p.csv --reference set --out_dir scores")
    assert_one_sentence(found, *parts)
    assert not (tmp_path / "scores").exists()


def test_evaluate_says_what_was_not_predicted(fdif, tmp_path):
    write_folder(tmp_path / "set")
    (tmp_path / "p.csv").write_text(GOOD)
    found = fdif("evaluate --prediction p.csv --reference set")
    assert found.exit_code == 0, found.output
    assert "2 references have no prediction: c6, c7" in found.stderr
    assert "1.0000" in found.stdout
    shutil.rmtree(tmp_path / "set")
    words = "evaluate --prediction p.csv --reference set"
    assert_one_sentence(fdif(words), "set is missing")
    assert_one_sentence(fdif(words + " --names a"), "leave --names out")


def test_images_of_other_folders_are_not_taken_for_each_other(fdif, tmp_path):
    write_table(tmp_path / "t.csv", ["a.nii.gz,0", "b.nii.gz,1"], "image,label")
    (tmp_path / "p1").mkdir()
    (tmp_path / "a.nii.gz").rename(tmp_path / "p1/a.nii.gz")
    text = (tmp_path / "t.csv").read_text().replace("a.nii.gz", "p1/a.nii.gz")
    (tmp_path / "t.csv").write_text(text)
    for name, fits in (("p1/a.nii.gz", True), ("a", True), ("p2/a.nii.gz", False)):
        (tmp_path / "p.csv").write_text(f"id,class,class=0,class=1\n{name},0,0.75,0.25\n")
        found = fdif("evaluate --prediction p.csv --reference t.csv")
        assert (found.exit_code == 0) == fits, found.output


def test_prepared_images_are_not_scaled_again(fdif, tmp_path, models):
    info = load_info(models / "one")
    ct = Preprocessing(Intensity("ct")).to_json()
    model = load_model(models / "one")
    save_model(tmp_path / "ct", model, dataclasses.replace(info, intensities=ct))
    write_archive(tmp_path / "a.npz")
    found = fdif("predict --model ct --input a.npz --out_dir out --quiet")
    assert_one_sentence(
        found, "ct scales the intensities of NIfTI files (ct)", "a.npz holds images"
    )


def test_infinite_logits_are_told(fdif, tmp_path, models):
    huge = {"val_images": np.full((4, *PATCH), 3e38, np.float32), "test_images": None}
    train = np.zeros((6, *PATCH), np.float32)
    write_archive(tmp_path / "a.npz", train_images=train, test_labels=None, **huge)
    found = fdif(f"predict --model {models / 'one'} --input a.npz --out_dir out --quiet")
    assert_one_sentence(found, "val_00000 gives no finite logits")
