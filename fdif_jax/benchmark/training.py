"""How fast this machine trains: the loop on volumes rendered on the fly, and its step alone.

The measuring process makes the updates of `fdif train --on_the_fly`, augmentation and batches
included, and the compiled update alone on one batch that is on the device, in turns: a machine
that is busy is so for both, and the fastest round of each counts. Validations and checkpoints are
no part of either.
"""

import dataclasses
import itertools
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdif_jax.benchmark import process
from fdif_jax.train.config import TrainConfig

if TYPE_CHECKING:
    from jax import Array

_ROUNDS = 3


@dataclasses.dataclass(frozen=True, slots=True)
class TrainReport:
    """What ``train`` measured."""

    network: str
    patch: tuple[int, int, int]
    crops: int
    updates: int
    """Of a round."""
    updates_per_second: float
    step_updates_per_second: float
    """Of the compiled update alone."""
    compile_seconds: float
    compile_memory_mib: float
    """The peak until the first result."""
    peak_memory_mib: float
    """The peak after that."""
    device: str


def train(config: TrainConfig) -> TrainReport:
    """Measures rounds of ``config.max_iterations`` updates.

    Raises:
      EnvironmentFault: the measuring process failed.
    """
    with tempfile.TemporaryDirectory(prefix="fdif-benchmark-") as folder:
        found = process.measure(__name__, config.to_json(), Path(folder))
    crops = config.crops * config.accumulation
    return TrainReport(config.model_name, config.patch, crops, config.max_iterations, **found)


def lines(report: TrainReport) -> list[str]:
    """The report as a person reads it."""
    share = report.updates_per_second / report.step_updates_per_second
    return [
        f"{report.network}, {report.crops} crops of {'x'.join(map(str, report.patch))} an update, "
        f"on {report.device}: {report.updates_per_second:.3f} updates/s",
        f"the compiled update alone: {report.step_updates_per_second:.3f} updates/s; the loop "
        f"makes {share:.0%} of that",
        f"peak memory {report.peak_memory_mib:.0f} MiB; compiling took "
        f"{report.compile_seconds:.1f} s and {report.compile_memory_mib:.0f} MiB",
    ]


def _in_process(task: dict[str, Any]) -> dict[str, Any]:
    """What the measuring process does."""
    import jax
    from flax import nnx

    from fdif_jax.models.registry import build
    from fdif_jax.train.config import RunOptions
    from fdif_jax.train.devices import make_mesh, own_slots
    from fdif_jax.train.plan import make_plan
    from fdif_jax.train.program import compile_update
    from fdif_jax.train.segmentation import segmentation_job
    from fdif_jax.train.sources import device_batches
    from fdif_jax.train.step import take_apart

    config = TrainConfig.from_json(task)
    job = segmentation_job(make_plan(config, RunOptions()))
    mesh = make_mesh()
    parts, state = take_apart(build(job.network, rngs=nnx.Rngs(0)), job.recipe, mesh)
    batches = device_batches(
        job.source,
        mesh,
        slots=own_slots(config.crops, mesh),
        accumulation=config.accumulation,
        updates=range(_ROUNDS * config.max_iterations + 1),
    )
    first = next(batches)
    began = time.perf_counter()
    step = compile_update(job, parts, mesh, state, *first)
    compiled = time.perf_counter() - began
    state, metrics = step(state, *first)
    jax.block_until_ready(metrics)
    compile_memory = process.peak_memory_mib()
    process.forget_peak()

    def seconds(round: "Iterable[tuple[Array, Array]]") -> float:
        nonlocal state
        began = time.perf_counter()
        for batch in round:
            state, metrics = step(state, *batch)
        jax.block_until_ready(metrics)
        return time.perf_counter() - began

    count = config.max_iterations
    loop, alone = zip(
        *(
            (seconds(itertools.islice(batches, count)), seconds([first] * count))
            for _ in range(_ROUNDS)
        ),
        strict=True,
    )
    return {
        "updates_per_second": count / min(loop),
        "step_updates_per_second": count / min(alone),
        "compile_seconds": compiled,
        "compile_memory_mib": compile_memory,
        "device": jax.devices()[0].device_kind,
    }


if __name__ == "__main__":
    process.serve(_in_process)
