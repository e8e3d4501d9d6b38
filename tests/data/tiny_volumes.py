"""Small NIfTI files and affines for the tests of reading, and where real images are."""

import itertools
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
GOLDENS = ROOT / "tests/goldens/data"


def real(name: str) -> Path:
    """A file of the real data; skips where it is not beside the project."""
    folder = Path(os.environ.get("FDIF_DATA_DIR", ROOT.parent / "shared/data"))
    if not (folder / name).exists():
        pytest.skip(f"{folder / name} is not there; FDIF_DATA_DIR says where real data are")
    return folder / name


def save(path: Path, voxels, affine=None) -> Path:
    """Writes a NIfTI file; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)
    return path


def orientations():
    """The 48 ways in which a file's axes can lie, as affines with three different spacings."""
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            affine = np.eye(4)
            affine[:3, :3] = np.eye(3)[:, order] * signs * (1.1, 0.9, 2.3)
            affine[:3, 3] = (5, -7, 11)
            yield affine


def oblique() -> np.ndarray:
    """Turned by 20 and 15 degrees, anisotropic, left-handed."""
    a, b = np.deg2rad([20, 15])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = turn * (-0.8, 1.2, 3.0)
    affine[:3, 3] = (30, -12, 4)
    return affine


def sheared() -> np.ndarray:
    """As of a tilted gantry: the third axis leans towards the second."""
    affine = np.diag([1.0, 0.7, 2.0, 1.0])
    affine[1, 2] = 0.6
    return affine
