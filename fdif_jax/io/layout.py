"""What a layout is: where the files of a data set lie and what is in them, as pure functions.

The writer knows only the ``Layout`` protocol: a layout turns one sample into named bytes, lists
the files of a sample and the metadata of the whole, and tells an intact file from another. All
paths are relative to out_dir, with forward slashes.
"""

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from fdif_jax.io import nifti
from fdif_jax.io.manifest import Generation
from fdif_jax.io.stamp import Stamp

TRAINING, VALIDATION = "training", "validation"
PER_FOLDER = 100
ENDING = ".nii.gz"


@dataclasses.dataclass(frozen=True, slots=True)
class SampleRef:
    """One sample: its split and its number within the split."""

    split: str
    index: int


class Sample(Protocol):
    """What a recipe produces: ``image`` (D, H, W) and ``label`` as the layout needs them."""

    image: Any
    label: Any


class View(NamedTuple):
    """What a picture shows of a sample."""

    title: str
    image: np.ndarray
    """(D, H, W), 0 to 128."""
    label: np.ndarray | None
    """(D, H, W) or (D, H, W, tasks) ids; None where voxels have no labels."""


class Layout(Protocol):
    """One way to lay out a data set; a value made from a ``Generation``."""

    @property
    def generation(self) -> Generation:
        """What is laid out."""

    @property
    def homes(self) -> tuple[str, ...]:
        """Folders that get a generation.json; the first one decides."""

    def files(self, ref: SampleRef) -> tuple[str, ...]:
        """The files of one sample, scene and picture aside."""

    def encode(self, ref: SampleRef, sample: Sample) -> dict[str, bytes]:
        """The content of each of ``files(ref)``."""

    def flaw(self, ref: SampleRef, path: str, data: bytes) -> str | None:
        """Why ``data`` is not this sample's intact file; None where it is."""

    def scene_file(self, ref: SampleRef) -> str | None:
        """Where --save_scenes puts the scene; None where the layout has no place for it."""

    def picture_file(self, ref: SampleRef) -> str:
        """Where --num_visualize puts the picture."""

    def view(self, ref: SampleRef, contents: Sequence[bytes]) -> "View":
        """What a picture shows of the sample with ``contents`` in ``files(ref)``."""

    def metadata(self) -> dict[str, bytes]:
        """The files that say that the set is whole."""


def number(generation: Generation, ref: SampleRef) -> int:
    """The number in the file names: validation is numbered after training."""
    return ref.index + (generation.counts[TRAINING] if ref.split == VALIDATION else 0)


def samples(generation: Generation) -> Iterator[SampleRef]:
    """Every sample of the set, in the order of their numbers."""
    for split in (TRAINING, VALIDATION):
        for index in range(generation.counts[split]):
            yield SampleRef(split, index)


def volumes(layout: str, tasks: Collection[str], image: Any, label: Any) -> dict[str, np.ndarray]:
    """The arrays of one sample by kind; nnU-Net wants every task in a file of its own.

    Args:
      layout: ``monai`` or ``nnunet``.
      tasks: the task names in the order of the label's last axis; empty for one task.
      image: (D, H, W).
      label: (D, H, W) or (D, H, W, tasks).
    """
    image, label = np.asarray(image), np.asarray(label)
    if layout == "monai" or not tasks:
        return {"image": image, "label": label}
    parts = {kind: label[..., axis] for axis, kind in enumerate(label_kinds(tasks))}
    return {"image": image} | parts


def label_kinds(tasks: Collection[str]) -> tuple[str, ...]:
    """The nnU-Net label kinds: the first task is what stock nnU-Net trains on."""
    names = list(tasks) or ["shape"]
    return ("label", *(f"label_{task}" for task in names[1:]))


def encode_volumes(
    generation: Generation, paths: dict[str, str], ref: SampleRef, sample: Sample
) -> dict[str, bytes]:
    """One NIfTI file for each kind of ``paths``, labels in the smallest type for the classes."""
    classes = generation.classes
    label = np.asarray(sample.label).astype(classes.dtype, copy=False)
    arrays = volumes(generation.config.layout, classes.tasks, sample.image, label)
    return {
        paths[kind]: nifti.encode(a, stamp(generation, ref, kind)) for kind, a in arrays.items()
    }


def flaw_of_volume(
    generation: Generation, paths: dict[str, str], ref: SampleRef, path: str, data: bytes
) -> str | None:
    """``Layout.flaw`` for NIfTI files, by stamp and checksum."""
    kind = next(kind for kind, own in paths.items() if own == path)
    return nifti.flaw(data, stamp(generation, ref, kind))


def view_of_volumes(path: str, contents: Sequence[bytes]) -> View:
    """``Layout.view`` of NIfTI files, image and label first."""
    image, label = (nifti.decode(data)[0] for data in contents[:2])
    return View(path.rpartition("/")[2].partition(".")[0], image, label)


def stamp(generation: Generation, ref: SampleRef, kind: str) -> Stamp:
    """What the file of one kind of one sample says of itself."""
    return Stamp(generation.config_hash, ref.split, ref.index, kind)
