"""What defines a training run: the same config, the same weights, bit for bit on one machine."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from fdif_jax.config import MAX_GRID, MAX_SEED, GenerateConfig
from fdif_jax.errors import InputError, lookup

Loss = Literal["dice_ce", "ce"]
Precision = Literal["fp32", "bf16"]
Kind = Literal["pretraining", "training_from_scratch", "fine_tuning", "classification"]
"""What a run folder is called after."""
DEFAULT_PATCH = (96, 96, 96)
DEFAULT_SPACING = (1.5, 1.5, 2.0)
DEFAULT_OUT_CHANNEL = 14
DEFAULT_IN_CHANNELS = 1
GENERATED_CASES = 20
"""Validation volumes of a run without files."""
_INT32 = 2**31 - 1  # the device counts updates in it
MAX_CLASSES = 2**16
"""With background; the ids of a label are two bytes at most."""
_RANGES = {
    **dict.fromkeys(("batch_size", "num_crops", "accumulation", "eval_every"), (1, _INT32)),
    **dict.fromkeys(("max_iterations", "in_channels", "eval_max_cases"), (1, _INT32)),
    **dict.fromkeys(("freeze_encoder", "early_stop"), (0, _INT32)),
    "out_channel": (2, MAX_CLASSES),
    "seed": (0, MAX_SEED),
    "fold": (0, _INT32),
}
_PATHS = ("data", "pretrained_model")
_MM = (1e-6, 1e6)
_RATES = (1e-30, 1e30)  # an update by more overflows float32, by less is none


@dataclasses.dataclass(frozen=True, slots=True)
class TrainConfig:
    """A run, but for its place and what machine it runs on.

    Attributes:
      model_name: one of ``fdif list models``.
      data: a data list; or
      generation: what to render on the fly. One of the two is None.
      out_channel: classes and background; None takes what the data say.
      in_channels: of the images.
      pretraining_in_channels: of ``pretrained_model``; None takes what it says.
      pretraining_out_channel: of ``pretrained_model``; None takes what it says.
      pretrained_model: a model folder, or a foreign weight file.
      patch: voxels per axis of a crop.
      model_options: further fields of the network's config, as pairs.
      batch_size: volumes an update, over all devices.
      num_crops: of each volume.
      accumulation: batches that one update is the mean of.
      max_iterations: updates.
      learning_rate: its largest value.
      loss: ``dice_ce`` or ``ce``.
      precision: of the network's products; norms, softmax and loss are float32.
      remat: blocks are computed again for the gradient, to save memory.
      multi_task: a head for each task.
      resample: real images: resample to ``spacing``, and cache.
      spacing: mm; None keeps each volume's own.
      intensity: how voxels are scaled; see ``fdif_jax.data.intensities``.
      augment: flips, turns and shifts.
      eval_every: updates between validations.
      eval_max_cases: validate with so many cases at most.
      freeze_encoder: the encoder stays as it is for so many updates.
      early_stop: stop after so many validations without a better score; 0 never does.
      seed: of weights, order, crops, augmentation, dropout, and of volumes on the fly.

    Raises:
      InputError: a number is out of range, or two options exclude each other.
    """

    model_name: str
    data: str | None = None
    generation: GenerateConfig | None = None
    out_channel: int | None = None
    in_channels: int = DEFAULT_IN_CHANNELS
    pretraining_in_channels: int | None = None
    pretraining_out_channel: int | None = None
    pretrained_model: str | None = None
    patch: tuple[int, int, int] = DEFAULT_PATCH
    model_options: tuple[tuple[str, Any], ...] = ()
    batch_size: int = 1
    num_crops: int = 4
    accumulation: int = 1
    max_iterations: int = 30000
    learning_rate: float = 1e-4
    loss: Loss = "dice_ce"
    precision: Precision = "fp32"
    remat: bool = False
    multi_task: bool = False
    resample: bool = False
    spacing: tuple[float, float, float] | None = DEFAULT_SPACING
    intensity: str = "auto"
    augment: bool = True
    eval_every: int = 500
    eval_max_cases: int | None = None
    freeze_encoder: int = 0
    early_stop: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks what can be checked without looking at files."""
        if (self.data is None) == (self.generation is None):
            raise InputError("give either --data_json_path or --on_the_fly, not both or neither.")
        check_common(self)
        if self.generation is not None and self.generation.grid != self.patch:
            raise InputError(
                f"grid_size is {_words(self.patch)}, but volumes on the fly have "
                f"{_words(self.generation.grid)}; every crop is a whole volume: make them equal."
            )
        if self.pretrained_model is None and (
            self.pretraining_in_channels is not None or self.pretraining_out_channel is not None
        ):
            raise InputError(
                "--pretraining_in_channels and --pretraining_out_channel describe a "
                "--pretrained_model; give that, or leave them out."
            )
        if self.generation is not None and (self.resample or self.intensity != "auto"):
            raise InputError(
                "--is_real_data and --intensity are about images in files; leave them out with "
                "--on_the_fly."
            )
        if self.generation is not None and self.in_channels != 1:
            raise InputError(
                f"in_channels is {self.in_channels}, but volumes on the fly have one channel; "
                "leave --in_channels out: fine-tuning adapts one channel to several."
            )

    @property
    def crops(self) -> int:
        """Crops in a batch."""
        return self.batch_size * self.num_crops

    def to_json(self) -> dict[str, Any]:
        """The run as plain JSON values."""
        record = dataclasses.asdict(self)
        record["model_options"] = dict(self.model_options)
        if self.generation is not None:
            record["generation"] = self.generation.to_json()
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "TrainConfig":
        """The inverse of ``to_json``.

        Raises:
          InputError: an unknown key, or a value that is not allowed.
        """
        values = plain_values(cls, record)
        if values.get("generation") is not None:
            values["generation"] = GenerateConfig.from_json(values["generation"])
        return cls(**values)


def plain_values(cls: type, record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a config from its JSON, lists as tuples.

    Raises:
      InputError: an unknown key.
    """
    fields = {field.name: None for field in dataclasses.fields(cls)}
    for name in record:
        lookup(fields, name, kind="key of a training config")
    values: dict[str, Any] = {k: as_tuples(v) for k, v in record.items()}
    options = dict(values.get("model_options") or {})
    values["model_options"] = tuple((k, as_tuples(v)) for k, v in sorted(options.items()))
    return values


def check_common(config: Any) -> None:
    """Checks what the configs of all kinds of runs have in common.

    Raises:
      InputError: a number is out of range.
    """
    for name, (least, most) in _RANGES.items():
        _in_range(name, getattr(config, name, None), least, most)
    low, high = _RATES
    if not low <= config.learning_rate <= high:
        raise InputError(f"learning_rate is {config.learning_rate}; allowed: {low:g} to {high:g}.")
    if config.spacing is not None and not all(_MM[0] <= s <= _MM[1] for s in config.spacing):
        raise InputError(f"spacing is {_words(config.spacing)}; give three sizes in mm, or native.")
    if len(config.patch) != 3 or not all(1 <= n <= MAX_GRID for n in config.patch):
        raise InputError(
            f"grid_size is {_words(config.patch)}; give three numbers of voxels, 1 to {MAX_GRID}."
        )


@dataclasses.dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is carried out; two runs that differ here alone give the same weights.

    Attributes:
      devices: so many of this process's; None takes all.
      cache_dir: ``none``, a folder, or None for the user's cache folder.
      checkpoint_every: updates between checkpoints; None takes ``eval_every``.
      log_every: updates between lines of the log, the only moments that wait for the device.
      tensorboard: also write a TensorBoard log.
      profile: folder for a trace of a few updates.
      quiet: no progress bar, no lines on the terminal.
    """

    devices: int | None = None
    cache_dir: str | None = None
    checkpoint_every: int | None = None
    log_every: int = 20
    tensorboard: bool = False
    profile: str | None = None
    quiet: bool = False

    def __post_init__(self) -> None:
        """Refuses numbers below one."""
        for name in ("devices", "checkpoint_every", "log_every"):
            _in_range(name, getattr(self, name), 1, _INT32)


def differences(one: Any, other: Any) -> list[str]:
    """``name a, not b`` for every field in which the configs of two runs differ.

    Two ways to write the path of one file are no difference.
    """
    if type(one) is not type(other):
        kinds = ["segmentation" if isinstance(c, TrainConfig) else "classes" for c in (one, other)]
        return [f"{kinds[0]}, not {kinds[1]}"]
    values = {
        field.name: (getattr(one, field.name), getattr(other, field.name))
        for field in dataclasses.fields(one)
    }
    return [
        _difference(name, a, b)
        for name, (a, b) in values.items()
        if a != b and not (name in _PATHS and a and b and _same_path(a, b))
    ]


def as_tuples(value: Any) -> Any:
    """JSON's lists, at any depth, as tuples."""
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def _difference(name: str, a: Any, b: Any) -> str:
    if name != "generation":
        return f"{name} {a}, not {b}"
    if a is None or b is None:
        return f"volumes {'from files' if a is None else 'on the fly'}"
    fields = [f.name for f in dataclasses.fields(a) if getattr(a, f.name) != getattr(b, f.name)]
    return f"what is rendered ({', '.join(fields)})"


def _same_path(a: str, b: str) -> bool:
    return Path(a).expanduser().resolve() == Path(b).expanduser().resolve()


def _in_range(name: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        option = {"accumulation": "gradient_accumulation_steps"}.get(name, name)
        raise InputError(f"{option} is {value}; allowed: {least} to {most}.")


def _words(values: Sequence[float]) -> str:
    return " ".join(map(str, values))
