"""What defines the training of a classifier."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

from fdif_jax.errors import InputError
from fdif_jax.train.config import (
    DEFAULT_IN_CHANNELS,
    DEFAULT_PATCH,
    Precision,
    TrainConfig,
    check_common,
    plain_values,
)


@dataclasses.dataclass(frozen=True, slots=True)
class ClassifyConfig:
    """A run, but for its place and what machine it runs on.

    What ``TrainConfig`` has too means the same here.

    Attributes:
      model_name: whose encoder.
      data: a folder in SSL3D's layout, an ``.npz``, or a ``.csv``.
      fold: of a folder.
      in_channels: of the images.
      pretrained_model: its encoder is where training starts.
      patch: voxels per axis that each image is put on, as a whole.
      model_options: further fields of the encoder's config, as pairs.
      batch_size: images in a batch, over all devices.
      label_smoothing: share of a label that is spread over all classes; None: usual for the data.
      dropout: of the averaged features.
      spacing: mm, for NIfTI files; None keeps each image's own.
      intensity: for NIfTI files.

    Raises:
      InputError: a number is out of range.
    """

    model_name: str
    data: str
    fold: int = 0
    in_channels: int = DEFAULT_IN_CHANNELS
    pretrained_model: str | None = None
    patch: tuple[int, int, int] = DEFAULT_PATCH
    model_options: tuple[tuple[str, Any], ...] = ()
    batch_size: int = 4
    accumulation: int = 1
    max_iterations: int = 10000
    learning_rate: float = 1e-4
    label_smoothing: float | None = None
    dropout: float = 0.0
    precision: Precision = "fp32"
    remat: bool = False
    spacing: tuple[float, float, float] | None = None
    intensity: str = "auto"
    augment: bool = True
    eval_every: int = 500
    freeze_encoder: int = 0
    early_stop: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks what can be checked without looking at files."""
        check_common(self)
        for name in ("label_smoothing", "dropout"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise InputError(f"{name} is {value}; allowed: 0 to 1, without 1.")

    @property
    def crops(self) -> int:
        """Images in a batch."""
        return self.batch_size

    def to_json(self) -> dict[str, Any]:
        """The run as plain JSON values."""
        return dataclasses.asdict(self) | {"model_options": dict(self.model_options)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "ClassifyConfig":
        """The inverse of ``to_json``.

        Raises:
          InputError: an unknown key, or a value that is not allowed.
        """
        return cls(**plain_values(cls, record))


RunConfig: TypeAlias = TrainConfig | ClassifyConfig
