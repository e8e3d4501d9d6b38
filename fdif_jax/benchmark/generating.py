"""How fast this machine generates, files included, and how that compares with the original.

Everything is measured in fresh processes, so that compile times are those a person waits for and
the peak of memory is the generator's alone: one with an empty compilation cache (cold), one that
finds the programs there (warm) and then writes the volumes with the driver of ``fdif generate``.
The yardstick is taken before and after, since the machine may be shared.
"""

import dataclasses
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fdif_jax import calibrate
from fdif_jax.benchmark import process
from fdif_jax.classification import ClassificationConfig, DataSetConfig
from fdif_jax.io import writer
from fdif_jax.io.layout import SampleRef, samples
from fdif_jax.io.layouts import layout_for
from fdif_jax.io.manifest import Classes, Generation, config_from_json

if TYPE_CHECKING:
    from fdif_jax.synth.recipe import Recipe

PAPER_WORK = 96**3 * 20
"""Voxels times objects of a volume at the paper's setting, for which the yardstick stands."""


@dataclasses.dataclass(frozen=True, slots=True)
class GenerateReport:
    """What ``generate`` measured; seconds unless said otherwise."""

    volumes: int
    workers: int
    milliseconds_per_volume: float
    volumes_per_second: float
    stages_ms: dict[str, float]
    """Mean time of each stage of a volume, in its own thread."""
    cold_start: float
    """From the start of the process to the first volume, nothing compiled before."""
    cold_compile: float
    """The part of it that the first volume waited for."""
    warm_start: float
    warm_compile: float
    peak_memory_mib: float
    rendering_ms_per_volume: float
    """The same volumes with as many workers, neither compressed nor written."""
    original_ms_per_volume: float
    """What the original needs for such a volume on this machine at this moment, estimated."""
    times_faster: float
    """Files included."""
    rendering_times_faster: float


def generate(config: DataSetConfig, *, seed: int, workers: int) -> GenerateReport:
    """Measures the generation of a whole data set, training and validation.

    Args:
      config: what to generate, and how much of it to time.
      seed: of the volumes.
      workers: volumes in flight.

    Raises:
      EnvironmentFault: a measuring process failed.
    """
    with tempfile.TemporaryDirectory(prefix="fdif-benchmark-") as folder:
        task = {"config": config.to_json(), "seed": seed, "workers": workers, "folder": folder}
        cold = _measure({**task, "write": False})
        before = calibrate.original_seconds_per_volume()
        warm = _measure({**task, "write": True})
        after = calibrate.original_seconds_per_volume()
    work = float(np.prod(config.grid)) * _objects(config)
    original = 0.5 * (before + after) * work / PAPER_WORK
    per_volume = warm["elapsed"] / warm["written"]
    return GenerateReport(
        volumes=warm["written"],
        workers=workers,
        milliseconds_per_volume=1e3 * per_volume,
        volumes_per_second=1.0 / per_volume,
        stages_ms={k: 1e3 * v / warm["written"] for k, v in warm["stages"].items()},
        cold_start=cold["start"],
        cold_compile=cold["compile"],
        warm_start=warm["start"],
        warm_compile=warm["compile"],
        peak_memory_mib=warm["peak_memory_mib"],
        rendering_ms_per_volume=1e3 * warm["rendering"],
        original_ms_per_volume=1e3 * original,
        times_faster=original / per_volume,
        rendering_times_faster=original / warm["rendering"],
    )


def lines(report: GenerateReport) -> list[str]:
    """The report as a person reads it."""
    stages = ", ".join(f"{name} {value:.1f}" for name, value in report.stages_ms.items())
    return [
        f"{report.volumes} volumes with {report.workers} workers, files included: "
        f"{report.volumes_per_second:.1f} volumes/s, {report.milliseconds_per_volume:.1f} ms each",
        f"stages of a volume in its thread, ms: {stages}",
        f"neither compressed nor written: {report.rendering_ms_per_volume:.1f} ms each",
        f"cold: first volume after {report.cold_start:.1f} s, "
        f"of which compiling {report.cold_compile:.1f} s",
        f"warm: first volume after {report.warm_start:.1f} s, "
        f"of which loading programs {report.warm_compile:.1f} s",
        f"peak memory {report.peak_memory_mib:.0f} MiB",
        f"the original needs about {report.original_ms_per_volume:.0f} ms a volume on this "
        f"machine now: {report.times_faster:.0f} times as long; "
        f"{report.rendering_times_faster:.0f} times as long as rendering alone",
    ]


def _objects(config: DataSetConfig) -> float:
    """In a volume, on average."""
    if isinstance(config, ClassificationConfig):
        return 1.0
    return 0.5 * (config.min_objects + config.max_objects)


def _measure(task: dict[str, Any]) -> dict[str, Any]:
    """This module as a process of its own."""
    began = {"began": time.time()}
    return process.measure(__name__, task | began, Path(task["folder"]) / "programs")


def _in_process(task: dict[str, Any]) -> dict[str, Any]:
    """What the measuring process does."""
    from fdif_jax.synth.plugins import load_catalog
    from fdif_jax.synth.recipes import make_recipe

    config, seed = config_from_json(task["config"]), task["seed"]
    catalog, plugin_hash = load_catalog(config.plugin)
    recipe = make_recipe(config, seed, catalog)
    entered = time.perf_counter()
    recipe.produce("training", 0)
    first = time.perf_counter() - entered
    start = time.time() - task["began"]
    entered = time.perf_counter()
    recipe.produce("training", 0)
    result = {"start": start, "compile": first - (time.perf_counter() - entered)}
    if task["write"]:
        generation = Generation(config, seed, Classes.of(recipe.classes), plugin_hash)
        job = writer.Job(
            Path(task["folder"]) / "data", layout_for(generation), workers=task["workers"]
        )
        report = writer.write_dataset(job, recipe.produce)
        result |= {
            "elapsed": report.elapsed,
            "stages": report.seconds,
            "written": report.written,
            "rendering": _seconds_rendering(job, recipe),
        }
    return result


def _seconds_rendering(job: writer.Job, recipe: "Recipe") -> float:
    """Seconds per volume to make the job's samples in as many threads, and to keep none."""
    refs = tuple(samples(job.layout.generation))

    def make(ref: SampleRef) -> None:
        recipe.produce(ref.split, ref.index)

    began = time.perf_counter()
    with ThreadPoolExecutor(job.workers) as pool:
        for _ in pool.map(make, refs):
            pass
    return (time.perf_counter() - began) / len(refs)


if __name__ == "__main__":
    process.serve(_in_process)
