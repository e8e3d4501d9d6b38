"""Which form a classification set has, and the set."""

from pathlib import Path

from fdif_jax.data.class_archive import read_archive
from fdif_jax.data.class_folder import read_folder
from fdif_jax.data.class_table import read_table
from fdif_jax.data.classified import Classified
from fdif_jax.errors import InputError
from fdif_jax.io.ssl3d import LABELS

FORMS = (".npz", ".csv")
"""Of a set that is one file."""


def is_classified(path: Path) -> bool:
    """Whether there is a classification set at the path, whole or not, and no other input."""
    return (path / LABELS).is_file() if path.is_dir() else path.suffix in FORMS


def read_classified(path: Path, *, fold: int = 0, channels: int = 1) -> Classified:
    """The classification set at a path.

    Args:
      path: a folder in SSL3D's layout, an ``.npz`` as MedMNIST has them, or a ``.csv`` of images
        and labels.
      fold: of a folder's splits; the other forms have one.
      channels: of an image.

    Raises:
      InputError: there is none, or it contradicts itself.
    """
    if path.is_dir():
        if not (path / LABELS).is_file():
            raise InputError(
                f"{path} has no {LABELS}; give a folder in SSL3D's layout, or list NIfTI files in "
                "a .csv of image, label and split."
            )
        return read_folder(path, fold)
    if not path.is_file():
        raise InputError(f"{path} is missing; give a folder, an .npz or a .csv.")
    if fold:
        raise InputError(f"fold is {fold}, but {path} has one split; leave --fold out.")
    if path.suffix == ".npz":
        return read_archive(path)
    if path.suffix == ".csv":
        return read_table(path, channels)
    raise InputError(
        f"{path} is no classification set; give a folder in SSL3D's layout, an .npz or a .csv."
    )
