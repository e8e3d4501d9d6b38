"""Classification data sets: files, resume, and loading as SSL3D_classification loads them."""

import json
import subprocess
import sys

import numpy as np
import pytest
import ssl3d_stand_ins
import yaml
from fake_generate import classification, files, generation, producer, write

from fdif_jax.errors import InputError
from fdif_jax.io import folder, manifest, writer
from fdif_jax.io.continuing import generate_command, refuse_unfinished
from fdif_jax.io.layout import SampleRef, samples
from fdif_jax.io.layouts import layout_for

VOLUMES = "nnUNetResEncUNetLPlans_3d_fullres"
METADATA = ("labelsTr.json", "splits_final.json", "sdf_classification.yaml")


def read(path):
    return json.loads(path.read_text())


@pytest.fixture
def whole(tmp_path):
    """The files of one undisturbed run: 6 training cases, 3 for validation."""
    write(tmp_path / "whole", classification())
    return files(tmp_path / "whole")


def test_files_are_those_of_the_specification(tmp_path, whole):
    cases = [f"{VOLUMES}/case_{i:05d}.b2nd" for i in range(9)]
    assert sorted(whole) == sorted(
        [*cases, *METADATA, "sdf_classification.py", "generation.json"],
    )
    fold = {
        "train": [f"case_{i:05d}" for i in range(6)],
        "val": [f"case_{i:05d}" for i in range(6, 9)],
    }
    assert read(tmp_path / "whole/splits_final.json") == [fold] * 3
    labels = read(tmp_path / "whole/labelsTr.json")
    assert list(labels) == fold["train"] + fold["val"]
    assert list(labels.values()) == [0, 0, 1, 1, 2, 2, 0, 1, 2]
    assert manifest.read(tmp_path / "whole") == classification()


@pytest.mark.parametrize(
    ("options", "label"),
    [
        ({"labels_style": "pair"}, [2, 2]),
        ({"multilabel": True}, [0, 0, 0]),
    ],
)
def test_labels_in_other_forms(tmp_path, options, label):
    made = classification(**options)
    write(tmp_path, made)
    assert read(tmp_path / "labelsTr.json")["case_00005"] == label
    assert manifest.read(tmp_path) == made


def hydra_config(root, name="sdf_classification"):
    text = (root / f"{name}.yaml").read_text()
    assert text.startswith("# @package _global_\n")
    return yaml.safe_load(text)


def test_the_hydra_configuration_says_what_the_data_are(tmp_path):
    write(tmp_path, classification(dataset_name="my_sdf"))
    config = hydra_config(tmp_path, "my_sdf")
    module = config["data"]["module"]
    assert module["_target_"] == "datasets.sdf_classification.SDFClassificationDataModule"
    assert (module["name"], module["data_root_dir"]) == ("my_sdf", "???")
    assert module["train_transforms"] == {
        "_target_": "augmentation.policies.batchgenerators.get_training_transforms",
        "patch_size": "${data.patch_size}",
        "rotation_for_DA": 0.523599,
        "mirror_axes": [0, 1, 2],
        "do_dummy_2d_data_aug": False,
    }
    assert module["test_transforms"] is None
    assert "label_sizes" not in module
    assert config["data"]["cv"] == {"k": 3}
    assert config["data"]["num_classes"] == 3
    assert config["data"]["patch_size"] == [8, 9, 10]
    assert config["model"] == {
        "task": "Classification",
        "subtask": "multiclass",
        "cifar_size": False,
        "input_channels": 1,
        "input_dim": 3,
        "input_shape": "${data.patch_size}",
        "optimizer": "AdamW",
        "lr": 1e-4,
        "warmstart": 20,
        "weight_decay": 1e-2,
        "label_smoothing": 0.2,
    }
    assert config["trainer"] == {
        "logger": {"project": "my_sdf"},
        "accumulate_grad_batches": 48,
        "max_epochs": 400,
        "sync_batchnorm": True,
    }
    assert config["metrics"] == ["f1", "balanced_acc", "ap", "auroc"]


@pytest.mark.parametrize("name", ["null", "1e3", "007", "yes"])
def test_a_name_stays_a_name(tmp_path, name):
    write(tmp_path, classification(dataset_name=name))
    assert hydra_config(tmp_path, name)["data"]["module"]["name"] == name


def test_several_labels_make_one_output_for_each_of_their_classes(tmp_path):
    write(tmp_path, classification(multilabel=True))
    config = hydra_config(tmp_path)
    assert config["model"]["subtask"] == "multilabel"
    assert config["data"]["num_classes"] == 5
    assert config["data"]["module"]["label_sizes"] == [2, 1, 2]


def doubled(*, image):
    return {"image": 2 * image}


def test_the_data_module_loads_every_case_as_it_was_made(tmp_path, monkeypatch):
    made = classification()
    write(tmp_path, made)
    module = ssl3d_stand_ins.load(monkeypatch, tmp_path)
    data = module.SDFClassificationDataModule(
        data_root_dir=str(tmp_path), name="n", batch_size=2, train_transforms=doubled, fold=2
    )
    data.setup("fit")
    for split, side, factor in (
        ("training", data.train_dataset, 2),
        ("validation", data.val_dataset, 1),
    ):
        assert len(side) == made.counts[split]
        for index in range(len(side)):
            image, label = side[index]
            expected = producer(made)(split, index).image
            np.testing.assert_array_equal(image, factor * expected[None])
            assert (image.shape, image.dtype) == ((1, 8, 9, 10), np.float32)
            assert label == made.config.class_of(split, index)
            assert type(label) is int


def test_the_module_section_of_the_configuration_makes_the_data_module(tmp_path, monkeypatch):
    """As Hydra does: every key but the target is a keyword."""
    write(tmp_path, classification(multilabel=True))
    module = ssl3d_stand_ins.load(monkeypatch, tmp_path)
    section = hydra_config(tmp_path)["data"]["module"]
    package, _, name = section.pop("_target_").rpartition(".")
    assert package == module.__name__
    section |= {"data_root_dir": str(tmp_path), "train_transforms": None, "fold": 0}
    data = getattr(module, name)(**section)
    data.setup("fit")
    _, label = data.train_dataset[2]
    np.testing.assert_array_equal(label, [0, 1, 1, 0, 1])
    assert label.dtype == np.float64  # a float tensor, in PyTorch's own default precision


@pytest.mark.parametrize(
    ("options", "label"), [({"labels_style": "pair"}, 1), ({"multilabel": True}, [1, 0, 1])]
)
def test_labels_of_other_forms_are_read_as_a_loss_or_a_person_wants_them(
    tmp_path, monkeypatch, options, label
):
    write(tmp_path, classification(**options))
    module = ssl3d_stand_ins.load(monkeypatch, tmp_path)
    found = module.SDFClassificationDataset(tmp_path, "train", 0)[2][1]
    assert (found, type(found)) == (label, type(label))


def test_the_data_module_keeps_the_house_style(tmp_path):
    write(tmp_path, classification())
    check = [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length=100"]
    done = subprocess.run(
        [*check, "--select=E,F,I,UP,W", str(tmp_path / "sdf_classification.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_shards_in_any_order_give_the_same_set(tmp_path, whole, order):
    for place, index in enumerate(order):
        assert not any((tmp_path / "d" / name).exists() for name in METADATA)
        write(tmp_path / "d", classification(), shard=writer.Shard(index, 3), workers=place + 1)
    assert files(tmp_path / "d") == whole


def test_a_flawed_volume_is_named_and_made_again(tmp_path, whole):
    path = tmp_path / "whole" / VOLUMES / "case_00004.b2nd"
    path.write_bytes(whole[f"{VOLUMES}/case_00005.b2nd"])
    notices, calls = [], []
    write(tmp_path / "whole", classification(), notice=notices.append, calls=calls)
    assert len(notices) == 1
    assert "case_00004.b2nd holds another sample" in notices[0]
    assert calls == [("training", 4)]
    assert files(tmp_path / "whole") == whole


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (classification(samples_per_class=3), "samples_per_class: 2 there, 3 asked for"),
        (classification(n_splits=2), "n_splits: 3 there, 2 asked for"),
        (classification(compression_level=8), "compression_level: 1 there, 8 asked for"),
        (classification(labels_style="pair"), "labels_style: plain there, pair asked for"),
        (classification(seed=2), "seed: 1 there, 2 asked for"),
        (generation(), "layout: ssl3d there, monai asked for"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_another_configuration_is_refused_and_touches_nothing(tmp_path, whole, other, message):
    with pytest.raises(InputError, match=message):
        write(tmp_path / "whole", other)
    assert files(tmp_path / "whole") == whole


def test_remove_deletes_what_fdif_wrote_and_nothing_else(tmp_path, whole):
    (tmp_path / "whole" / VOLUMES / "mine.b2nd").write_text("mine")
    folder.remove(tmp_path / "whole", layout_for(classification()))
    assert list(files(tmp_path / "whole").values()) == [b"mine"]


def test_an_unfinished_set_names_the_command_that_goes_on(tmp_path, whole):
    (tmp_path / "whole" / VOLUMES / "case_00004.b2nd").unlink()
    (tmp_path / "whole/labelsTr.json").unlink()
    with pytest.raises(InputError, match=r"1 of 9 samples are missing.*generate-classification"):
        refuse_unfinished(tmp_path / "whole")
    assert generate_command(classification(), tmp_path).endswith(
        "--seed 1 --D 8 --H 9 --W 10 --samples_per_class 2 --n_splits 3"
    )


def test_the_hash_ignores_what_does_not_change_a_volume():
    base = classification()
    same = classification(labels_style="pair", dataset_name="other", compression_level=8)
    assert base.config_hash == same.config_hash
    for other in ({"samples_per_class": 3}, {"n_splits": 4}, {"grid_scale": 0.5}):
        assert base.config_hash != classification(**other).config_hash


def test_pictures_show_the_volume_and_name_its_class(tmp_path, whole):
    layout = layout_for(classification())
    refs = list(samples(layout.generation))
    view = layout.view(refs[3], [whole[layout.files(refs[3])[0]]])
    assert view.title == "case_00003: Sphere + modular_5"
    assert (view.image.shape, view.label) == ((8, 9, 10), None)
    assert (view.image.min(), view.image.max()) == (0, 128)
    assert layout.picture_file(SampleRef("validation", 1)) == "visualizations/case_00007.png"
