"""The network that a run starts from, and what of it was loaded, replaced, or left random."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flax import nnx

from fdif_jax.errors import InputError
from fdif_jax.interop import Hints, read_network
from fdif_jax.model_io import (
    load_info,
    load_model,
    model_folder,
    refuse_classifier,
    refuse_run_folder,
)
from fdif_jax.model_weights import adapt, is_head, weights_of
from fdif_jax.models.registry import AnyNetwork, Config, Network, build, family_of
from fdif_jax.train.class_config import RunConfig
from fdif_jax.train.config import TrainConfig
from fdif_jax.train.plan import Plan

_FOREIGN = (".pth", ".pt", ".safetensors", ".ckpt", ".bin")
# What `adapt` sees to, and what does not change the weights.
_MAY_DIFFER = ("in_channels", "out_channels", "image_size", "remat", "dtype", "dropout")


class Start(NamedTuple):
    """A network and its story, a sentence for each part."""

    model: AnyNetwork
    notes: tuple[str, ...]


class _Loaded(NamedTuple):
    model: Network
    notes: tuple[str, ...]
    fresh: Sequence[str]
    """Parts that the file did not hold."""
    intensities: str | None = None
    """How its images were scaled, where that is known."""


def first_network(plan: Plan) -> Start:
    """The network before the first update.

    Raises:
      InputError: the pretrained model cannot be read or is not of this network, with every
        mismatch.
    """
    config = plan.config
    rngs = nnx.Rngs(config.seed % 2**32)
    if config.pretrained_model is None:
        model = build(plan.network, rngs=rngs)
        return Start(model, (f"{config.model_name}: {numbers(model)}, all weights random",))
    loaded = load_pretrained(config)
    _check_claims(config, loaded.model.config)
    model = of_config(loaded.model, plan.network, config)
    carried = sum(v.size for v in weights_of(model).values())
    model, changes = adapt(
        model,
        out_channels=plan.network.out_channels,
        in_channels=config.in_channels,
        image_size=config.patch,
        rngs=rngs,
    )
    head = sum(v.size for name, v in weights_of(model).items() if is_head(name))
    replaced = any(change.startswith("head") for change in changes)
    notes = [f"loaded {config.pretrained_model}: {family_of(model.config)}, {carried:,} numbers"]
    notes += [*loaded.notes, *changes]
    if replaced:
        notes.append(f"random: the head, {head:,} numbers")
    if loaded.fresh:
        few = ", ".join(loaded.fresh[:3]) + (", …" if len(loaded.fresh) > 3 else "")
        notes.append(f"random: {len(loaded.fresh)} tensors that the file does not hold: {few}")
    if not replaced and not loaded.fresh:
        notes.append("random: nothing")
    return Start(model, tuple(notes))


def load_pretrained(config: RunConfig) -> _Loaded:
    """The network of ``--pretrained_model``, as it was saved.

    Raises:
      InputError: it cannot be read.
    """
    assert config.pretrained_model is not None
    path = Path(config.pretrained_model)
    refuse_run_folder(path)
    try:
        folder = model_folder(path)
    except InputError:
        if path.suffix not in _FOREIGN or not path.is_file():
            raise InputError(
                f"--pretrained_model {path}: neither a model folder (config.json and weights) nor "
                f"a weight file ({', '.join(_FOREIGN)})."
            ) from None
        hints = Hints(config.patch) if config.model_name == "unetr" else Hints()
        found = read_network(path, hints)
        notes = tuple(f"assumed, for the file does not say: {s}" for s in found.assumed)
        return _Loaded(found.model, notes, found.fresh)
    info = load_info(folder)
    if isinstance(config, TrainConfig):
        refuse_classifier(folder, info, "fdif train starts from")
    said = info.provenance.get("trained_on")
    notes = (f"it was trained on {said}",) if said else ()
    return _Loaded(load_model(folder), notes, (), info.intensities.get("kind"))


def _check_claims(config: TrainConfig, found: Config) -> None:
    """What the options say of the pretrained model must be so."""
    outputs: Any = found.out_channels
    for name, said, actual in (
        ("out", config.pretraining_out_channel, outputs),
        ("in", config.pretraining_in_channels, found.in_channels),
    ):
        if said is not None and said != actual:
            raise InputError(
                f"--pretraining_{name}_channel{'s' if name == 'in' else ''} is {said}, but "
                f"{config.pretrained_model} has {_said(actual)}; leave the option out, or give the "
                "other model."
            )


def of_config(model: Network, wanted: Config, config: RunConfig) -> Network:
    """The same weights in a network with the run's precision and recomputation.

    Raises:
      InputError: another network, or one built otherwise.
    """
    found = model.config
    if type(found) is not type(wanted):
        raise InputError(
            f"{config.pretrained_model} is of {family_of(found)}, not of {config.model_name}; give "
            f"--model_name {family_of(found)}, or another model."
        )
    differing = [
        f"{field.name} is {getattr(found, field.name)}, wanted {getattr(wanted, field.name)}"
        for field in dataclasses.fields(wanted)
        if field.name not in _MAY_DIFFER
        and getattr(found, field.name) != getattr(wanted, field.name)
    ]
    if differing:
        raise InputError(
            f"{config.pretrained_model} does not fit the network of this run "
            f"({len(differing)} mismatches): {'; '.join(differing)}."
        )
    same = {name: getattr(wanted, name, None) for name in ("remat", "dtype", "dropout")}
    own = {k: v for k, v in same.items() if v is not None and hasattr(found, k)}
    if all(getattr(found, k) == v for k, v in own.items()):
        return model
    new = build(dataclasses.replace(found, **own), rngs=nnx.Rngs(0))
    nnx.update(new, nnx.state(model, (nnx.Param, nnx.BatchStat)))
    return new


def numbers(model: AnyNetwork) -> str:
    """How many there are in its weights."""
    return f"{sum(v.size for v in weights_of(model).values()):,} numbers"


def _said(value: Any) -> str:
    return str(value) if isinstance(value, int) else ", ".join(f"{t}: {n}" for t, n in value)
