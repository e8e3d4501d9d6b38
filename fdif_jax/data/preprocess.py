"""What is done to a volume before a network sees it, as a value that is kept with the weights."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdif_jax.data import geometry, intensities
from fdif_jax.data.datalist import Case
from fdif_jax.data.geometry import Geometry
from fdif_jax.data.images import Image, read_image, read_label
from fdif_jax.data.intensities import Intensity
from fdif_jax.errors import InputError


@dataclasses.dataclass(frozen=True, slots=True)
class Preprocessing:
    """The chain: intensities, crop to the foreground, orientation, spacing, padding.

    Attributes:
      intensity: the rule for the voxels' values.
      spacing: mm along the prepared axes; None keeps each file's own.
      orient: turn the axes to the right, the front and up (RAS+).
      pad_to: least size of each axis at the end.
      crop: to the box around the foreground: above the window's foot for ``ct``, else above the
        channel's lowest value, in any channel.
    """

    intensity: Intensity
    spacing: tuple[float, float, float] | None = None
    orient: bool = True
    pad_to: tuple[int, int, int] | None = None
    crop: bool = True

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the ``intensities`` of a model folder."""
        rest = {"spacing": self.spacing, "orient": self.orient, "pad_to": self.pad_to}
        return {**self.intensity.to_json(), **rest, "crop": self.crop}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Preprocessing":
        """The inverse of ``to_json``; what is missing has its default.

        Raises:
          InputError: a value is not allowed.
        """
        intensity = Intensity.from_json(record)
        try:
            spacing, pad_to = record.get("spacing"), record.get("pad_to")
            return cls(
                intensity,
                None if spacing is None else _three(spacing, float),
                bool(record.get("orient", True)),
                None if pad_to is None else _three(pad_to, int),
                bool(record.get("crop", True)),
            )
        except (TypeError, ValueError) as error:
            raise InputError(
                f"spacing {record.get('spacing')!r} and pad_to {record.get('pad_to')!r} must be "
                "three positive numbers each, or null."
            ) from error


class Prepared(NamedTuple):
    """A volume as the network takes it, and the way back."""

    image: np.ndarray
    """(D, H, W, C) float32."""
    label: np.ndarray | None
    """(D, H, W) or (D, H, W, tasks), as ``read_label`` has it."""
    geometry: Geometry


def prepare(image: Image, label: np.ndarray | None, plan: Preprocessing) -> Prepared:
    """The chain applied to one volume.

    Args:
      image: as read.
      label: of the image's shape, tasks last; or None.
      plan: the chain.

    Raises:
      InputError: the affine is singular, or the spacing makes no sense with it; the message fits
        behind the file's name.
    """
    voxels = image.voxels
    box = None
    if plan.crop:
        inside = voxels > intensities.floors(plan.intensity, voxels)
        box = geometry.bounding_box(np.any(inside, axis=-1))
    place = geometry.plan(
        voxels.shape[:3],
        image.affine,
        box=box,
        orient=plan.orient,
        spacing=plan.spacing,
        pad_to=plan.pad_to,
    )
    scaled = intensities.apply(plan.intensity, voxels)
    return Prepared(
        geometry.to_grid(scaled, place),
        None if label is None else geometry.to_grid(label, place, nearest=True),
        place,
    )


def prepare_case(
    case: Case, plan: Preprocessing, classes: Sequence[int] = (), channels: int | None = None
) -> Prepared:
    """A case read and prepared; without a label where it has none.

    Args:
      case: its files.
      plan: the chain.
      classes: as for ``read_label``.
      channels: as for ``read_image``.

    Raises:
      InputError: a file cannot be read or holds what it should not; the message names it.
    """
    image = read_image(case.images, channels)
    label = read_label(case.label, image.voxels.shape[:3], classes) if case.label else None
    try:
        return prepare(image, label, plan)
    except InputError as error:
        raise InputError(f"{case.images[0]} {error}") from error


def _three(values: Sequence[Any], kind: type) -> tuple[Any, Any, Any]:
    i, j, k = (kind(value) for value in values)
    if not all(0 < value < math.inf for value in (i, j, k)):
        raise ValueError(values)
    return i, j, k
