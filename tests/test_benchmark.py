import dataclasses
import json
import shutil

import pytest
from click.testing import CliRunner

from fdif_jax import benchmark
from fdif_jax.cli import cli
from fdif_jax.config import PAPER
from fdif_jax.errors import EnvironmentFault

TINY = dataclasses.replace(PAPER, grid=(16, 16, 16), num_samples=3, min_objects=1, max_objects=3)
SAMPLE = benchmark.GenerateReport(
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
    original_ms_per_volume=5000.0,
    times_faster=250.0,
)


@pytest.fixture(scope="module")
def report():
    return benchmark.generate(TINY, seed=0, workers=2)


def test_rates_stages_and_ratio_belong_together(report):
    assert report.volumes_per_second * report.milliseconds_per_volume == pytest.approx(1000.0)
    ratio = report.original_ms_per_volume / report.milliseconds_per_volume
    assert report.times_faster == pytest.approx(ratio)
    assert set(report.stages_ms) == {"render", "compress", "write"}
    assert sum(report.stages_ms.values()) <= 1.05 * report.workers * report.milliseconds_per_volume


def test_a_second_start_finds_the_programs(report):
    assert report.warm_compile < report.cold_compile < report.cold_start


def test_memory_is_that_of_the_generator(report):
    assert 100.0 < report.peak_memory_mib < 1536.0


def test_the_original_is_scaled_by_voxels_and_objects(report, monkeypatch):
    monkeypatch.setattr(benchmark.calibrate, "original_seconds_per_volume", lambda: 7.35)
    fake = {"start": 1.0, "compile": 0.5, "elapsed": 3.0, "stages": {}, "peak_memory_mib": 1.0}
    monkeypatch.setattr(benchmark, "_measure", lambda task: fake)
    full = benchmark.generate(dataclasses.replace(PAPER, num_samples=3), seed=0, workers=2)
    assert full.original_ms_per_volume == pytest.approx(7350.0)
    half = benchmark.generate(
        dataclasses.replace(PAPER, num_samples=3, min_objects=10, max_objects=10),
        seed=0,
        workers=2,
    )
    assert half.original_ms_per_volume == pytest.approx(3675.0)


def test_figures_are_printed_for_people_and_programs(monkeypatch):
    monkeypatch.setattr(benchmark, "generate", lambda config, *, seed, workers: SAMPLE)
    words = ["benchmark", "generate", "--D", "16", "--H", "16", "--W", "16"]
    text = CliRunner().invoke(cli, words).output
    for part in ("50.0 volumes/s", "render 30.0", "cold", "warm", "480 MiB", "250 times"):
        assert part in text
    figures = json.loads(CliRunner().invoke(cli, [*words, "--json"]).output)
    assert figures == dataclasses.asdict(SAMPLE)


def test_a_process_that_fails_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark.sys, "executable", shutil.which("false"))
    with pytest.raises(EnvironmentFault, match="a measuring process failed: no message"):
        benchmark.generate(TINY, seed=0, workers=1)
