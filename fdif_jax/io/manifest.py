"""generation.json: what a folder's data set is, and whether a run may continue it.

The record is a pure function of configuration, seed and catalog, so every shard writes the same
bytes. Counts, layout and nnU-Net names are not part of the hash: they do not change a sample.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from fdif_jax import __version__
from fdif_jax.classification import ClassificationConfig, DataSetConfig
from fdif_jax.config import GenerateConfig
from fdif_jax.errors import InputError, lookup

FILE = "generation.json"
FORMAT = 1  # raise it when the same configuration gives other bytes than before
_NOT_IN_HASH = (
    *("num_samples", "num_val_samples", "layout", "dataset_id", "dataset_name"),
    *("labels_style", "compression_level"),
)

CONFIGS: dict[str, type[DataSetConfig]] = {
    "monai": GenerateConfig,
    "nnunet": GenerateConfig,
    "ssl3d": ClassificationConfig,
}
"""The kind of configuration by its layout."""

Continuation = Literal["same", "extended"]


class ClassTable(Protocol):
    """What the files need to know of the classes; ``synth.labels`` makes it."""

    @property
    def labels(self) -> Mapping[int, str]:
        """Class id to display label, background 0 included."""

    @property
    def out_channel(self) -> int:
        """Output channels of a network for it: classes and background."""

    @property
    def tasks(self) -> Mapping[str, Mapping[str, int]]:
        """For multi-task: task to {class name: id}; else empty."""

    @property
    def dtype(self) -> Any:
        """Smallest unsigned type that holds the ids."""

    @property
    def volume_ids(self) -> tuple[tuple[int, ...], ...]:
        """Where each volume has one class: the ids of each class, one per label; else empty."""


@dataclasses.dataclass(frozen=True)
class Classes:
    """A class table as it is stored; the fields as in ``ClassTable``."""

    labels: dict[int, str]
    out_channel: int
    tasks: dict[str, dict[str, int]]
    dtype: str
    volume_ids: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, table: ClassTable) -> "Classes":
        """A copy of any class table in plain values."""
        return cls(
            labels={int(k): str(v) for k, v in table.labels.items()},
            out_channel=int(table.out_channel),
            tasks={
                str(task): {str(name): int(i) for name, i in names.items()}
                for task, names in table.tasks.items()
            },
            dtype=np.dtype(table.dtype).name,
            volume_ids=tuple(tuple(map(int, ids)) for ids in table.volume_ids),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; the ids become strings, in their order."""
        record = dataclasses.asdict(self)
        if not self.volume_ids:
            del record["volume_ids"]
        return record | {"labels": {str(k): v for k, v in self.labels.items()}}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Classes":
        """The inverse of ``to_json``."""
        labels = {int(k): v for k, v in record["labels"].items()}
        volume_ids = tuple(map(tuple, record.get("volume_ids", ())))
        return cls(labels, record["out_channel"], record["tasks"], record["dtype"], volume_ids)


@dataclasses.dataclass(frozen=True)
class Generation:
    """All that decides the files of a data set.

    Args:
      config: the configuration, names canonical (so that an alias makes no other data set).
      seed: of all draws.
      classes: which follow from configuration, seed and catalog.
      plugin_hash: of the plugin's source where one replaces the catalog.
    """

    config: DataSetConfig
    seed: int
    classes: Classes
    plugin_hash: str | None = None

    @functools.cached_property
    def counts(self) -> dict[str, int]:
        """Volumes of each split."""
        return self.config.counts(len(self.classes.labels))

    @functools.cached_property
    def config_hash(self) -> str:
        """16 hex digits over everything that decides what sample (split, index) holds."""
        config = self.config.to_json()
        decisive = {k: v for k, v in config.items() if k not in _NOT_IN_HASH}
        record = {
            "format": FORMAT,
            "seed": self.seed,
            "plugin": self.plugin_hash,
            "config": decisive,
            "classes": self.classes.to_json(),
        }
        text = json.dumps(record, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_bytes(self) -> bytes:
        """The content of generation.json."""
        config = self.config.to_json()
        if self.config.layout == "monai":  # not an option of this layout: leave no trace of it
            del config["dataset_id"], config["dataset_name"]
        record = {
            "program": "fdif-jax",
            "version": __version__,
            "format": FORMAT,
            "config_hash": self.config_hash,
            "seed": self.seed,
            "plugin_hash": self.plugin_hash,
            "config": config,
            "classes": self.classes.to_json(),
        }
        return to_json_bytes(record)


def to_json_bytes(record: Any) -> bytes:
    """Readable JSON in ASCII, since other readers open it in the encoding of their locale."""
    return (json.dumps(record, indent=2) + "\n").encode()


def read(folder: Path) -> Generation | None:
    """The record in ``folder``, or None where there is none.

    Raises:
      InputError: there is one, but no run of this program wrote it, or a newer one did.
    """
    path = folder / FILE
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        record = json.loads(text)
        if record["format"] > FORMAT:
            raise InputError(
                f"{path} has format {record['format']}, this version of fdif knows up to "
                f"{FORMAT}; update fdif-jax."
            )
        return Generation(
            config=config_from_json(record["config"]),
            seed=int(record["seed"]),
            classes=Classes.from_json(record["classes"]),
            plugin_hash=record["plugin_hash"],
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path} is not a record of fdif; move it away or choose another out_dir."
        ) from error


def config_from_json(record: Mapping[str, Any]) -> DataSetConfig:
    """A configuration of either kind, told apart by its layout.

    Raises:
      InputError: an unknown layout or key, or a value out of range.
    """
    layout = str(record.get("layout", "monai"))
    return lookup(CONFIGS, layout, kind="layout").from_json(record)


def continuation(old: Generation, new: Generation, folder: Path) -> Continuation:
    """Whether ``new`` is the data set of ``old`` or the same with more training samples.

    Raises:
      InputError: it is neither; the message names what differs.
    """
    if differing := _differences(old, new):
        raise InputError(
            f"{folder} holds a data set of another configuration ({'; '.join(differing)}); "
            "choose another out_dir, or pass --overwrite to replace it."
        )
    had, wanted = old.counts["training"], new.counts["training"]
    if had == wanted:
        return "same"
    if wanted < had or new.counts["validation"]:
        reason = (
            "fewer cannot be taken away"
            if wanted < had
            else "the files of its validation samples are numbered after them"
        )
        raise InputError(
            f"{folder} holds a data set of {had} training samples, num_samples is {wanted}: "
            f"{reason}; choose another out_dir, or pass --overwrite to replace it."
        )
    return "extended"


def _differences(old: Generation, new: Generation) -> list[str]:
    """What differs, as ``name: old there, new asked for``; num_samples aside."""
    before, now = old.config.to_json(), new.config.to_json()
    ignored = {"num_samples"}
    if before["layout"] == now["layout"] == "monai":
        ignored |= {"dataset_id", "dataset_name"}
    # Of configurations of two kinds the layout differs, which is among what they share.
    pairs = {k: (before[k], now[k]) for k in now if k in before and k not in ignored}
    pairs["seed"] = (old.seed, new.seed)
    pairs["plugin source"] = (old.plugin_hash, new.plugin_hash)
    found = [
        f"{k}: {_short(a)} there, {_short(b)} asked for" for k, (a, b) in pairs.items() if a != b
    ]
    if not found and old.config_hash != new.config_hash:
        found = ["its class table"]
    return found


def _short(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
