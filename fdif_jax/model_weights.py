"""A network's weights by path, and fitting them to another task, input or patch."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from fdif_jax.errors import InputError
from fdif_jax.models.heads import Classifier, as_outputs
from fdif_jax.models.registry import AnyNetwork, Network, build, family_of

N = TypeVar("N", bound=AnyNetwork)
# The convolutions that see the image; only these depend on the number of input channels.
_INPUT_KERNELS = {
    "vnet": ("input.conv.kernel",),
    "unetr": ("patches.kernel", "encoder1.conv1.kernel", "encoder1.conv3.kernel"),
    "swin_unetr": ("swin.patches.kernel", "encoder1.conv1.kernel", "encoder1.conv3.kernel"),
    "resenc": ("stem.conv.kernel",),
    "primus": ("patches.kernel",),
}
_HEADS = ("head", "side_heads", "linear")


def weights_of(model: nnx.Module) -> dict[str, jax.Array]:
    """Parameters and running statistics by path, e.g. ``downs.0.conv.kernel``."""
    return {name: v[...] for name, v in _variables(model).items()}


def shapes_of(model: nnx.Module) -> dict[str, tuple[int, ...]]:
    """Their shapes; the network may be abstract."""
    return {name: tuple(v.shape) for name, v in _variables(model).items()}


def set_weights(model: nnx.Module, weights: Mapping[str, Any]) -> None:
    """Puts arrays by path into a network.

    Raises:
      InputError: names or shapes that do not fit, all of them.
    """
    check_shapes({name: tuple(a.shape) for name, a in weights.items()}, shapes_of(model))
    for name, variable in _variables(model).items():
        variable.set_value(jnp.asarray(weights[name], variable.dtype))


def check_shapes(
    given: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]], where: str = ""
) -> None:
    """Refuses weights whose names or shapes are not those of a network.

    Raises:
      InputError: every mismatch, behind ``where``.
    """
    problems = [f"missing {name}" for name in wanted if name not in given]
    problems += [f"unexpected {name}" for name in given if name not in wanted]
    problems += [
        f"{name} is {given[name]}, wanted {shape}"
        for name, shape in wanted.items()
        if name in given and given[name] != shape
    ]
    if problems:
        raise InputError(
            f"{where}the weights do not fit the network ({len(problems)} mismatches): "
            + "; ".join(problems)
            + "."
        )


def is_head(path: str) -> bool:
    """Whether a weight belongs to what another task replaces."""
    return path.split(".")[0] in _HEADS


def adapt(
    model: N,
    *,
    out_channels: int | Mapping[str, int] | None = None,
    in_channels: int | None = None,
    image_size: tuple[int, int, int] | None = None,
    rngs: nnx.Rngs | None = None,
) -> tuple[N, list[str]]:
    """A network for another task, input or patch, with all weights that carry over.

    Input channels: from 1 to n the kernels are repeated and divided by n; from m to n tiled and
    scaled by m / n; to fewer, the first are kept. Positions are interpolated trilinearly. A head
    with other channels starts afresh.

    Args:
      model: taken apart if anything changes; do not use it afterwards.
      out_channels: channels, or channels by task.
      in_channels: of the image.
      image_size: only matters to UNETR and Primus; the others are asked whether they take it.
      rngs: for a fresh head; seed 0 where not given.

    Returns:
      the network, and one line per change, for the log.

    Raises:
      InputError: a number of channels or a size that the network cannot take.
    """
    rngs = rngs or nnx.Rngs(0)
    found: Any
    if isinstance(model, Classifier):
        encoder, notes = _for_images(model.encoder, in_channels, image_size)
        found = model.with_encoder(encoder)
    else:
        found, notes = _for_images(model, in_channels, image_size)
    outputs = None if out_channels is None else as_outputs(out_channels)
    if outputs is not None and outputs != found.config.out_channels:
        notes.append(f"head: {found.config.out_channels} to {outputs} outputs, starts afresh")
        found.replace_head(outputs, rngs=rngs)
    return found, notes


def _for_images(
    model: Network, channels: int | None, size: tuple[int, int, int] | None
) -> tuple[Network, list[str]]:
    notes = []
    if channels is not None and channels != model.config.in_channels:
        notes.append(f"input channels: {model.config.in_channels} to {channels}")
        model = _with_channels(model, channels)
    fixed = getattr(model.config, "image_size", None)
    if size is not None and fixed is not None and tuple(size) != fixed:
        notes.append(f"position embeddings: resampled from {fixed} to {tuple(size)}")
        model.resize_position_embeddings(tuple(size))  # type: ignore[union-attr]
    elif size is not None:
        model.check_size(tuple(size))
    return model, notes


def _variables(model: nnx.Module) -> dict[str, nnx.Variable]:
    state = nnx.state(model, (nnx.Param, nnx.BatchStat))
    return {".".join(map(str, path)): v for path, v in nnx.to_flat_state(state)}


def _with_channels(model: Network, channels: int) -> Network:
    if channels < 1:
        raise InputError(f"in_channels is {channels}; allowed: 1 or more.")
    old = model.config
    new = build(dataclasses.replace(old, in_channels=channels), rngs=nnx.Rngs(0))
    weights = weights_of(model)
    for name in _INPUT_KERNELS[family_of(old)]:
        if name in weights:
            weights[name] = _spread(weights[name], channels)
    kept = weights_of(new)
    # UNETR and SwinUNETR have a skip convolution only where the channels differ from the width.
    set_weights(new, {name: weights.get(name, value) for name, value in kept.items()})
    return new


def _spread(kernel: jax.Array, channels: int) -> jax.Array:
    """A kernel (..., I, O) for another number of input channels."""
    old = kernel.shape[-2]
    if channels <= old:
        return kernel[..., :channels, :]
    picked = np.arange(channels) % old
    return kernel[..., picked, :] * (old / channels)
