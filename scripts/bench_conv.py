"""The convolutions of ``fdif_jax.models.conv``: our CPU forms against XLA's own 3-D convolution.

    python scripts/bench_conv.py --torch

One line per convolution as the networks have it: forward, and forward with both gradients,
fastest of three, milliseconds; in brackets GFLOP/s. With ``--torch`` also PyTorch's.

With ``--torch --skip_native``, PyTorch 2.13, 2 idle cores of a Xeon with AVX-512:

    48^3 x 24 -> 24, k=3:  ours 49 (70) 93 (111)  PyTorch 21 (160) 71 (146)
    48^3 x 96 -> 48, k=3:  ours 128 (216) 365 (226)  PyTorch 98 (280) 352 (235)
    48^3 x 16 -> 16, k=5:  ours 46 (154) 112 (189)  PyTorch 21 (337) 70 (304)
    48^3 x 32 -> 32, k=5:  ours 144 (197) 339 (251)  PyTorch 125 (226) 278 (306)
    24^3 x 192 -> 96, k=3:  ours 31 (446) 120 (344)  PyTorch 39 (348) 127 (325)
    12^3 x 192 -> 192, k=3:  ours 8 (445) 25 (409)  PyTorch 9 (370) 30 (341)
    3^3 x 768 -> 768, k=3:  ours 9 (92) 37 (71)  PyTorch 7 (131) 48 (54)
"""

import argparse
import os
import time

import jax
import jax.numpy as jnp
from fdif_jax.models import conv as forms

CASES = [  # voxels per side, channels in and out, kernel
    (48, 24, 24, 3),
    (48, 96, 48, 3),
    (48, 16, 16, 5),
    (48, 32, 32, 5),
    (24, 192, 96, 3),
    (12, 192, 192, 3),
    (3, 768, 768, 3),
]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--skip_native", action="store_true")
    options = parser.parse_args()
    engines = {"ours": in_jax(forms.conv)}
    if not options.skip_native:
        engines["XLA"] = in_jax(forms.native)
    if options.torch:
        engines["PyTorch"] = in_torch
    for case in CASES:
        side, i, o, kernel = case
        work = 2 * side**3 * kernel**3 * i * o / 1e9
        line = f"{side}^3 x {i} -> {o}, k={kernel}:"
        for name, measure in engines.items():
            forward, both = measure(*case)
            line += (
                f"  {name} {forward * 1e3:.0f} ({work / forward:.0f})"
                f" {both * 1e3:.0f} ({3 * work / both:.0f})"
            )
        print(line, flush=True)


def in_jax(form):
    """A function that measures a form: seconds forward, seconds with both gradients."""

    def measure(side: int, i: int, o: int, kernel: int) -> tuple[float, float]:
        keys = jax.random.split(jax.random.key(0))
        x = jax.random.normal(keys[0], (1, side, side, side, i))
        k = jax.random.normal(keys[1], (kernel, kernel, kernel, i, o))
        grad = jnp.ones((1, side, side, side, o))
        both = jax.jit(lambda x, k: jax.vjp(form, x, k)[1](grad))
        value = jax.jit(form)
        forward = fastest(lambda: jax.block_until_ready(value(x, k)))
        return forward, forward + fastest(lambda: jax.block_until_ready(both(x, k)))

    return measure


def in_torch(side: int, i: int, o: int, kernel: int) -> tuple[float, float]:
    """The same in PyTorch, with as many threads as this process may use cores."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    x = torch.randn(1, i, side, side, side, requires_grad=True)
    layer = torch.nn.Conv3d(i, o, kernel, padding=kernel // 2, bias=False)
    grad = torch.ones(1, o, side, side, side)
    with torch.no_grad():
        forward = fastest(lambda: layer(x))
    return forward, fastest(lambda: layer(x).backward(grad))


def fastest(run) -> float:
    """Seconds of the fastest of three, after one that is not counted."""
    run()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
