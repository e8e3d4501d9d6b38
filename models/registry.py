"""Networks by name: presets as frozen values, configs, and the builder."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
from fdif_jax.models.conv import Shape3
from fdif_jax.models.heads import Classifier, ClassifierConfig, as_outputs
from fdif_jax.models.layers import shapes_only
from fdif_jax.models.primus import Primus, PrimusConfig
from fdif_jax.models.resenc import ResEncUNet
from fdif_jax.models.resenc_plan import ResEncConfig, resenc_config, resenc_config_from_plans
from fdif_jax.models.swin_unetr import SwinUNETR, SwinUNETRConfig
from fdif_jax.models.unetr import UNETR, UNETRConfig
from fdif_jax.models.vnet import VNet, VNetConfig
from flax import nnx

from fdif_jax.errors import InputError, lookup

Config: TypeAlias = VNetConfig | UNETRConfig | SwinUNETRConfig | ResEncConfig | PrimusConfig
Network: TypeAlias = VNet | UNETR | SwinUNETR | ResEncUNet | Primus
AnyConfig: TypeAlias = Config | ClassifierConfig
AnyNetwork: TypeAlias = Network | Classifier
Family = Literal["vnet", "unetr", "swin_unetr", "resenc", "primus", "classifier"]

_CONFIGS: dict[Family, type[Config]] = {
    "vnet": VNetConfig,
    "unetr": UNETRConfig,
    "swin_unetr": SwinUNETRConfig,
    "resenc": ResEncConfig,
    "primus": PrimusConfig,
}
_NETWORKS: dict[type[Config], type[Network]] = {
    VNetConfig: VNet,
    UNETRConfig: UNETR,
    SwinUNETRConfig: SwinUNETR,
    ResEncConfig: ResEncUNet,
    PrimusConfig: Primus,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Preset:
    """A network with a name.

    Attributes:
      name: as given to ``create_model`` and ``--model_name``.
      family: which network.
      image_size: patch where none is given.
      rule: the sizes that it takes, for people.
      config: everything else; ResEnc's stages follow from the patch.
    """

    name: str
    family: Family
    image_size: Shape3
    rule: str
    config: Config


_PATCH = (96, 96, 96)
_PRIMUS_RULE = "multiples of 8, fixed when built"
_RESENC_RULE = "multiples of the product of the strides, chosen from the patch"


def _primus(size: str, hidden: int, depth: int, heads: int) -> Preset:
    config = PrimusConfig(hidden_size=hidden, depth=depth, heads=heads)
    return Preset(f"primus_{size}", "primus", _PATCH, _PRIMUS_RULE, config)


PRESETS: tuple[Preset, ...] = (
    Preset("vnet", "vnet", _PATCH, "multiples of 16", VNetConfig()),
    Preset("unetr", "unetr", _PATCH, "multiples of 16, fixed when built", UNETRConfig()),
    Preset("swin_unetr", "swin_unetr", _PATCH, "multiples of 32, not 32x32x32", SwinUNETRConfig()),
    # One network but for its patch, which nnU-Net plans from 8, 24 and 40 GB.
    Preset("resenc_m", "resenc", (128, 128, 128), _RESENC_RULE, ResEncConfig()),
    Preset("resenc_l", "resenc", (160, 160, 160), _RESENC_RULE, ResEncConfig()),
    Preset("resenc_xl", "resenc", (192, 192, 192), _RESENC_RULE, ResEncConfig()),
    _primus("s", 396, 12, 6),
    _primus("b", 792, 12, 12),
    _primus("m", 864, 16, 12),
    _primus("l", 1056, 24, 16),
)
_BY_NAME = {preset.name: preset for preset in PRESETS}


def model_config(
    name: str, *, image_size: Shape3 | None = None, plans: Mapping | None = None, **options: Any
) -> Config:
    """The config of a named network with some of its fields replaced.

    Args:
      name: one of ``PRESETS``.
      image_size: voxels per axis; the preset's patch where not given.
      plans: a parsed nnU-Net ``plans.json``; only for ResEnc, instead of a patch.
      **options: fields of the network's config, e.g. ``out_channels``, ``feature_size``,
        ``remat``, ``dtype``; ``out_channels`` may be a dict by task.

    Raises:
      InputError: an unknown name or option, or a size that the network cannot take.
    """
    preset = lookup(_BY_NAME, name, kind="network", remedy="`fdif list models` shows them.")
    if "out_channels" in options:
        options["out_channels"] = as_outputs(options["out_channels"])
    if options.get("dtype", "float32") not in ("float32", "bfloat16"):
        raise InputError(f"dtype must be float32 or bfloat16, got {options['dtype']!r}.")
    fields = {field.name: None for field in dataclasses.fields(preset.config)}
    for option in options:
        lookup(fields, option, kind=f"option of {name}")
    if preset.family == "resenc":
        planned = (
            resenc_config_from_plans(plans)
            if plans is not None
            else resenc_config(image_size or preset.image_size)
        )
        return dataclasses.replace(planned, **options)
    if plans is not None:
        raise InputError(f"plans describe a ResEnc; {name} is built without them.")
    if "image_size" in fields:
        options["image_size"] = tuple(image_size or preset.image_size)
    return dataclasses.replace(preset.config, **options)


def build(config: Config, *, rngs: nnx.Rngs) -> Network:
    """The network of a config, with fresh weights."""
    return _NETWORKS[type(config)](config, rngs=rngs)  # type: ignore[arg-type]


def build_any(config: AnyConfig, *, rngs: nnx.Rngs) -> AnyNetwork:
    """The network of a config, or the classifier of one, with fresh weights."""
    if not isinstance(config, ClassifierConfig):
        return build(config, rngs=rngs)
    encoder = build(config.encoder, rngs=rngs)
    return Classifier(encoder, config.out_channels, dropout=config.dropout, rngs=rngs)


def abstract_network(config: AnyConfig) -> AnyNetwork:
    """The network or classifier of a config, with shapes in place of numbers."""
    with shapes_only():
        return nnx.eval_shape(lambda: build_any(config, rngs=nnx.Rngs(0)))


def without_weights(config: AnyConfig) -> AnyNetwork:
    """The network or classifier of a config, to be filled: its weights have shapes, no numbers.

    Building one only to replace its weights takes seconds for a large network.
    """
    network = abstract_network(config)
    if jax.tree.leaves(nnx.state(network, nnx.RngState)):  # of dropout: no weights, and not saved

        def random_streams() -> nnx.State:
            return nnx.state(build_any(config, rngs=nnx.Rngs(0)), nnx.RngState)

        with shapes_only():
            nnx.update(network, jax.jit(random_streams)())
    return network


def create_model(
    name: str,
    *,
    rngs: nnx.Rngs,
    image_size: Shape3 | None = None,
    plans: Mapping | None = None,
    **options: Any,
) -> Network:
    """A named network with fresh weights, in training mode.

    Where ``image_size`` is given the network is asked whether it takes it, before it is built.
    See ``model_config`` for the arguments.
    """
    config = model_config(name, image_size=image_size, plans=plans, **options)
    if image_size is not None:
        abstract_network(config).check_size(tuple(image_size))
    return build(config, rngs=rngs)


def family_of(config: AnyConfig) -> Family:
    """The name in files: of a network, e.g. ``swin_unetr``, or ``classifier``."""
    if isinstance(config, ClassifierConfig):
        return "classifier"
    return next(family for family, cls in _CONFIGS.items() if isinstance(config, cls))


def to_record(config: AnyConfig) -> dict[str, Any]:
    """A config as ``{"family": …, "options": …}`` of plain values; ``config_from`` reads it."""
    if not isinstance(config, ClassifierConfig):
        return {"family": family_of(config), "options": dataclasses.asdict(config)}
    options = {"out_channels": config.out_channels, "dropout": config.dropout}
    return {"family": "classifier", "options": {"encoder": to_record(config.encoder), **options}}


def config_from(family: str, values: Mapping[str, Any]) -> AnyConfig:
    """A config from its fields as JSON gives them (lists for tuples).

    Raises:
      InputError: an unknown family or field.
    """
    if family == "classifier":
        encoder = values["encoder"]
        found = config_from(encoder["family"], encoder["options"])
        return ClassifierConfig(found, _tuples(values["out_channels"]), values["dropout"])
    cls = lookup(_CONFIGS, family, kind="network family")  # type: ignore[arg-type]
    fields = {field.name: None for field in dataclasses.fields(cls)}
    for name in values:
        lookup(fields, name, kind=f"field of {family}")
    return cls(**{name: _tuples(value) for name, value in values.items()})


def count_parameters(config: AnyConfig) -> int:
    """Learnt numbers of a network, without building it."""
    model = abstract_network(config)
    return sum(math.prod(p.shape) for p in jax.tree.leaves(nnx.state(model, nnx.Param)))


def training_bytes(config: Config, image_size: Shape3, batch: int = 1) -> int:
    """Memory that a training step must hold: weights, gradients, AdamW, kept activations.

    What a program needs beyond that while it runs depends on the platform; on a CPU it was
    within a factor 1.5 of this.
    """

    def kept(x):
        graph, params, rest = nnx.split(build(config, rngs=nnx.Rngs(0)), nnx.Param, ...)

        def logits(params):
            model = nnx.merge(graph, params, rest, copy=True)
            out = model(x)
            return out, nnx.state(model, nnx.Not(nnx.Param))

        return jax.vjp(logits, params, has_aux=True)[1]

    x = jax.ShapeDtypeStruct((batch, *image_size, config.in_channels), jnp.float32)
    with shapes_only():
        residuals = jax.tree.leaves(jax.eval_shape(kept, x))
    weights = 4 * count_parameters(config)
    activations = sum(math.prod(r.shape) * r.dtype.itemsize for r in residuals) - weights
    return 4 * weights + max(activations, 0)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
