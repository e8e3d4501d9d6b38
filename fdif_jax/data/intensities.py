"""Intensities as a network takes them: which rule, and the rule applied."""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np

from fdif_jax.data.datalist import DataList
from fdif_jax.errors import InputError, lookup

Kind = Literal["ct", "zscore", "percentile", "none"]
_OPTIONS: dict[str, Kind | None] = {"auto": None} | {kind: kind for kind in get_args(Kind)}
OPTIONS = tuple(_OPTIONS)
"""The values of --intensity."""
_WINDOW = (-175.0, 250.0)
_PERCENTILES = (0.5, 99.5)
_MR = re.compile(r"MRI?|T1.*|T2.*|PD|FLAIR|ADC|DWI", re.IGNORECASE)  # and its usual sequences


@dataclasses.dataclass(frozen=True, slots=True)
class Intensity:
    """One rule, for all channels.

    Attributes:
      kind: ``ct``: ``window`` to [0, 1], clipped. ``zscore``: less the mean, divided by the
        standard deviation. ``percentile``: from the 0.5th to the 99.5th percentile to [0, 1],
        clipped. ``none``: as in the file. zscore and percentile take their numbers from each
        volume and channel by itself, over its voxels that are not zero, and apply them to all its
        voxels, so that the order of intensities stays.
      window: Hounsfield units, for ``ct``.
    """

    kind: Kind
    window: tuple[float, float] = _WINDOW

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": self.kind, "window": list(self.window)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Intensity":
        """The inverse of ``to_json``; the window may be missing.

        Raises:
          InputError: it is no record of intensities.
        """
        try:
            low, high = map(float, record.get("window") or _WINDOW)
            kind = record["kind"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"intensities {record!r} are not a kind and a window.") from error
        if kind not in get_args(Kind) or not -math.inf < low < high < math.inf:
            raise InputError(
                f"intensities {record!r}: the kind is one of {', '.join(get_args(Kind))}, the "
                "window goes upwards."
            )
        return cls(kind, (low, high))


def choose(option: str, datalist: DataList, lowest: Callable[[], float]) -> Intensity:
    """The rule that --intensity asks for; ``auto`` goes by what the data set says of itself.

    Args:
      option: one of ``OPTIONS``.
      datalist: the data set.
      lowest: gives the lowest voxel of (some of) its volumes; asked where no modality is declared.

    Raises:
      InputError: ``auto`` cannot tell.
    """
    kind = lookup(_OPTIONS, option, kind="intensity")
    return Intensity(kind or _kind_of(datalist, lowest))


def _kind_of(datalist: DataList, lowest: Callable[[], float]) -> Kind:
    modality = datalist.modality
    options = ", ".join(f"--intensity {kind}" for kind in get_args(Kind))
    if datalist.synthetic or (modality and all(name.upper() == "CT" for name in modality)):
        return "ct"
    if modality and all(_MR.fullmatch(name) for name in modality):
        return "zscore"
    if modality:
        raise InputError(
            f"{datalist.path} declares the modality {', '.join(modality)}, for which fdif has no "
            f"rule of its own; give one of {options}."
        )
    if lowest() < 0:
        return "ct"
    raise InputError(
        f"{datalist.path} declares no modality, and its volumes hold no negative values, as CT "
        f"would; give one of {options}."
    )


def apply(intensity: Intensity, voxels: np.ndarray) -> np.ndarray:
    """The volume in the network's range, as a new float32 array.

    Args:
      intensity: the rule.
      voxels: (D, H, W, C) float32.
    """
    if intensity.kind == "none":
        return voxels.astype(np.float32)
    result = np.empty(voxels.shape, np.float32)
    for c in range(voxels.shape[-1]):
        channel = voxels[..., c]
        low, width = map(np.float32, _low_and_width(intensity, channel))
        scaled = (channel - low) / (width or np.float32(1))
        result[..., c] = scaled if intensity.kind == "zscore" else np.clip(scaled, 0, 1)
    return result


def floors(intensity: Intensity, voxels: np.ndarray) -> np.ndarray:
    """For each channel the value that foreground lies above: the window's foot, or the lowest."""
    if intensity.kind == "ct":
        return np.full(voxels.shape[-1], intensity.window[0], np.float32)
    return voxels.min(axis=(0, 1, 2))


def _low_and_width(intensity: Intensity, channel: np.ndarray) -> tuple[float, float]:
    """What becomes 0, and how much above it becomes 1; no width where all is one value."""
    if intensity.kind == "ct":
        low, high = intensity.window
        return low, high - low
    values = channel[channel != 0]
    if not values.size:
        return 0.0, 1.0
    if intensity.kind == "zscore":
        return values.mean(dtype=np.float64), values.std(dtype=np.float64)
    low, high = np.percentile(values, _PERCENTILES)
    return low, high - low
