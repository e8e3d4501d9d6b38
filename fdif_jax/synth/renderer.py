"""Rendering as a compiled program: which path, on which platform, with which options."""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from fdif_jax.errors import InputError
from fdif_jax.grid import Grid
from fdif_jax.synth.blocks import Blocks
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.params import Scene
from fdif_jax.synth.render import Rendered, render_dense, to_image
from fdif_jax.synth.render_blocks import displacement_minima, fits, render_blocks

Path = Literal["auto", "blocks", "dense"]
Finish = Callable[[Array], Array]
Volume = Callable[[Scene], tuple[Array, Array]]

# One volume in one thread, several volumes at once: a small loop does not gain from two threads,
# and a volume's bytes must not depend on how it was cut. Wide vectors suit the long flat loops.
CPU_OPTIONS: dict[str, Any] = {
    "xla_cpu_multi_thread_eigen": False,
    "xla_cpu_prefer_vector_width": 512,
}


def resolve_path(path: Path) -> Path:
    """``auto`` is blocks on a CPU, where skipping pays, and dense on an accelerator.

    Raises:
      InputError: an unknown path.
    """
    if path not in ("auto", "blocks", "dense"):
        raise InputError(f"path is {path!r}; allowed: auto, blocks, dense.")
    if path != "auto":
        return path
    return "blocks" if jax.default_backend() == "cpu" else "dense"


def make_renderer(
    catalog: Catalog, grid: Grid, label_dtype: np.dtype, *, path: Path = "auto"
) -> Callable[[Scene], Rendered]:
    """A traceable function from a scene to intensity and label.

    Args:
      catalog: static.
      grid: static.
      label_dtype: holds the largest class id.
      path: see ``resolve_path``.
    """
    blocks = Blocks(grid, most_at_once=blocks_at_once(grid))

    def render(scene: Scene) -> Rendered:
        slots = scene.parts.shape[0]
        if resolve_path(path) == "dense" or not fits(blocks, slots):
            return render_dense(catalog, grid, scene, jnp.dtype(label_dtype))
        return render_blocks(
            catalog, blocks, _minima(catalog, blocks), scene, jnp.dtype(label_dtype)
        )

    return render


def blocks_at_once(grid: Grid) -> int:
    """How many blocks a step takes: few in a small volume, where whole objects are few blocks."""
    volume = math.prod(grid.shape) // 8**3
    return min(64, max(8, 2 ** int(math.log2(max(volume // 27, 1)))))


@functools.lru_cache(maxsize=8)
def _minima(catalog: Catalog, blocks: Blocks) -> np.ndarray:
    """Computed once for a grid; a constant of the programs that use it."""
    with jax.ensure_compile_time_eval():
        program = jax.jit(lambda: displacement_minima(catalog, blocks))
        return np.asarray(program())


def slots_for(objects: int) -> int:
    """Slots of a scene that holds up to ``objects``.

    Where empty slots cost nothing, the next power of two, so that scenes share programs.
    """
    if resolve_path("auto") == "dense":
        return objects
    return max(8, 2 ** (objects - 1).bit_length())


def volume_program(
    catalog: Catalog,
    grid: Grid,
    label_dtype: np.dtype,
    *,
    task_axis: bool,
    finish: Finish = to_image,
    path: Path = "auto",
) -> Volume:
    """The traceable function from a scene to what a sample holds.

    Returns a function that gives the image (D, H, W) and the label, (D, H, W) or, with
    ``task_axis``, (D, H, W, tasks).
    """
    render = make_renderer(catalog, grid, label_dtype, path=path)

    def volume(scene: Scene) -> tuple[Array, Array]:
        rendered = render(scene)
        label = jnp.moveaxis(rendered.label, 0, -1) if task_axis else rendered.label[0]
        return finish(rendered.intensity), label

    return volume


@functools.lru_cache(maxsize=16)
def compiled_volume(
    catalog: Catalog, grid: Grid, label_dtype: np.dtype, *, task_axis: bool
) -> Volume:
    """``volume_program``, compiled; the same for all configurations that differ in classes only."""
    return jit(volume_program(catalog, grid, label_dtype, task_axis=task_axis))


def jit(function: Callable[..., Any], *, light: bool = False) -> Callable[..., Any]:
    """``jax.jit`` with this platform's options.

    Args:
      function: traceable.
      light: it has little to compute: a quick compilation is worth more than quick code.
    """
    if jax.default_backend() != "cpu":
        return jax.jit(function)
    quick = {"xla_backend_optimization_level": 1} if light else {}
    return jax.jit(function, compiler_options=CPU_OPTIONS | quick)
