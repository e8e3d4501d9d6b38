"""The classifier that a run starts from: a fresh one, or on the encoder of another model."""

from flax import nnx

from fdif_jax.model_weights import adapt, weights_of
from fdif_jax.models.heads import Classifier
from fdif_jax.models.registry import build_any, family_of
from fdif_jax.train.class_plan import ClassPlan
from fdif_jax.train.start import Start, load_pretrained, numbers, of_config


def first_classifier(plan: ClassPlan) -> Start:
    """The classifier before the first update.

    Raises:
      InputError: the pretrained model cannot be read or is not of this network, with every
        mismatch.
    """
    config, network = plan.config, plan.network
    rngs = nnx.Rngs(config.seed % 2**32)
    if config.pretrained_model is None:
        model = build_any(network, rngs=rngs)
        return Start(model, (f"{config.model_name}: {numbers(model)}, all weights random",))
    loaded = load_pretrained(config)
    found = loaded.model.encoder if isinstance(loaded.model, Classifier) else loaded.model
    encoder = of_config(found, network.encoder, config)
    encoder, changes = adapt(encoder, in_channels=config.in_channels, image_size=config.patch)
    model = Classifier(encoder, network.out_channels, dropout=network.dropout, rngs=rngs)
    total = sum(v.size for v in weights_of(model).values())
    head = sum(v.size for n, v in weights_of(model).items() if n.split(".")[0] == "linear")
    family = family_of(encoder.config)
    notes = [
        f"loaded {config.pretrained_model}: the encoder of its {family}, {total - head:,} numbers"
    ]
    notes += [*loaded.notes, *changes, f"random: the head, {head:,} numbers"]
    kind, own = loaded.intensities, plan.preprocessing.intensity.kind
    if kind is not None and kind != own:
        notes.append(f"its images had the intensities {kind!r}, these have {own!r}")
    kept = {f"encoder.{name}" for name in loaded.fresh} & weights_of(model).keys()
    if kept:
        notes.append(f"random: {len(kept)} tensors that the file does not hold: {min(kept)}, …")
    return Start(model, tuple(notes))
