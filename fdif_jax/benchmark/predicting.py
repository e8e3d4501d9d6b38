"""How fast this machine predicts: one volume of a given size, windows and stitching included.

The measuring process compiles the network for its patch, computes one batch to warm up, and then
labels a volume of noise on its own grid; reading and writing files is not part of it.
"""

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from fdif_jax.benchmark import process

Shape3 = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class PredictTask:
    """What to measure.

    Attributes:
      network: path of a model folder, or a name of ``fdif list models``.
      is_folder: which of the two.
      patch: voxels per axis of a window.
      input_size: voxels per axis of the volume.
      out_channels: of a network by name.
      overlap: of neighbouring windows.
      batch: windows at once; None is 1 on a CPU, else 4.
      devices: that a batch is spread over.
    """

    network: str
    is_folder: bool
    patch: Shape3
    input_size: Shape3
    out_channels: int = 14
    overlap: float = 0.25
    batch: int | None = None
    devices: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class PredictReport:
    """What ``predict`` measured."""

    network: str
    patch: Shape3
    input_size: Shape3
    windows: int
    batch: int
    seconds_per_volume: float
    windows_per_second: float
    compile_seconds: float
    compile_memory_mib: float
    """The peak until the first result."""
    peak_memory_mib: float
    """The peak after that."""
    device: str


def predict(task: PredictTask) -> PredictReport:
    """Measures one volume.

    Raises:
      EnvironmentFault: the measuring process failed.
    """
    with tempfile.TemporaryDirectory(prefix="fdif-benchmark-") as folder:
        found = process.measure(__name__, dataclasses.asdict(task), Path(folder))
    return PredictReport(
        task.network,
        task.patch,
        task.input_size,
        windows_per_second=found["windows"] / found["seconds_per_volume"],
        **found,
    )


def lines(report: PredictReport) -> list[str]:
    """The report as a person reads it."""
    patch, size = ("x".join(map(str, n)) for n in (report.patch, report.input_size))
    return [
        f"{report.network}, patch {patch}, volume {size}, on {report.device}: "
        f"{report.seconds_per_volume:.2f} s a volume",
        f"{report.windows} windows in batches of {report.batch}: "
        f"{report.windows_per_second:.2f} windows/s, stitching included",
        f"peak memory {report.peak_memory_mib:.0f} MiB; compiling took "
        f"{report.compile_seconds:.1f} s and {report.compile_memory_mib:.0f} MiB",
    ]


def _in_process(task: dict[str, Any]) -> dict[str, Any]:
    """What the measuring process does."""
    import jax
    from flax import nnx

    from fdif_jax.data.images import Image
    from fdif_jax.data.intensities import Intensity
    from fdif_jax.data.preprocess import Preprocessing
    from fdif_jax.infer.predictor import default_batch, make_predictor
    from fdif_jax.infer.sliding_window import Windows, window_count
    from fdif_jax.model_io import load_model
    from fdif_jax.models.registry import create_model

    patch, size = tuple(task["patch"]), tuple(task["input_size"])
    if task["is_folder"]:
        model = load_model(task["network"], image_size=patch)
    else:
        model = create_model(
            task["network"],
            image_size=patch,
            out_channels=task["out_channels"],
            rngs=nnx.Rngs(0),
        )
    batch = default_batch() if task["batch"] is None else task["batch"]
    windows = Windows(patch, task["overlap"], batch=batch)
    plan = Preprocessing(Intensity("none"), orient=False, crop=False)
    predictor = make_predictor(model, plan, windows, task["devices"])
    channels = model.config.in_channels
    noise = np.random.default_rng(0).standard_normal((*size, channels), np.float32)
    prepared = predictor.prepare(Image(noise, np.eye(4)))
    some = np.zeros((predictor.windows.batch, *patch, channels), np.float32)
    times = []
    for _ in range(2):
        began = time.perf_counter()
        np.asarray(predictor.apply(some))
        times.append(time.perf_counter() - began)
    compile_memory = process.peak_memory_mib()
    process.forget_peak()
    began = time.perf_counter()
    predictor.labels(prepared)
    return {
        "windows": window_count(size, windows),
        "batch": predictor.windows.batch,
        "seconds_per_volume": time.perf_counter() - began,
        "compile_seconds": max(times[0] - times[1], 0.0),
        "compile_memory_mib": compile_memory,
        "device": jax.devices()[0].device_kind,
    }


if __name__ == "__main__":
    process.serve(_in_process)
