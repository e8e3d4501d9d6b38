"""Measured fields of the public implementation: where they are, and how far we may differ."""

import functools
import json
import os
from pathlib import Path

import numpy as np
import pytest

from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.replay import scene_from_records

ROOT = Path(__file__).parents[2]
BESIDE_THE_TESTS = ROOT / "tests/goldens/generator"
ENVIRONMENT = "FDIF_GOLDENS_DIR"

# The accepted differences of float32 programs, as measured between two implementations.
SDF_ABSOLUTE, SDF_RELATIVE = 2e-3, 2e-6
INSIDE_VOXELS, INSIDE_SHARE = 2, 0.0005
IMAGE_LEVELS, IMAGE_SHARE = 1, 0.999
LABEL_SHARE = 0.9999


def folder_of(name: str) -> Path | None:
    """The folder that holds ``name``; files above 400 kB are kept outside the repository."""
    folders = [BESIDE_THE_TESTS, ROOT.parent / "shared/goldens/generator"]
    if os.environ.get(ENVIRONMENT):
        folders.append(Path(os.environ[ENVIRONMENT]))
    return next((folder for folder in folders if (folder / name).is_file()), None)


def arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays of one golden file; skips the test where it is not there."""
    if (folder := folder_of(name)) is None:
        pytest.skip(f"{name} is too large for the repository; its folder goes in ${ENVIRONMENT}")
    with np.load(folder / name) as file:
        return dict(file)


@functools.cache
def records(name: str) -> list[dict]:
    """The records of one golden file, which all are in the repository."""
    return json.loads((BESIDE_THE_TESTS / name).read_text())


def as_scene(goldens: list[dict], slots: int | None = None):
    """The arrays of golden records."""
    catalog = Catalog.default()
    return scene_from_records([_named(catalog, g) for g in goldens], catalog, slots=slots)


def _named(catalog: Catalog, golden: dict) -> dict:
    if "first" in golden:
        parts = {part: _named(catalog, golden[part]) for part in ("first", "second")}
    else:
        parts = {"primitive": catalog.find_primitive(golden["reference_name"]).name}
    return {"class_id": 1, "displacement": None, "mapper": "inverse_cube", **golden, **parts}


def assert_field(got: np.ndarray, want: np.ndarray) -> None:
    allowed = SDF_ABSOLUTE + SDF_RELATIVE * np.abs(want)
    worst = np.argmax(np.abs(got - want) / allowed)
    assert np.all(np.abs(got - want) <= allowed), (got[worst], want[worst])


def assert_inside(got: int, want: int) -> None:
    assert abs(got - want) <= max(INSIDE_VOXELS, INSIDE_SHARE * want), (got, want)


def assert_image(got: np.ndarray, want: np.ndarray) -> None:
    near = np.abs(got.astype(int) - want.astype(int)) <= IMAGE_LEVELS
    assert near.mean() >= IMAGE_SHARE, near.mean()


def assert_label(got: np.ndarray, want: np.ndarray) -> None:
    assert np.mean(got == want) >= LABEL_SHARE, np.mean(got == want)
