"""The network of a run, proven to be buildable, to take its patch, and not to be hopelessly large.

It is built without numbers for that: nothing is compiled, and no memory taken.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from fdif_jax.errors import InputError, lookup
from fdif_jax.memory import human, memory_available
from fdif_jax.model_io import load_info
from fdif_jax.models.heads import ClassifierConfig
from fdif_jax.models.registry import Config, Network, abstract_network, model_config
from fdif_jax.models.resenc_plan import ResEncConfig
from fdif_jax.train.class_config import ClassifyConfig, RunConfig

_DTYPES = {"fp32": "float32", "bf16": "bfloat16"}
# Fields of networks that other options set.
_ELSEWHERE = {
    "in_channels": "--in_channels",
    "out_channels": "--out_channel",
    "image_size": "--grid_size",
    "remat": "--use_checkpoint",
    "dtype": "--precision",
}
_FLOAT32 = 4  # bytes
_LARGEST = 100  # times the usual value; tables for much larger ones fill the memory
_STATE = 4 * _FLOAT32  # a weight, its gradient and AdamW's two means


def network_config(config: RunConfig, outputs: int | Mapping[str, int], devices: int) -> Config:
    """What the run trains.

    Args:
      config: of the run.
      outputs: classes and background, or these by task.
      devices: that share each batch.

    Raises:
      InputError: an unknown name, an option with a value that makes no network, a patch that the
        network cannot take, or more than fits into memory.
    """
    common: dict[str, Any] = {
        "image_size": config.patch,
        "in_channels": config.in_channels,
        "out_channels": outputs,
        "remat": config.remat,
        "dtype": _DTYPES[config.precision],
    }
    usual = model_config(config.model_name, **common)
    own = {k: v for k, v in dataclasses.asdict(usual).items() if k not in _ELSEWHERE}
    for name, value in config.model_options:
        if name in _ELSEWHERE:
            raise InputError(f"--model_option {name} is set by {_ELSEWHERE[name]}; use that.")
        default = lookup(own, name, kind=f"option of {config.model_name}")
        if not _alike(value, default):
            raise InputError(
                f"--model_option {name} is {value!r}; {config.model_name} takes values like "
                f"{default!r}."
            )
    stages = _stages_of_pretrained(config) if isinstance(usual, ResEncConfig) else {}
    network = model_config(config.model_name, **common, **(stages | dict(config.model_options)))
    with _fitting_options(config):
        abstract = abstract_network(network)
    abstract.check_size(config.patch, config.crops)
    _refuse_too_large(config, abstract, devices)
    if config.model_options:  # which may fit each other only until they are used
        batch = (min(config.crops, 2), *config.patch, config.in_channels)
        x = jax.ShapeDtypeStruct(batch, jnp.float32)
        with _fitting_options(config):
            nnx.eval_shape(lambda model, x: model(x), abstract, x)
    return network


def _stages_of_pretrained(config: RunConfig) -> dict[str, Any]:
    """The stages of a pretrained ResEnc, which are those of the patch that it was made for.

    No name says them, unlike the width of other networks; so they are taken over.
    """
    if config.pretrained_model is None:
        return {}
    try:
        found = load_info(config.pretrained_model).config
    except InputError:  # no folder, or a damaged one: who loads it says so
        return {}
    found = found.encoder if isinstance(found, ClassifierConfig) else found
    if not isinstance(found, ResEncConfig):
        return {}
    values = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
    return {name: value for name, value in values.items() if name not in _ELSEWHERE}


def _refuse_too_large(config: RunConfig, abstract: Network, devices: int) -> None:
    """Counts the state, one batch and its logits: what a step needs in between depends."""
    available = _memory_of_a_device()
    outputs = abstract.config.out_channels
    channels = outputs if isinstance(outputs, int) else sum(n for _, n in outputs)
    crop = math.prod(config.patch) * _FLOAT32
    batch = config.accumulation * config.in_channels + channels
    weights = sum(math.prod(w.shape) for w in jax.tree.leaves(nnx.state(abstract, nnx.Param)))
    needed = _STATE * weights + config.crops // devices * crop * batch
    if available is not None and needed > available:
        taken = "images" if isinstance(config, ClassifyConfig) else "crops"
        raise InputError(
            f"a {config.model_name} with {config.crops} {taken} of "
            f"{'x'.join(map(str, config.patch))} needs more than {human(needed)} of memory, "
            f"{human(available)} are available; lower --grid_size or --batch_size, or take "
            "a smaller network."
        )


@contextmanager
def _fitting_options(config: RunConfig) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # of options that each are possible, but not together
        reason = (str(error).splitlines() or [repr(error)])[0][:200]
        raise InputError(
            f"no {config.model_name} can be built with these --model_option values ({reason}); "
            "change or leave them out."
        ) from error


def _memory_of_a_device() -> int | None:
    """Bytes; None where it is not known."""
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        return memory_available()
    return (device.memory_stats() or {}).get("bytes_limit")


def _alike(value: Any, usual: Any) -> bool:
    """Whether a value is of the kind, and in the range, of the one that it replaces."""
    if isinstance(usual, tuple):
        return isinstance(value, tuple) and bool(value) and all(_alike(v, usual[0]) for v in value)
    if isinstance(usual, float):  # a probability
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1
    if type(value) is not type(usual):
        return False
    return type(value) is not int or 1 <= value <= _LARGEST * usual
