"""A stand-in for the generator: cheap samples that are a function of (seed, split, index).

Imported by the tests of io; run as a program where a test needs a process to kill.
"""

import argparse
import time
import types
from pathlib import Path

import numpy as np

from fdif_jax.classification import ClassificationConfig
from fdif_jax.config import GenerateConfig
from fdif_jax.io import writer
from fdif_jax.io.layouts import layout_for
from fdif_jax.io.manifest import Classes, Generation

ONE_TASK = Classes({0: "background", 1: "Sphere", 2: "Cone"}, 3, {}, "uint8")
TASKS = Classes(
    {0: "background", 1: "Cone", 2: "Sphere"},
    5,
    {
        "shape": {"background": 0, "Cone": 1, "Sphere": 2},
        "mapper": {"background": 0, "inverse_cube": 1, "modular_5": 2},
    },
    "uint8",
)


def generation(seed=1, classes=None, **options) -> Generation:
    options = {"grid": (8, 9, 10), "num_samples": 5, **options}
    config = GenerateConfig(**options)
    return Generation(config, seed, classes or (TASKS if config.multi_task else ONE_TASK))


def classification(seed=1, **options) -> Generation:
    """Three classes of volumes; with multilabel two shapes, one displacement, two mappers."""
    config = ClassificationConfig(
        **{"grid": (8, 9, 10), "samples_per_class": 2, "n_splits": 3, **options}
    )
    labels = {0: "Sphere + inverse_cube", 1: "Sphere + modular_5", 2: "Cone + inverse_cube"}
    if not config.multilabel:
        return Generation(config, seed, Classes(labels, 3, {}, "uint8", ((0,), (1,), (2,))))
    tasks = {
        "shape": {"Cone": 0, "Sphere": 1},
        "displacement": {"none": 0},
        "mapper": {"inverse_cube": 0, "modular_5": 1},
    }
    ids = ((1, 0, 0), (1, 0, 1), (0, 0, 0))
    return Generation(config, seed, Classes(labels, 5, tasks, "uint8", ids))


def producer(which: Generation, seconds: float = 0.0, calls: list | None = None):
    def produce(split, index):
        time.sleep(seconds)
        if calls is not None:
            calls.append((split, index))
        rng = np.random.default_rng([which.seed, int(split == "validation"), index])
        if which.config.layout == "ssl3d":
            image = rng.standard_normal(which.config.grid, np.float32)
            return types.SimpleNamespace(image=image, label=None)
        tasks = which.classes.tasks
        shape = (*which.config.grid, len(tasks)) if tasks else which.config.grid
        return types.SimpleNamespace(
            image=rng.integers(0, 129, which.config.grid, dtype=np.uint8),
            label=rng.integers(0, 3, shape, dtype=np.uint8),
            scene=lambda: {"grid": list(which.config.grid), "objects": []},
        )

    return produce


def write(out_dir, which: Generation, *, seconds=0.0, calls=None, notice=None, **job):
    return writer.write_dataset(
        writer.Job(Path(out_dir), layout_for(which), **job),
        producer(which, seconds, calls),
        notice=notice or (lambda message: None),
    )


def files(out_dir) -> dict[str, bytes]:
    """Every file below out_dir."""
    root = Path(out_dir)
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out_dir")
    parser.add_argument("--num_samples", type=int, default=40)
    parser.add_argument("--num_val_samples", type=int, default=5)
    parser.add_argument("--layout", default="monai")
    parser.add_argument("--seconds", type=float, default=0.02)
    parser.add_argument("--shard", default="0/1")
    args = parser.parse_args()
    made = generation(
        num_samples=args.num_samples, num_val_samples=args.num_val_samples, layout=args.layout
    )
    shard = writer.Shard.parse(args.shard)
    print("started", flush=True)  # noqa: T201
    write(args.out_dir, made, seconds=args.seconds, shard=shard, scenes=True)
