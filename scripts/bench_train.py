"""Updates per second of whole training loops: ours, its bare compiled step, and MONAI's.

    python scripts/bench_train.py --networks swin_unetr --patch 64 64 64 --feature_size 12

Three engines train the same network on the same files, each in a process of its own, in turns: a
round of updates each, so that a busy machine is busy for all.

    loop    what `fdif train` runs: files, cache, crops, copies to the device, update, log
    step    its compiled update alone, again and again on one batch that is on the device
    monai   CacheDataset, DataLoader, the same crops and augmentation, DiceCELoss, AdamW

loop / step is what the loop leaves of the step: 1 where nothing waits. Validations and
checkpoints are not part of it. Needs PyTorch (CPU) and MONAI for the comparison; without them, or
with --engines loop step, ours alone is measured. Reported: the fastest round of each, the peak of
resident memory in the rounds (of PyTorch's without the worker processes of its DataLoader), and the
peak before, in a round that is not counted, in which ours compiles.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ENGINES = ("loop", "step", "monai")
NEVER = 10**9
VOLUMES = 8
MARGIN = 32  # voxels by which volumes are larger than the patch, so that crops differ


def main() -> None:
    """Runs the table, prints it as Markdown."""
    options = parse()
    if options.worker:
        return WORKERS[options.worker](options, Rounds(options.updates))
    print("| network | patch | engine | updates/s | of the step | of MONAI | peak GiB | before |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or generate(Path(folder), [side + MARGIN for side in options.patch])
        for network in options.networks:
            for row in compare(options, network, data):
                print(row, flush=True)
    return None


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["swin_unetr"])
    parser.add_argument("--patch", nargs=3, type=int, default=[64, 64, 64])
    parser.add_argument("--feature_size", type=int, help="of unetr and swin_unetr")
    parser.add_argument("--num_crops", type=int, default=4)
    parser.add_argument("--updates", type=int, default=10, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--data", help="a data list; otherwise eight volumes are generated")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="of the DataLoader")
    parser.add_argument("--torch_python", default=sys.executable, help="the Python with MONAI")
    parser.add_argument("--worker", choices=ENGINES, help=argparse.SUPPRESS)
    return parser.parse_args()


def generate(folder: Path, sides: list[int]) -> str:
    """A small data set, by the command line; its data list."""
    grid = [f"--{axis}={side}" for axis, side in zip("DHW", sides, strict=True)]
    command = [sys.executable, "-c", "from fdif_jax.cli import main; main()", "generate"]
    command += ["--preset", "small", "--num_samples", str(VOLUMES), *grid]
    subprocess.run([*command, "--out_dir", str(folder / "set"), "--quiet"], check=True)
    return str(folder / "set/data/data.json")


def compare(options: argparse.Namespace, network: str, data: str) -> list[str]:
    """One row per engine, measured in turns."""
    engines, first = [], {}
    for name in options.engines:  # one by one: the step finds the program that the loop compiled
        engine = Engine(name, options, network, data)
        warm_up = engine.read()
        if warm_up is None and name != "monai":  # that is not installed
            raise SystemExit(f"the engine {name} has failed")
        if warm_up is not None:
            engines.append(engine)
            first[name] = warm_up["peak"]
    found: dict[str, list[dict]] = {engine.name: [] for engine in engines}
    for _ in range(options.rounds):
        for engine in engines:
            found[engine.name].append(engine.round())
    for engine in engines:
        engine.stop()
    speeds = {name: options.updates / min(r["wall"] for r in rs) for name, rs in found.items()}
    rows, size = [], "x".join(map(str, options.patch))
    for name, rounds in found.items():
        ratios = [f"{speeds[name] / speeds[o]:.2f}" if o in speeds else "" for o in ENGINES[1:]]
        most = max(r["peak"] for r in rounds)
        rows.append(
            f"| {network} | {size} | {name} | {speeds[name]:.3f} | {ratios[0]} "
            f"| {ratios[1]} | {most:.2f} | {first[name]:.2f} |"
        )
    return rows


class Engine:
    """A process that makes a round of updates for every line it is sent."""

    def __init__(self, name: str, options: argparse.Namespace, network: str, data: str):
        self.name = name
        python = options.torch_python if name == "monai" else sys.executable
        command = [python, __file__, "--worker", name, "--networks", network, "--data", data]
        command += ["--patch", *map(str, options.patch)]
        for option in ("num_crops", "updates", "workers", "feature_size"):
            if getattr(options, option) is not None:
                command += [f"--{option}", str(getattr(options, option))]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def read(self) -> dict | None:
        """The next line of figures, or None where the process has ended."""
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def round(self) -> dict:
        """One round's figures."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.read()

    def stop(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


class Rounds:
    """Tells a worker's figures after each round, then waits for the word to go on."""

    def __init__(self, updates: int):
        self.updates = updates
        self.output = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print must not come between
        self.began = time.perf_counter()

    def ended(self) -> None:
        """The round's last update is done, on the device too.

        Raises:
          SystemExit: there is no further round.
        """
        wall = time.perf_counter() - self.began
        print(json.dumps({"wall": wall, "peak": peak()}), file=self.output, flush=True)
        if not sys.stdin.readline():
            raise SystemExit
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self.began = time.perf_counter()


def peak() -> float:
    """Of this process's resident memory since it was last forgotten, GiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


def worker_loop(options: argparse.Namespace, rounds: Rounds) -> None:
    """The whole loop: its log waits for the device at each round's end."""
    from fdif_jax.train.devices import make_mesh
    from fdif_jax.train.loop import Trainer
    from fdif_jax.train.run_folder import open_run

    with tempfile.TemporaryDirectory() as folder:
        config, run, plan = planned(options, folder)
        out = open_run(Path(folder) / "run", config, overwrite=False)
        trainer = Trainer(plan, run, out, make_mesh(1), say=lambda sentence: None)
        trainer.progress = lambda done, total, note: (
            rounds.ended() if done % rounds.updates == 0 else None
        )
        trainer.run()


def worker_step(options: argparse.Namespace, rounds: Rounds) -> None:
    """The compiled update on one batch."""
    import jax

    from fdif_jax.train.devices import make_mesh
    from fdif_jax.train.program import compile_update
    from fdif_jax.train.segmentation import segmentation_job
    from fdif_jax.train.sources import device_batches
    from fdif_jax.train.step import take_apart

    with tempfile.TemporaryDirectory() as folder:
        _, _, plan = planned(options, folder)
        mesh, slots = make_mesh(1), range(plan.config.crops)
        job = segmentation_job(plan)
        parts, state = take_apart(job.start().model, job.recipe, mesh)
        batches = device_batches(job.source, mesh, slots=slots, accumulation=1, updates=range(1))
        batch = next(batches)
        step = compile_update(job, parts, mesh, state, *batch)
        while True:
            for _ in range(rounds.updates):
                state, _ = step(state, *batch)
            jax.block_until_ready(state.update)
            rounds.ended()


def planned(options: argparse.Namespace, folder: str):
    """Config, options and plan of a run that neither validates nor keeps anything."""
    from fdif_jax.compilation import keep_programs
    from fdif_jax.train.config import RunOptions, TrainConfig
    from fdif_jax.train.plan import make_plan

    keep_programs()
    width = (("feature_size", options.feature_size),) if options.feature_size else ()
    config = TrainConfig(
        model_name=options.networks[0],
        data=options.data,
        patch=tuple(options.patch),
        num_crops=options.num_crops,
        model_options=width,
        resample=True,  # to the spacing that volumes have: caches them, as MONAI does
        spacing=None,
        eval_every=NEVER,
        max_iterations=NEVER,
    )
    run = RunOptions(cache_dir=f"{folder}/cache", log_every=options.updates, quiet=True)
    return config, run, make_plan(config, run)


def worker_monai(options: argparse.Namespace, rounds: Rounds) -> None:
    """MONAI's loop, as the original trains."""
    try:
        import torch
        from monai.losses import DiceCELoss
        from monai.networks import nets
    except ImportError:
        return
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    batches, classes = monai_batches(options)
    width = {"feature_size": options.feature_size} if options.feature_size else {}
    model = {
        "vnet": lambda: nets.VNet(in_channels=1, out_channels=classes),
        "unetr": lambda: nets.UNETR(1, classes, options.patch, **width),
        "swin_unetr": lambda: nets.SwinUNETR(1, classes, **({"feature_size": 48} | width)),
    }[options.networks[0]]()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-5)
    criterion = DiceCELoss(to_onehot_y=True, softmax=True)
    done = 0
    while True:
        for batch in batches:
            optimizer.zero_grad()
            criterion(model(batch["image"]), batch["label"]).backward()
            optimizer.step()
            done += 1
            if done % rounds.updates == 0:
                rounds.ended()


def monai_batches(options: argparse.Namespace):
    """Batches of one volume's crops without end, and the number of classes."""
    from monai import data
    from monai import transforms as t

    file = Path(options.data)
    listed = json.loads(file.read_text())
    cases = [
        {k: str(file.parent / case[k]) for k in ("image", "label")} for case in listed["training"]
    ]
    both, size = ["image", "label"], options.patch
    equal = [(a, b) for a, b in ((0, 1), (0, 2), (1, 2)) if size[a] == size[b]]
    steps = [
        t.LoadImaged(both, ensure_channel_first=True),
        t.ScaleIntensityRanged("image", -175, 250, 0, 1, clip=True),
        t.CropForegroundd(both, source_key="image", allow_smaller=True),
        t.Orientationd(both, axcodes="RAS", labels=(("L", "R"), ("P", "A"), ("I", "S"))),
        t.SpatialPadd(both, size),
        t.RandCropByPosNegLabeld(both, "label", size, num_samples=options.num_crops),
        *(t.RandFlipd(both, prob=0.1, spatial_axis=axis) for axis in range(3)),
        *(t.RandRotate90d(both, prob=0.1, max_k=3, spatial_axes=plane) for plane in equal[:1]),
        t.RandShiftIntensityd("image", 0.1, prob=0.5),
    ]
    cached = data.CacheDataset(cases, t.Compose(steps), cache_rate=1.0, progress=False)
    keep = options.workers > 0
    loader = data.DataLoader(
        cached, batch_size=1, shuffle=True, num_workers=options.workers, persistent_workers=keep
    )
    return loader, len(listed["labels"])


WORKERS = {"loop": worker_loop, "step": worker_step, "monai": worker_monai}

if __name__ == "__main__":
    main()
