"""Classification sets in one ``.npz``, as MedMNIST has them: images and labels by split."""

import dataclasses
import threading
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fdif_jax.data.classified import Classified, Example, numbered
from fdif_jax.data.images import Image
from fdif_jax.errors import InputError

_SPLITS = ("train", "val", "test")
_FORM = "give train_images and train_labels (and val_…, test_…)"
_COLOURS = (3, 4)
_BRIGHTEST = np.float32(255)
# As zipfile and numpy tell of bytes that were damaged, encrypted, or promise too much.
_UNREADABLE = (
    *(OSError, ValueError, EOFError, KeyError, RuntimeError, NotImplementedError, MemoryError),
    *(zipfile.BadZipFile, zlib.error),
)


def read_archive(path: Path) -> Classified:
    """The set; labels are read, and the headers of the images.

    Images are (N, D, H, W) or (N, D, H, W, C), uint8, which become 0 to 1, or floats, which stay;
    labels (N,), (N, 1), or (N, L) with a column for each of several labels.

    Raises:
      InputError: not such a file; arrays are missing or do not fit each other.
    """
    archive = _Archive(path)
    if not {"train_images", "train_labels"} <= archive.headers.keys():
        raise InputError(f"{path} holds {', '.join(archive.headers) or 'nothing'}; {_FORM}.")
    splits = [s for s in _SPLITS if f"{s}_images" in archive.headers]
    labels = {split: archive.labels(split) for split in splits}
    columns = {array.shape[1] for array in labels.values()}
    if len(columns) > 1:
        raise InputError(f"{path} has {sorted(columns)} labels an image in its splits; mend it.")
    every = [tuple(map(int, row)) for array in labels.values() for row in array]
    sides = {split: _examples(archive, split, labels[split]) for split in splits}
    return Classified(
        path,
        numbered(path, every),
        sides["train"],
        sides.get("val", ()),
        sides.get("test", ()),
    )


@dataclasses.dataclass
class _Archive:
    """The arrays of a file, each read when it is first asked for, and kept."""

    path: Path
    _kept: dict[str, np.ndarray] = dataclasses.field(default_factory=dict, init=False)
    _lock: Any = dataclasses.field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        """Reads the headers."""
        self.headers: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
        try:
            with zipfile.ZipFile(self.path) as file:
                for name in file.namelist():
                    with file.open(name) as member:
                        version = np.lib.format.read_magic(member)
                        read = getattr(
                            np.lib.format, f"read_array_header_{version[0]}_{version[1]}"
                        )
                        shape, _, dtype = read(member)
                        self.headers[name.removesuffix(".npy")] = shape, dtype
        except (*_UNREADABLE, AttributeError) as error:
            raise InputError(f"{self.path} is no .npz of arrays, or damaged ({error}).") from error

    def array(self, name: str) -> np.ndarray:
        with self._lock:
            if name not in self._kept:
                try:
                    with np.load(self.path, allow_pickle=False) as file:
                        self._kept[name] = file[name]
                except _UNREADABLE as error:
                    raise InputError(
                        f"{self.path}: {name} cannot be read ({error}); get the file again."
                    ) from error
            return self._kept[name]

    def labels(self, split: str) -> np.ndarray:
        """(N, L) class ids, checked against the images' header."""
        name = f"{split}_labels"
        shape, dtype = self.headers[f"{split}_images"]
        if len(shape) not in (4, 5) or min(shape) < 1 or dtype.kind not in "uif":
            raise InputError(
                f"{self.path}: {split}_images have shape {shape} {dtype}; numbers (N, D, H, W) or "
                "(N, D, H, W, C) are needed."
            )
        if len(shape) == 4 and shape[3] in _COLOURS:
            raise InputError(
                f"{self.path}: {split}_images have shape {shape}, which are pictures of "
                f"{shape[3]} colours; volumes (N, D, H, W) or (N, D, H, W, C) are needed."
            )
        if (dtype == np.uint8) != (self.headers["train_images"][1] == np.uint8):
            raise InputError(
                f"{self.path}: {split}_images are {dtype}, train_images "
                f"{self.headers['train_images'][1]}; give all splits one type."
            )
        if name not in self.headers:
            raise InputError(f"{self.path} has {split}_images without {name}; {_FORM}.")
        labels = self.array(name)
        if labels.ndim not in (1, 2) or len(labels) != shape[0] or labels.size == 0:
            raise InputError(
                f"{self.path}: {name} have shape {labels.shape}, of {shape[0]} images; one row for "
                "each image is needed."
            )
        if labels.dtype.kind not in "ui" or labels.min() < 0:
            raise InputError(f"{self.path}: {name} are no class ids; give integers from 0 on.")
        return labels.reshape(len(labels), -1)


def _examples(archive: _Archive, split: str, labels: np.ndarray) -> tuple[Example, ...]:
    return tuple(
        Example(f"{split}_{i:05d}", tuple(map(int, row)), partial(_read, archive, split, i))
        for i, row in enumerate(labels)
    )


def _read(archive: _Archive, split: str, index: int) -> Image:
    array = archive.array(f"{split}_images")[index]
    with np.errstate(over="ignore"):  # infinity is refused below
        voxels = array.astype(np.float32)
    if array.dtype == np.uint8:
        voxels /= _BRIGHTEST
    if not np.isfinite(voxels).all():
        raise InputError(f"{archive.path}: {split}_images[{index}] holds NaN or infinity; mend it.")
    return Image(voxels if voxels.ndim == 4 else voxels[..., None], np.eye(4))
