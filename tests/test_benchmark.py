import dataclasses
import json
import shutil

import pytest
from click.testing import CliRunner
from fdif_jax.models import create_model
from flax import nnx

from fdif_jax.benchmark import generating, predicting, process
from fdif_jax.cli import cli
from fdif_jax.config import PAPER
from fdif_jax.errors import EnvironmentFault
from fdif_jax.model_io import ModelInfo, save_model

TINY = dataclasses.replace(PAPER, grid=(16, 16, 16), num_samples=3, min_objects=1, max_objects=3)
SAMPLE = generating.GenerateReport(
    volumes=60,
    workers=2,
    milliseconds_per_volume=20.0,
    volumes_per_second=50.0,
    stages_ms={"render": 30.0, "compress": 5.0, "write": 1.0},
    cold_start=12.0,
    cold_compile=11.0,
    warm_start=3.0,
    warm_compile=2.0,
    peak_memory_mib=480.0,
    rendering_ms_per_volume=16.0,
    original_ms_per_volume=5000.0,
    times_faster=250.0,
    rendering_times_faster=312.5,
)


@pytest.fixture(scope="module")
def report():
    return generating.generate(TINY, seed=0, workers=2)


@pytest.mark.slow
def test_rates_stages_and_ratio_belong_together(report):
    assert report.volumes_per_second * report.milliseconds_per_volume == pytest.approx(1000.0)
    ratio = report.original_ms_per_volume / report.milliseconds_per_volume
    assert report.times_faster == pytest.approx(ratio)
    ratio = report.original_ms_per_volume / report.rendering_ms_per_volume
    assert report.rendering_times_faster == pytest.approx(ratio)
    assert set(report.stages_ms) == {"render", "compress", "write"}
    assert sum(report.stages_ms.values()) <= 1.05 * report.workers * report.milliseconds_per_volume


@pytest.mark.slow
def test_a_second_start_finds_the_programs(report):
    assert report.warm_compile < report.cold_compile < report.cold_start


@pytest.mark.slow
def test_memory_is_that_of_the_generator(report):
    assert 100.0 < report.peak_memory_mib < 1536.0


def test_the_original_is_scaled_by_voxels_and_objects(monkeypatch):
    monkeypatch.setattr(generating.calibrate, "original_seconds_per_volume", lambda: 7.35)
    fake = {"start": 1.0, "compile": 0.5, "elapsed": 3.0, "stages": {}, "peak_memory_mib": 1.0}
    fake |= {"written": 3, "rendering": 0.5}
    monkeypatch.setattr(generating, "_measure", lambda task: fake)
    full = generating.generate(dataclasses.replace(PAPER, num_samples=3), seed=0, workers=2)
    assert full.original_ms_per_volume == pytest.approx(7350.0)
    half = generating.generate(
        dataclasses.replace(PAPER, num_samples=3, min_objects=10, max_objects=10),
        seed=0,
        workers=2,
    )
    assert half.original_ms_per_volume == pytest.approx(3675.0)


def test_figures_are_printed_for_people_and_programs(monkeypatch):
    monkeypatch.setattr(generating, "generate", lambda config, *, seed, workers: SAMPLE)
    words = ["benchmark", "generate", "--D", "16", "--H", "16", "--W", "16"]
    text = CliRunner().invoke(cli, words).output
    for part in (
        "50.0 volumes/s",
        "render 30.0",
        "cold",
        "warm",
        "480 MiB",
        "250 times",
        "312 times",
    ):
        assert part in text
    figures = json.loads(CliRunner().invoke(cli, [*words, "--json"]).output)
    assert figures == dataclasses.asdict(SAMPLE)


@pytest.fixture(scope="module")
def prediction(tmp_path_factory):
    """What is measured with a tiny network, as JSON and as lines."""
    folder = tmp_path_factory.mktemp("benchmark") / "model"
    network = create_model("vnet", rngs=nnx.Rngs(0), width=1, out_channels=2)
    save_model(folder, network, ModelInfo(network.config, (16, 16, 16)))
    words = ["benchmark", "predict", "--model", str(folder), "--input_size", "20", "16", "33"]
    result = CliRunner().invoke(cli, [*words, "--batch", "2", "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.mark.slow
def test_figures_of_prediction_belong_together(prediction):
    assert (prediction["windows"], prediction["batch"]) == (6, 2)
    rate = prediction["windows_per_second"] * prediction["seconds_per_volume"]
    assert rate == pytest.approx(prediction["windows"])
    assert prediction["compile_seconds"] > 0
    assert 100.0 < prediction["peak_memory_mib"] < 2048.0
    lines = predicting.lines(predicting.PredictReport(**prediction))
    assert "patch 16x16x16, volume 20x16x33" in lines[0]
    assert "6 windows in batches of 2" in lines[1]


@pytest.mark.parametrize(
    ("args", "part"),
    [
        ("", "give either --model or --model_name"),
        ("--model a --model_name vnet", "give either --model or --model_name"),
        ("--model nowhere", "not a model folder"),
        ("--model nowhere --grid_size 16 16 16", "not a model folder"),
        ("--model_name wnet", "unknown network 'wnet'"),
        ("--model_name vnet --grid_size 20 20 20", "multiples of 16"),
        ("--model_name vnet --out_channel 0", "out_channels must be at least 1"),
        ("--model_name vnet --input_size 0 1 1", "input_size is 0 1 1"),
        ("--model_name vnet --overlap 1", "overlap is 1.0"),
        ("--model_name vnet --batch 0", "batch is 0"),
        ("--model_name vnet --devices 99", "devices is 99; allowed: 1 to"),
    ],
)
def test_what_cannot_predict_is_refused_before_it_is_measured(args, part):
    result = CliRunner().invoke(cli, ["benchmark", "predict", *args.split()])
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert part in result.output
    assert "measuring process" not in result.output


def test_a_process_that_fails_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(process.sys, "executable", shutil.which("false"))
    with pytest.raises(EnvironmentFault, match="a measuring process failed: no message"):
        generating.generate(TINY, seed=0, workers=1)


@pytest.mark.slow
def test_classification_is_measured_with_one_object_a_volume():
    words = ["benchmark", "generate-classification", "--D", "16", "--H", "18", "--W", "20"]
    words += ["--samples_per_class", "2", "--compression_level", "1", "--workers", "2", "--json"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.output)
    assert figures["volumes"] == 4 * (2 + 1)
    assert figures["rendering_ms_per_volume"] > 0
    work = 16 * 18 * 20 / 96**3 / 20
    assert 0.02 < figures["original_ms_per_volume"] / (7350 * work) < 50
    assert set(figures["stages_ms"]) == {"render", "compress", "write"}
