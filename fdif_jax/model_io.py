"""Model folders: ``config.json`` beside orbax weights; loading for another task, input or patch.

model_best/
config.json   network and its options, patch, intensities, class names, provenance
weights/      orbax: one array per parameter and running statistic, by its path
"""

import dataclasses
import importlib.metadata
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx

from fdif_jax.errors import InputError
from fdif_jax.models.heads import as_outputs
from fdif_jax.models.registry import Config, Network, build, config_from, family_of

FORMAT = 1
_CONFIG, _WEIGHTS = "config.json", "weights"
# The convolutions that see the image; only these depend on the number of input channels.
_INPUT_KERNELS = {
    "vnet": ("input.conv.kernel",),
    "unetr": ("patches.kernel", "encoder1.conv1.kernel", "encoder1.conv3.kernel"),
    "swin_unetr": ("swin.patches.kernel", "encoder1.conv1.kernel", "encoder1.conv3.kernel"),
    "resenc": ("stem.conv.kernel",),
    "primus": ("patches.kernel",),
}
_HEADS = ("head", "side_heads")


@dataclasses.dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model folder says besides the weights.

    Attributes:
      config: of the network.
      patch: voxels per axis that it was trained on, if any.
      intensities: how images were scaled, e.g. ``{"kind": "ct", "window": [-175, 250]}``.
      class_names: by output channel, or by task.
      provenance: where the weights come from: file, command, data, versions.
    """

    config: Config
    patch: tuple[int, int, int] | None = None
    intensities: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    class_names: Any = None
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def save_model(path: Path | str, model: Network, info: ModelInfo | None = None) -> None:
    """Writes a model folder, complete or not at all; an existing one is replaced.

    Args:
      path: the folder.
      model: the network; its own config is written, whatever ``info`` holds.
      info: the rest of config.json.
    """
    path = Path(path)
    if path.exists() and not (path / _CONFIG).is_file():
        raise InputError(f"{path} exists and is not a model folder; choose another name.")
    partial = path.with_name(path.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with ocp.StandardCheckpointer() as writer:
        writer.save((partial / _WEIGHTS).absolute(), weights_of(model))
    text = json.dumps(_to_json(model.config, info or ModelInfo(model.config)), indent=2)
    (partial / _CONFIG).write_text(text + "\n")
    old = path.with_name(path.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    partial.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def load_info(path: Path | str) -> ModelInfo:
    """What config.json says.

    Raises:
      InputError: not a model folder, or one of a later format.
    """
    file = model_folder(path) / _CONFIG
    try:
        values = json.loads(file.read_text())
        network = values["network"]
        if values["format"] > FORMAT:
            raise InputError(
                f"{file}: format {values['format']} is newer than this program's "
                f"{FORMAT}; update fdif-jax."
            )
        config = config_from(network["family"], network["options"])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{file}: not the config of a model folder ({error!r}).") from None
    patch = values.get("patch")
    return ModelInfo(
        config,
        tuple(patch) if patch else None,
        values.get("intensities") or {},
        values.get("class_names"),
        values.get("provenance") or {},
    )


def load_model(
    path: Path | str,
    *,
    out_channels: int | Mapping[str, int] | None = None,
    in_channels: int | None = None,
    image_size: tuple[int, int, int] | None = None,
    rngs: nnx.Rngs | None = None,
) -> Network:
    """The network of a model folder, in evaluation mode; adapted where that is asked for.

    Args:
      path: the folder; a ``.pth`` behind its name is ignored.
      out_channels: another head; see ``adapt``, as for the two that follow.
      in_channels: another number of image channels.
      image_size: another patch.
      rngs: for a fresh head.

    Raises:
      InputError: not a model folder, or weights that do not fit their config, with the full list
        of mismatches.
    """
    info, folder = load_info(path), model_folder(path)
    model = build(info.config, rngs=nnx.Rngs(0))
    target = {name: jax.ShapeDtypeStruct(a.shape, a.dtype) for name, a in weights_of(model).items()}
    set_weights(model, _restore(folder / _WEIGHTS, target))
    model, _ = adapt(
        model, out_channels=out_channels, in_channels=in_channels, image_size=image_size, rngs=rngs
    )
    model.eval()
    return model


def adapt(
    model: Network,
    *,
    out_channels: int | Mapping[str, int] | None = None,
    in_channels: int | None = None,
    image_size: tuple[int, int, int] | None = None,
    rngs: nnx.Rngs | None = None,
) -> tuple[Network, list[str]]:
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
    """
    rngs, notes = rngs or nnx.Rngs(0), []
    if in_channels is not None and in_channels != model.config.in_channels:
        notes.append(f"input channels: {model.config.in_channels} to {in_channels}")
        model = _with_channels(model, in_channels)
    fixed = getattr(model.config, "image_size", None)
    if image_size is not None and fixed is not None and tuple(image_size) != fixed:
        notes.append(f"position embeddings: resampled from {fixed} to {tuple(image_size)}")
        model.resize_position_embeddings(tuple(image_size))  # type: ignore[union-attr]
    elif image_size is not None:
        model.check_size(tuple(image_size))
    outputs = None if out_channels is None else as_outputs(out_channels)
    if outputs is not None and outputs != model.config.out_channels:
        notes.append(f"head: {model.config.out_channels} to {outputs} outputs, starts afresh")
        model.replace_head(outputs, rngs=rngs)
    return model, notes


def model_folder(path: Path | str) -> Path:
    """The folder that ``path`` means.

    Raises:
      InputError: there is no model folder.
    """
    path = Path(path)
    for candidate in (path, path.with_suffix("") if path.suffix == ".pth" else path):
        if (candidate / _CONFIG).is_file():
            return candidate
    raise InputError(f"{path}: not a model folder (no {_CONFIG} in it).")


def weights_of(model: nnx.Module) -> dict[str, jax.Array]:
    """Parameters and running statistics by path, e.g. ``downs.0.conv.kernel``."""
    state = nnx.state(model, (nnx.Param, nnx.BatchStat))
    return {".".join(map(str, path)): v[...] for path, v in nnx.to_flat_state(state)}


def set_weights(model: nnx.Module, weights: Mapping[str, Any]) -> None:
    """Puts arrays by path into a network.

    Raises:
      InputError: names or shapes that do not fit, all of them.
    """
    state = dict(nnx.to_flat_state(nnx.state(model, (nnx.Param, nnx.BatchStat))))
    wanted = {".".join(map(str, path)): v for path, v in state.items()}
    problems = [f"missing {name}" for name in wanted if name not in weights]
    problems += [f"unexpected {name}" for name in weights if name not in wanted]
    problems += [
        f"{name} is {tuple(weights[name].shape)}, wanted {v.shape}"
        for name, v in wanted.items()
        if name in weights and weights[name].shape != v.shape
    ]
    if problems:
        raise InputError(
            f"the weights do not fit the network ({len(problems)} mismatches): "
            + "; ".join(problems)
            + "."
        )
    for name, variable in wanted.items():
        variable.set_value(jnp.asarray(weights[name], variable.dtype))


def is_head(path: str) -> bool:
    """Whether a weight belongs to what another task replaces."""
    return path.split(".")[0] in _HEADS


def _with_channels(model: Network, channels: int) -> Network:
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


def _restore(path: Path, target: dict[str, jax.ShapeDtypeStruct]) -> dict[str, Any]:
    with ocp.StandardCheckpointer() as reader:
        try:
            found = reader.metadata(path.absolute()).item_metadata.tree
            shapes = {name: jax.ShapeDtypeStruct(m.shape, m.dtype) for name, m in found.items()}
            return reader.restore(path.absolute(), shapes)
        except (ValueError, OSError, KeyError, AttributeError, TypeError) as error:
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise InputError(
                f"{path}: the weights cannot be read, the folder is incomplete or damaged "
                f"({reason})."
            ) from None


def _to_json(config: Config, info: ModelInfo) -> dict[str, Any]:
    packages = ("fdif-jax", "jax", "flax")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {
        "format": FORMAT,
        "network": {"family": family_of(config), "options": dataclasses.asdict(config)},
        "patch": info.patch,
        "intensities": dict(info.intensities),
        "class_names": info.class_names,
        "provenance": {"versions": versions} | dict(info.provenance),
    }
