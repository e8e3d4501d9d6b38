"""nnU-Net's rules for a data set of voxels with labels, with file and value in every finding.

Errors are what nnU-Net refuses (a missing file, a value that is not declared, a gap in the
declared ids, NaN, a shape or spacing unlike the image's, another number of channels) and what
makes a data set not the one it says it is (cut-off, foreign, stray files). A differing origin or
direction is a warning there, and here.
"""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fdif_jax.io import datasets, nifti, resume, validate_classification
from fdif_jax.io.continuing import refuse_unfinished
from fdif_jax.io.datasets import Case, Declared, LabelFile
from fdif_jax.io.layout import SampleRef, samples
from fdif_jax.io.layouts import layout_for
from fdif_jax.io.ssl3d import LABELS

_SHOWN_IDS = 12
_RELATIVE_SPACING = 1e-3


@dataclasses.dataclass(frozen=True, slots=True)
class Findings:
    """What ``validate`` found; each text begins with the file it is about.

    Args:
      root: the data set.
      cases: how many were looked at.
      errors: what must be mended.
      warnings: what may be meant so.
    """

    root: Path
    cases: int
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class _Volume:
    """A file as read: voxels, voxel sizes in mm, affine."""

    array: np.ndarray
    spacing: tuple[float, ...]
    affine: np.ndarray


def validate(path: Path, *, workers: int = 2) -> Findings:
    """Checks the data set at ``path``.

    Args:
      path: a data set's folder, or its data.json, dataset.json or labelsTr.json.
      workers: threads.

    Raises:
      InputError: there is no data set, or it is not finished.
    """
    refuse_unfinished(path)
    metadata = datasets.find(path)
    if metadata.name == LABELS:
        cases, wrong = validate_classification.check(metadata.parent, workers=workers)
        return Findings(metadata.parent, cases, tuple(wrong), ())
    found = datasets.declared(metadata)
    refs = _refs(found)
    with ThreadPoolExecutor(workers) as pool:
        looks = [pool.submit(_check, found, case, refs.get(case.images)) for case in found.cases]
        results = [look.result() for look in looks]
    errors = [*found.problems, *_strays(found)]
    errors += [text for errors, _ in results for text in errors]
    if not found.cases:
        errors.append("there are no cases")
    warnings = [text for _, warnings in results for text in warnings]
    return Findings(found.root, len(found.cases), tuple(errors), tuple(warnings))


def _refs(found: Declared) -> dict[tuple[Path, ...], SampleRef]:
    """For our own data set: which sample each case is, by its images."""
    if found.generation is None or found.out_dir is None:
        return {}
    layout = layout_for(found.generation)
    out_dir = found.out_dir
    return {(out_dir / layout.files(ref)[0],): ref for ref in samples(found.generation)}


def _check(found: Declared, case: Case, ref: SampleRef | None) -> tuple[list[str], list[str]]:
    """Errors and warnings of one case."""
    flawed = {} if ref is None else _foreign(found, ref)
    errors = [f"{_show(found, path)}: {reason}" for path, reason in flawed.items()]
    images = [None if path in flawed else _load(found, path, errors) for path in case.images]
    first = next((image for image in images if image is not None), None)
    warnings: list[str] = []
    channels = 0
    for path, image in zip(case.images, images, strict=True):
        if image is None:
            continue
        name = _show(found, path)
        channels += image.array.shape[3] if image.array.ndim > 3 else 1
        if not np.isfinite(image.array).all():
            errors.append(f"{name}: holds NaN or infinity")
        if first is not None and image is not first:
            errors += _unlike(name, image, case.images[0].name, first, warnings)
    if None not in images and found.channels not in (None, channels):
        name = _show(found, case.images[0])
        errors.append(f"{name}: {channels} channels, {found.channels} are declared")
    for label in case.labels:
        if label.path not in flawed:
            _check_label(found, label, case, first, errors, warnings)
    return errors, warnings


def _check_label(
    found: Declared,
    label: LabelFile,
    case: Case,
    image: _Volume | None,
    errors: list[str],
    warnings: list[str],
) -> None:
    volume = _load(found, label.path, errors)
    if volume is None:
        return
    name = _show(found, label.path)
    if image is not None:
        errors += _unlike(name, volume, case.images[0].name, image, warnings)
    array = volume.array
    if label.stacked:
        if array.ndim != 4 or array.shape[3] != len(label.tasks):
            errors.append(
                f"{name}: shape {array.shape}; the last axis must hold {len(label.tasks)} tasks"
            )
            return
        parts = [array[..., axis] for axis in range(array.shape[3])]
    elif array.ndim > 3 and any(size > 1 for size in array.shape[3:]):
        errors.append(f"{name}: shape {array.shape}; a label has three axes")
        return
    else:
        parts = [array]
    for part, ids in zip(parts, label.tasks, strict=False):
        errors += [f"{name}: {text}" for text in _undeclared(part, ids)]


def _undeclared(array: np.ndarray, ids: frozenset[int]) -> list[str]:
    if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        values = np.flatnonzero(np.bincount(array.ravel(order="K")))
    else:
        values = np.unique(array)
    wrong = [value for value in values.tolist() if value not in ids]
    if not wrong:
        return []
    shown = ", ".join(f"{value:g}" for value in wrong[:_SHOWN_IDS])
    noun = "label" if len(wrong) == 1 else "labels"
    verb = "is" if len(wrong) == 1 else "are"
    return [f"{noun} {shown} {verb} not declared (declared: {_span(ids)})"]


def _span(ids: frozenset[int]) -> str:
    if not ids:
        return "none"
    if ids == frozenset(range(max(ids) + 1)):
        return f"0..{max(ids)}"
    return ", ".join(map(str, sorted(ids)[:_SHOWN_IDS]))


def _unlike(
    name: str, volume: _Volume, other_name: str, other: _Volume, warnings: list[str]
) -> list[str]:
    """Shape and spacing as errors; origin and direction as a warning."""
    shape, expected = volume.array.shape[:3], other.array.shape[:3]
    if shape != expected:
        return [f"{name}: shape {shape}, but {other_name} has {expected}"]
    if not np.allclose(volume.spacing, other.spacing, rtol=_RELATIVE_SPACING):
        return [f"{name}: spacing {volume.spacing}, but {other_name} has {other.spacing}"]
    if not np.allclose(volume.affine, other.affine, atol=1e-3):
        warnings.append(f"{name}: origin or direction differs from that of {other_name}")
    return []


def _load(found: Declared, path: Path, errors: list[str]) -> _Volume | None:
    """Reads a file; where that fails, says why in ``errors``."""
    name = _show(found, path)
    try:
        image = nifti.load(path)
        array = np.asanyarray(image.dataobj)
    except FileNotFoundError:
        errors.append(f"{name}: is missing")
        return None
    except nifti.UNREADABLE as error:
        errors.append(f"{name}: {_first_line(error)}")
        return None
    if array.ndim < 3:
        errors.append(f"{name}: shape {array.shape}; three axes are needed")
        return None
    spacing = tuple(float(size) for size in image.header.get_zooms()[:3])
    return _Volume(array, spacing, image.affine)


def _foreign(found: Declared, ref: SampleRef) -> dict[Path, str]:
    """Files of our own data set that are not the ones that fdif wrote, and why."""
    assert found.generation is not None
    assert found.out_dir is not None
    layout = layout_for(found.generation)
    looked = resume.inspect(found.out_dir, layout, [ref], scenes=True, workers=1)
    return {found.out_dir / path: reason for path, reason in looked.flawed}


def _strays(found: Declared) -> list[str]:
    """Files with the data set's ending in its folders that no case names."""
    named = {path for case in found.cases for path in case.images}
    named |= {label.path for case in found.cases for label in case.labels}
    return [
        f"{_show(found, path)}: belongs to no case"
        for folder, ending in found.folders
        for path in sorted(folder.rglob(f"*{ending}"))
        if path not in named
    ]


def _show(found: Declared, path: Path) -> str:
    return str(path.relative_to(found.root)) if path.is_relative_to(found.root) else str(path)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
