"""The original's command lines, on small grids: they run and end with the stated classes."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner

from fdif_jax.cli import cli
from fdif_jax.config import PAPER
from fdif_jax.io.validate import validate

TINY = ["--D", "16", "--H", "16", "--W", "16", "--num_samples", "2", "--seed", "7", "--quiet"]
PAPER_LINE = (
    "--min_objects 20 --max_objects 20 --num_classes 109 "
    f"--sdf_mappers {' '.join(PAPER.sdf_mappers)} "
    f"--displacement_functions {' '.join(PAPER.displacement_functions)} "
    "--mapper_as_augmentation --displacement_as_augmentation"
)
HYBRID = (
    "--primitives sphere cylinder torus --sdf_mappers inverse_cube linear_slope_10.0 "
    "--displacement_functions perlin_fine turbulence"
)


def generate(out_dir: Path, args: str) -> Path:
    words = ["generate", *TINY, "--out_dir", str(out_dir), *args.split()]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert (result.exit_code, result.output) == (0, "")
    return out_dir


def labels(out_dir: Path) -> list[str]:
    record = json.loads((out_dir / "data/data.json").read_text())
    assert record["out_channel"] == len(record["labels"])
    return list(record["labels"].values())


@pytest.mark.parametrize(
    ("args", "classes"),
    [
        pytest.param(PAPER_LINE, 109, id="paper"),
        pytest.param("--preset paper", 109, id="preset-paper"),
        pytest.param("", 4, id="none"),
        pytest.param("--num_classes 10", 10, id="ten-of-all"),
        pytest.param("--primitives sphere cylinder torus cone", 4, id="named"),
        pytest.param("--categories basic revolution", 11, id="categories"),
        pytest.param(HYBRID, 18, id="hybrid"),
    ],
)
@pytest.mark.usefixtures("voxels")
def test_monai_command_lines(tmp_path, args, classes):
    out_dir = generate(tmp_path / "d", args)
    names = labels(out_dir)
    assert names[0] == "background"
    assert len(set(names)) == classes + 1
    assert validate(out_dir).errors == ()


@pytest.mark.usefixtures("voxels")
def test_the_paper_line_and_the_preset_give_the_same_files(tmp_path):
    trees = []
    for i, args in enumerate((PAPER_LINE, "--preset paper")):
        out_dir = generate(tmp_path / str(i), args)
        trees.append({p.name: p.read_bytes() for p in out_dir.rglob("*.nii.gz")})
    assert trees[0] == trees[1]
    assert len(trees[0]) == 4


@pytest.mark.usefixtures("fake_recipe")
def test_ten_classes_are_drawn_from_all(tmp_path):
    names = labels(generate(tmp_path / "d", "--num_classes 10"))[1:]
    assert len(names) == 10
    assert set(names) - {f"{n} + inverse_cube" for n in ("Sphere", "Cylinder", "Torus", "Cone")}


@pytest.mark.usefixtures("fake_recipe")
def test_hybrid_classes_are_in_the_stated_order(tmp_path):
    names = labels(generate(tmp_path / "d", HYBRID))[1:]
    assert names[:3] == [
        "Sphere + inverse_cube",
        "Sphere + linear_slope_10.0",
        "Cylinder + inverse_cube",
    ]
    assert names[6] == "Sphere + displacement(perlin_amp_0.01_scale_30.0) + inverse_cube"


@pytest.mark.usefixtures("voxels")
def test_multi_task(tmp_path):
    out_dir = generate(tmp_path / "d", f"{HYBRID} --multi_task")
    record = json.loads((out_dir / "data/data.json").read_text())
    counts = {name: len(task["labels"]) - 1 for name, task in record["tasks"].items()}
    assert counts == {"shape": 3, "displacement": 3, "mapper": 2}
    label = nibabel.load(out_dir / "data" / record["training"][0]["label"])
    assert label.shape == (16, 16, 16, 3)
    array = np.asanyarray(label.dataobj)
    assert ((array > 0).all(-1) == (array > 0).any(-1)).all()
    assert validate(out_dir).errors == ()


@pytest.mark.usefixtures("voxels")
def test_nnunet_with_validation(tmp_path):
    args = "--nnunet_format --dataset_id 999 --dataset_name SDFSynthetic --num_val_samples 1"
    out_dir = generate(tmp_path / "outputs", args)
    names = sorted(path.name for path in out_dir.iterdir())
    assert names == ["Dataset1000_SDFSynthetic_Val", "Dataset999_SDFSynthetic"]
    for name, cases in zip(names, (1, 2), strict=True):
        record = json.loads((out_dir / name / "dataset.json").read_text())
        assert len(record["labels"]) == 5
        assert record["numTraining"] == cases
        assert validate(out_dir / name).errors == ()


@pytest.mark.usefixtures("voxels")
def test_nnunet_multi_task(tmp_path):
    out_dir = generate(tmp_path / "outputs", f"{HYBRID} --multi_task --nnunet_format")
    home = out_dir / "Dataset999_SDFSynthetic"
    assert sorted(p.name for p in home.glob("labelsTr*")) == [
        "labelsTr",
        "labelsTr_displacement",
        "labelsTr_mapper",
    ]
    assert validate(home).errors == ()


@pytest.mark.usefixtures("voxels")
def test_validation_samples(tmp_path):
    out_dir = generate(tmp_path / "d", "--num_val_samples 3")
    record = json.loads((out_dir / "data/data.json").read_text())
    assert [len(record[split]) for split in ("training", "validation")] == [2, 3]
    assert record["validation"][0]["id"] == "sample_00002"
    contents = {p.read_bytes()[100:] for p in out_dir.rglob("*_x.nii.gz")}
    assert len(contents) == 5


@pytest.mark.usefixtures("fake_recipe")
def test_pictures(tmp_path):
    out_dir = generate(tmp_path / "d", "--num_visualize 10")
    pictures = sorted((out_dir / "visualizations").iterdir())
    assert [p.name for p in pictures] == ["sample_00000.png", "sample_00001.png"]
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in pictures)


SCENES = {
    "three-objects": "--min_objects 3 --max_objects 3",  # one shape, so one program
    "default": "",
    "paper": "--preset paper",
    "multi-task": f"{HYBRID} --multi_task --num_val_samples 1",
    "unions": "--num_combined_unions 5 --min_objects 6 --max_objects 6",
    "many-classes": "--primitives all --sdf_mappers inverse_cube "
    "modular_5 modular_10 --no-transform",
}


@pytest.mark.parametrize(
    ("args", "layout"),
    [
        pytest.param(
            args,
            layout,
            marks=() if name + layout == "three-objects" else pytest.mark.slow,
            id=name + layout,
        )
        for name, args in SCENES.items()
        for layout in ("", "--nnunet_format")
    ],
)
def test_saved_scenes_render_to_the_same_bytes(tmp_path, args, layout):
    out_dir = generate(tmp_path / "d", f"--save_scenes {args} {layout}")
    rendered = tmp_path / "rendered"
    scenes = sorted(p for p in out_dir.rglob("*.json") if p.parent.name != "data")
    scenes = [p for p in scenes if p.stem.startswith(("sample_", "case_"))]
    assert scenes
    for scene in scenes:
        words = ["render", str(scene), "--grid", "16", "16", "16", "--out_dir", str(rendered)]
        assert CliRunner().invoke(cli, words, catch_exceptions=False).exit_code == 0
        found = {p.read_bytes() for p in rendered.glob(f"{scene.stem}_*.nii.gz")}
        expected = {p.read_bytes() for p in out_dir.rglob(f"{scene.stem}*.nii.gz")}
        assert found == expected


def test_distances_are_written_on_request(tmp_path):
    scene = [
        {
            "class_name": "Sphere",
            "params": {"radius": 5.0},
            "local_from_world": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]],
        }
    ]
    (tmp_path / "s.json").write_text(json.dumps(scene))
    words = ["render", str(tmp_path / "s.json"), "--grid", "16", "18", "20"]
    words += ["--out_dir", str(tmp_path), "--sdf_out", str(tmp_path / "deep/f.npz")]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "deep/f.npz") as fields:
        sdf = fields["sdf"]
    assert (sdf.shape, sdf.dtype) == ((1, 16, 18, 20), np.float32)
    assert sdf[0, 8, 9, 10] == pytest.approx(-5.0)
    assert sdf[0, 8, 9, 17] == pytest.approx(2.0)
    label = np.asanyarray(nibabel.load(tmp_path / "s_y.nii.gz").dataobj)
    assert label.shape == (16, 18, 20)
    assert (label == (sdf[0] <= 0)).all()
