"""Training steps of our networks against MONAI and PyTorch, alternately in one run.

    python scripts/bench_models.py --sizes 64 96 --networks vnet unetr swin_unetr

One step is forward, Dice + cross-entropy, backward and AdamW; float32, batch 1, 14 classes,
as many threads for PyTorch as this process may use cores. Each engine runs in a process of its
own, so that its peak memory is its own; their steps alternate, so that a busy machine is busy
for both. Needs PyTorch (CPU) and MONAI for the comparison; without them ours alone is measured.

Reported: the fastest step of each, wall seconds and processor seconds (the latter do not count
what other programs took), peak resident memory, and compile time of ours, cold and from the
persistent cache.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

CLASSES = 14


def main() -> None:
    """Runs the table, prints it as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["vnet", "unetr", "swin_unetr"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[64])
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        engine, network, size = options.worker
        return (worker_jax if engine == "jax" else worker_torch)(network, int(size))
    print("| network | size | engine | step s | processor s | peak GiB | compile cold / cached s |")
    print("|---|---|---|---|---|---|---|")
    for size in options.sizes:
        for network in options.networks:
            for row in compare(network, size, options.steps):
                print(row, flush=True)
    return None


def compare(network: str, size: int, steps: int) -> list[str]:
    """One row per engine, measured alternately."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": cache}
        cold = Engine("jax", network, size, environment)
        first = cold.read()
        cold.stop()
        engines = [Engine("jax", network, size, environment)]
        cached = engines[0].read()
        engines.append(Engine("torch", network, size, environment))
        if engines[1].read() is None:
            engines.pop()
        results: dict[str, list[dict]] = {engine.name: [] for engine in engines}
        for _ in range(steps):
            for engine in engines:
                results[engine.name].append(engine.step())
        for engine in engines:
            engine.stop()
    rows = []
    for name, found in results.items():
        best = min(found, key=lambda r: r["wall"])
        processor = min(r["processor"] for r in found)
        peak = max(r["peak"] for r in found)
        compiled = f"{first['compile']:.0f} / {cached['compile']:.0f}" if name == "jax" else ""
        rows.append(
            f"| {network} | {size}³ | {name} | {best['wall']:.2f} | {processor:.2f} "
            f"| {peak:.1f} | {compiled} |"
        )
    return rows


class Engine:
    """A process that makes one step for every line it is sent."""

    def __init__(self, name: str, network: str, size: int, environment: dict[str, str]):
        self.name = name
        command = [sys.executable, __file__, "--worker", name, network, str(size)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def read(self) -> dict | None:
        """The next line, or None where the process has ended."""
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def step(self) -> dict:
        """One step."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.read()

    def stop(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def serve(step, ready: dict) -> None:
    """Answers every line with one step's figures; the first step is not counted."""
    step()
    print(json.dumps(ready), flush=True)
    for _ in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        step()
        print(
            json.dumps(
                {
                    "wall": time.perf_counter() - wall,
                    "processor": time.process_time() - processor,
                    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
                }
            ),
            flush=True,
        )


def worker_jax(network: str, size: int) -> None:
    """Our step."""
    import jax
    import jax.numpy as jnp
    import optax
    from fdif_jax.models import create_model
    from flax import nnx

    from fdif_jax.compilation import compile_step

    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    model = create_model(network, image_size=(size,) * 3, out_channels=CLASSES, rngs=nnx.Rngs(0))
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    del model
    optimizer = optax.adamw(1e-4, weight_decay=1e-5)
    state = optimizer.init(params)

    def loss(params, rest, x, labels):
        net = nnx.merge(graph, params, rest, copy=True)
        return dice_ce(net(x), labels), nnx.state(net, nnx.Not(nnx.Param))

    def dice_ce(logits, labels):
        p, log = jax.nn.softmax(logits), jax.nn.log_softmax(logits)
        hot = labels[..., None] == jnp.arange(CLASSES)
        met = jnp.where(hot, p, 0.0).sum((1, 2, 3))
        total = p.sum((1, 2, 3)) + hot.sum((1, 2, 3))
        dice = 1 - (2 * met + 1e-5) / (total + 1e-5)
        return dice.mean() - jnp.where(hot, log, 0.0).sum(-1).mean()

    def update(params, rest, state, x, labels):
        (value, rest), grads = jax.value_and_grad(loss, has_aux=True)(params, rest, x, labels)
        changes, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, changes), rest, state, value

    x = jax.random.normal(jax.random.key(0), (1, size, size, size, 1))
    labels = jax.random.randint(jax.random.key(1), (1, size, size, size), 0, CLASSES)
    start = time.perf_counter()
    jitted = jax.jit(update, donate_argnums=(0, 1, 2))
    inputs = (params, rest, state, x, labels)
    program = compile_step(jitted, *inputs, lean=network == "vnet")
    ready = {"compile": time.perf_counter() - start}

    def step():
        nonlocal params, rest, state
        params, rest, state, value = program(params, rest, state, x, labels)
        value.block_until_ready()

    serve(step, ready)


def worker_torch(network: str, size: int) -> None:
    """MONAI's step."""
    try:
        import torch
        from monai.losses import DiceCELoss
        from monai.networks import nets
    except ImportError:
        return
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = {
        "vnet": lambda: nets.VNet(in_channels=1, out_channels=CLASSES),
        "unetr": lambda: nets.UNETR(1, CLASSES, (size,) * 3),
        "swin_unetr": lambda: nets.SwinUNETR(1, CLASSES, feature_size=48),
    }[network]()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-5)
    criterion = DiceCELoss(to_onehot_y=True, softmax=True)
    x = torch.randn(1, 1, size, size, size)
    labels = torch.randint(0, CLASSES, (1, 1, size, size, size))

    def step():
        optimizer.zero_grad()
        criterion(model(x), labels).backward()
        optimizer.step()

    serve(step, {})


if __name__ == "__main__":
    main()
