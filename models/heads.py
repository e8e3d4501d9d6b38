"""What ends a network: one head, or one per task; and the classifier."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from fdif_jax.models.dropout import Dropout
from fdif_jax.models.layers import Linear
from flax import nnx
from jax import Array

from fdif_jax.errors import InputError

# A number of output channels, or one per task. Pairs, not a dict: configs are hashable.
Outputs = int | tuple[tuple[str, int], ...]


def as_outputs(out_channels: int | Mapping[str, int] | Outputs) -> Outputs:
    """The hashable form of ``out_channels``.

    Raises:
      InputError: not positive, or no task at all.
    """
    if isinstance(out_channels, int):
        if out_channels < 1:
            raise InputError(f"out_channels must be at least 1, got {out_channels}.")
        return out_channels
    pairs = out_channels.items() if isinstance(out_channels, Mapping) else out_channels
    outputs = tuple((str(task), int(n)) for task, n in pairs)
    if not outputs or any(n < 1 for _, n in outputs):
        raise InputError(
            f"out_channels must name at least one task with at least one channel, got {outputs}."
        )
    return outputs


def build_heads(outputs: Outputs, build: Callable[[int], Any]) -> Any:
    """``build(n)``, or a dict of them by task."""
    if isinstance(outputs, int):
        return build(outputs)
    return nnx.Dict({task: build(n) for task, n in outputs})


def apply_heads(head: Any, features: Array) -> Array | dict[str, Array]:
    """Float32 logits, or logits by task."""
    if isinstance(head, nnx.Dict):
        return {task: one(features).astype(jnp.float32) for task, one in head.items()}
    return head(features).astype(jnp.float32)


def as_one(logits: Array | dict[str, Array], outputs: Outputs) -> Array:
    """Logits of several tasks one behind the other, in the order of ``outputs``.

    By name, since the order of ``nnx.Dict`` does not outlive taking a network apart.
    """
    if isinstance(outputs, int):
        return logits  # type: ignore[return-value]
    return jnp.concatenate([logits[task] for task, _ in outputs], axis=-1)  # type: ignore[index]


@dataclasses.dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """What defines a classifier.

    Attributes:
      encoder: config of the network whose encoder it has; what that says of outputs has no effect.
      out_channels: classes, or classes by label.
      dropout: probability of zeroing one averaged feature in training.
    """

    encoder: Any
    out_channels: Outputs
    dropout: float = 0.0

    @property
    def in_channels(self) -> int:
        """Of the images."""
        return self.encoder.in_channels


class Classifier(nnx.Module):
    """Average of an encoder's deepest map or tokens, dropout, one linear layer for each label.

    Args:
      encoder: any of the five networks; its decoder is dropped, so it costs nothing here.
      num_classes: width of the result; where an image has several labels, by label.
      dropout: probability of zeroing one averaged feature in training.
      rngs: streams ``params`` and ``dropout``.
    """

    decoder_parts = ("linear",)

    def __init__(
        self,
        encoder: Any,
        num_classes: int | Mapping[str, int] | Outputs,
        *,
        dropout: float = 0.0,
        rngs: nnx.Rngs,
    ):
        if isinstance(num_classes, int) and num_classes < 1:
            raise InputError(f"num_classes must be at least 1, got {num_classes}.")
        outputs = as_outputs(num_classes)
        encoder.drop_decoder()
        self.config = ClassifierConfig(getattr(encoder, "config", None), outputs, dropout)
        self.encoder = encoder
        self.dropout = Dropout(dropout, rngs=rngs)
        self.linear = self._heads(outputs, rngs)

    def __call__(self, x: Array) -> Array | dict[str, Array]:
        """(B, D, H, W, C) to float32 logits (B, num_classes), or to these by label."""
        features = self.encoder.encode(x).astype(jnp.float32)
        pooled = features.mean(axis=tuple(range(1, features.ndim - 1)))
        return apply_heads(self.linear, self.dropout(pooled))

    def replace_head(
        self, out_channels: int | Mapping[str, int] | Outputs, *, rngs: nnx.Rngs
    ) -> None:
        """Fresh linear layers for other classes; everything else stays."""
        outputs = as_outputs(out_channels)
        self.config = dataclasses.replace(self.config, out_channels=outputs)
        self.linear = self._heads(outputs, rngs)

    def with_encoder(self, encoder: Any) -> "Classifier":
        """The same classifier on another encoder of the same width."""
        encoder.drop_decoder()
        self.encoder = encoder
        self.config = dataclasses.replace(self.config, encoder=encoder.config)
        return self

    def check_size(self, size: tuple[int, ...], batch: int = 1) -> None:
        """Refuses images that the encoder cannot take."""
        self.encoder.check_size(size, batch)

    def _heads(self, outputs: Outputs, rngs: nnx.Rngs) -> Any:
        width = self.encoder.encoded_features
        return build_heads(outputs, lambda n: Linear(width, n, rngs=rngs))
