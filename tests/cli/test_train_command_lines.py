"""The training command lines of the original's README, with the script path replaced; small."""

import json
import os
from pathlib import Path

import jax
import nibabel
import numpy as np
import pytest
from tiny_runs import save, volume

from fdif_jax.model_io import load_info

pytestmark = pytest.mark.slow

DATA = Path(os.environ.get("FDIF_DATA_DIR", Path(__file__).parents[3] / "shared/data"))
SMALL = "--grid_size 32 32 64 --feature_size 12 --model_option depths=[1,1,1,1] --num_crops 1"
FEW = "--max_iterations 2 --eval_every 2 --eval_max_cases 1"


@pytest.fixture(autouse=True)
def _bounded_memory():
    yield
    jax.clear_caches()


@pytest.fixture
def done(fdif):
    """Runs a command that must succeed; its output."""

    def run(args, *more):
        result = fdif(args, *more)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def write_ct(folder, cases=3, classes=14):
    """A list in BTCV's form: Hounsfield units, oblique spacing, 13 organs."""
    record = {
        "modality": {"0": "CT"},
        "labels": {str(i): "background" if i == 0 else f"organ {i}" for i in range(classes)},
        "training": [],
        "validation": [],
    }
    affine = np.diag([-0.8, -0.8, 3.0, 1.0])
    for i in range(cases):
        image, label = volume(np.random.default_rng(i), (60, 56, 40), classes)
        names = {k: f"{k}/case{i}.nii.gz" for k in ("image", "label")}
        save(folder / names["image"], image * 2 - 300, affine)
        save(folder / names["label"], label, affine)
        record["training" if i else "validation"].append(names)
    path = folder / "dataset.json"
    path.write_text(json.dumps(record))
    return path


def test_pre_training_with_110_outputs_then_fine_tuning_to_14(
    done, tmp_path, fake_recipe, monkeypatch
):
    """Lines 1 to 4; the second takes its start from where the first leaves it."""
    done(
        "generate --out_dir ./pretraining_data --D 32 --H 32 --W 64 --num_samples 2 "
        "--num_val_samples 1 --num_classes 109 --preset paper --seed 0 --quiet"
    )
    said = done(
        "train --data_json_path ./pretraining_data/data/data.json --model_name swin_unetr "
        f"--out_channel 110 {SMALL} {FEW} --quiet"
    )
    best = Path("training_output/swin_unetr/model_best")
    assert best.is_symlink()
    assert load_info(best).config.out_channels == 110
    write_ct(tmp_path / "BTCV")
    drawn = []
    monkeypatch.setattr(
        "fdif_jax.viz.training.write_predictions", lambda folder, cases: drawn.extend(cases)
    )
    said = done(
        "train --data_json_path ./BTCV/dataset.json --model_name swin_unetr --is_real_data "
        "--pretrained_model ./training_output/swin_unetr/model_best.pth "
        f"--pretraining_out_channel 110 --out_channel 14 {SMALL} {FEW} --cache_dir cache"
    )
    assert "fine tuning: swin_unetr, 14 outputs" in said
    assert "head: 110 to 14 outputs, starts afresh" in said
    assert load_info(best).config.out_channels == 110  # the same line can be given again
    (tuned,) = Path("training_output/swin_unetr/fine_tuning").iterdir()
    info = load_info(tuned / "model_best")
    assert info.config.out_channels == 14
    assert info.intensities["spacing"] == [1.5, 1.5, 2.0]
    assert [case.spacing for case in drawn] == [(1.5, 1.5, 2.0)]


def test_multi_task(done, fake_recipe):
    """Line 5: output channels from the data."""
    done(
        "generate --out_dir ./multi_task_dataset --primitives sphere cylinder torus "
        "--sdf_mappers inverse_cube linear_slope_10.0 --displacement_functions perlin_fine "
        "turbulence --multi_task --D 32 --H 32 --W 64 --num_samples 2 --num_val_samples 1 "
        "--seed 0 --quiet"
    )
    said = done(
        "train --data_json_path ./multi_task_dataset/data/data.json --model_name swin_unetr "
        f"--multi_task {SMALL} {FEW} --out_dir run"
    )
    assert "shape 4, displacement 4, mapper 3 outputs" in said
    outputs = dict(load_info("run/model_best").config.out_channels)
    assert outputs == {"shape": 4, "displacement": 4, "mapper": 3}


def test_the_other_options(done, tmp_path):
    """Line 6: accumulation, checkpointing, cross-entropy, channels, resume from a checkpoint."""
    data = write_ct(tmp_path / "BTCV", classes=3)
    common = f"train --data_json_path {data} --model_name swin_unetr --seed 3 {SMALL} {FEW}"
    common += " --batch_size 2 --learning_rate 1e-3 --quiet"
    done(f"{common} --gradient_accumulation_steps 2 --use_checkpoint --use_ce_loss --out_dir a")
    done(f"{common} --resume_from_checkpoint a/checkpoints --out_dir b --max_iterations 3")
    record = json.loads(data.read_text())
    for split in ("training", "validation"):
        for case in record[split]:
            case["image"] = [case["image"]] * 2
    record["modality"] = {"0": "CT", "1": "CT"}
    two = data.with_name("two.json")
    two.write_text(json.dumps(record))
    done(
        f"train --data_json_path {two} --model_name swin_unetr {SMALL} {FEW} --out_dir c "
        "--pretrained_model a/model_best --in_channels 2 --pretraining_in_channels 1 --quiet"
    )
    assert load_info("c/model_best").config.in_channels == 2


def test_a_ct_from_training_to_a_prediction_on_its_own_grid(done, tmp_path):
    """Spacing of 3 mm, organ ids remapped; the second image is in LPS and oblique."""
    if not (DATA / "ct").is_dir():
        pytest.skip(f"no {DATA / 'ct'}; set FDIF_DATA_DIR")
    for name in ("ct", "mr_lps"):
        image = nibabel.load(DATA / f"ct/{name}.nii.gz")
        organs = nibabel.load(DATA / f"ct/{name}_organs.nii.gz")
        ids = np.unique(organs.dataobj)
        label = np.searchsorted(ids, np.asarray(organs.dataobj)).astype(np.uint8)
        save(tmp_path / f"{name}/image.nii.gz", np.asarray(image.dataobj), image.affine)
        save(tmp_path / f"{name}/label.nii.gz", label, image.affine)
        entry = {"image": "image.nii.gz", "label": "label.nii.gz"}
        record = {
            "modality": {"0": "CT" if name == "ct" else "MR"},
            "labels": {str(i): f"organ {i}" for i in range(len(ids))},
            "training": [entry],
            "validation": [],
        }
        (tmp_path / name / "list.json").write_text(json.dumps(record))
        done(
            f"train --data_json_path {name}/list.json --model_name primus_s --is_real_data "
            "--model_option hidden_size=36 depth=1 heads=2 --grid_size 32 32 32 --num_crops 2 "
            "--spacing 4 4 6 --max_iterations 3 --learning_rate 1e-3 --cache_dir cache "
            f"--out_dir {name}/run --quiet"
        )
        log = (tmp_path / name / "run/training_log.txt").read_text()
        assert "3 updates of 2 crops of 32x32x32, seed 0" in log
        assert "spacing: 4 x 4 x 6 mm" in log
        done(
            f"predict --model {name}/run/model_best --input {name}/image.nii.gz "
            f"--out_dir {name}/predicted"
        )
        (file,) = (tmp_path / name / "predicted").glob("*.nii.gz")
        found = nibabel.load(file)
        assert found.shape == image.shape[:3]
        np.testing.assert_allclose(found.affine, image.affine, atol=1e-4)
        assert np.asarray(found.dataobj).max() < len(ids)
