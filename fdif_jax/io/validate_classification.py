"""What SSL3D_classification demands of a data set, with file and value in every finding.

Each fold's cases must have a label and a volume, (C, D, H, W) float32 without NaN; no case may be
in both lists of a fold, and validation may show no class that training does not.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from fdif_jax.errors import InputError
from fdif_jax.io import b2nd, datasets, manifest
from fdif_jax.io.layout import samples
from fdif_jax.io.ssl3d import LABELS, SPLITS, VOLUMES, Ssl3dLayout

_SIDES = ("train", "val")


def check(root: Path, *, workers: int) -> tuple[int, list[str]]:
    """The number of cases, and what is wrong with the data set in ``root``.

    Args:
      root: the folder of labelsTr.json.
      workers: threads.

    Raises:
      InputError: labels or splits cannot be read.
    """
    labels, folds = datasets.load_metadata(root / LABELS), datasets.load_list(root / SPLITS)
    layout = _ours(root)
    errors = [*check_labels(labels), *_check_folds(folds, labels)]
    stamps = {} if layout is None else {layout.files(r)[0]: r for r in samples(layout.generation)}
    if layout is not None:
        errors += _changed(root, layout)

    def look(case: str) -> tuple[tuple[int, ...], list[str]]:
        name = f"{VOLUMES}/{case}{b2nd.ENDING}"
        try:
            data = (root / name).read_bytes()
        except FileNotFoundError:
            return (), [f"{name}: is missing"]
        except OSError as error:
            return (), [f"{name}: cannot be read ({error.strerror})"]
        flaw = layout.flaw(stamps[name], name, data) if layout and name in stamps else None
        if flaw is not None:
            return (), [f"{name}: {flaw}"]
        shape, problems = _check_volume(data)
        return shape, [f"{name}: {problem}" for problem in problems]

    with ThreadPoolExecutor(workers) as pool:
        looks = list(pool.map(look, labels))
    errors += [text for _, found in looks for text in found]
    errors += _other_channels(labels, [shape for shape, _ in looks])
    return len(labels), [*errors, *_strays(root, labels)]


def _ours(root: Path) -> Ssl3dLayout | None:
    """The layout of a data set that fdif wrote."""
    generation = manifest.read(root)
    if generation is None or generation.config.layout != "ssl3d":
        return None
    return Ssl3dLayout(generation)


def _changed(root: Path, layout: Ssl3dLayout) -> list[str]:
    """Labels and splits that are not those that fdif wrote; the rest is for the person to edit."""
    metadata = layout.metadata()
    return [
        f"{name}: was changed after fdif wrote it"
        for name in (LABELS, SPLITS)
        if (root / name).read_bytes() != metadata[name]
    ]


def check_labels(labels: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the labels: no class ids, or of several forms."""
    if not labels:
        yield "there are no cases"
    lengths = Counter(len(label) if isinstance(label, list) else 0 for label in labels.values())
    usual = lengths.most_common(1)[0][0] if lengths else 0
    for case, label in labels.items():
        ids = label if isinstance(label, list) else [label]
        if not ids or any(type(i) is not int or i < 0 for i in ids):
            yield f"{LABELS}: {case} has label {label!r}; give class ids of at least 0"
        elif (len(label) if isinstance(label, list) else 0) != usual:
            yield f"{LABELS}: {case} has label {label!r}, which is of another form than the others"


def _check_folds(folds: list[Any], labels: dict[str, Any]) -> Iterator[str]:
    if len(folds) < 2:
        yield f"{SPLITS}: holds {len(folds)} folds; 2 or more are needed"
    told: set[str] = set()
    for number, fold in enumerate(folds):
        problems = [*check_fold(fold, labels)]
        if isinstance(fold, dict) and fold.get("val") == []:
            problems.append("has no cases in 'val'")
        for problem in problems:
            if problem not in told:  # folds may all be alike
                yield f"{SPLITS}: fold {number} {problem}"
            told.add(problem)


def check_fold(fold: Any, labels: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one fold; fits behind its name. Validation may be empty here."""
    if not isinstance(fold, dict) or not all(isinstance(fold.get(side), list) for side in _SIDES):
        yield "has no lists 'train' and 'val'"
        return
    if not fold["train"]:
        yield "has no cases in 'train'"
    for side in _SIDES:
        for case, count in Counter(map(str, fold[side])).items():
            if case not in labels:
                yield f"names {case}, which {LABELS} does not"
            if count > 1:
                yield f"names {case} {count} times in {side!r}"
    both = sorted({str(case) for case in fold["train"]} & {str(case) for case in fold["val"]})
    if both:
        yield f"has {both[0]} in both 'train' and 'val'"
    seen, asked = (
        {one for case in fold[side] for one in _classes(labels.get(str(case), []))}
        for side in _SIDES
    )
    if unknown := sorted(asked - seen, key=str):
        place, class_id = unknown[0]
        of = f" of label {place}" if place else ""
        yield f"validates class {class_id}{of}, of which it trains on nothing"


def _classes(label: Any) -> Iterator[tuple[int, Any]]:
    """The class of each label of a case."""
    return enumerate(label if isinstance(label, list) else [label])


def _check_volume(data: bytes) -> tuple[tuple[int, ...], list[str]]:
    """The shape of a volume, and what is wrong with it."""
    try:
        array = b2nd.decode(data)
    except InputError as error:
        return (), [str(error)]
    problems = []
    if array.ndim != 4 or array.dtype != np.float32 or not array.size:
        problems.append(f"shape {array.shape} {array.dtype}; (C, D, H, W) float32 is needed")
    if not np.isfinite(array).all():
        problems.append("holds NaN or infinity")
    return array.shape, problems


def _other_channels(labels: dict[str, Any], shapes: list[tuple[int, ...]]) -> Iterator[str]:
    """Volumes with another number of channels than most."""
    channels = {case: s[0] for case, s in zip(labels, shapes, strict=True) if len(s) == 4}
    usual = Counter(channels.values()).most_common(1)
    for case, count in channels.items():
        if count != usual[0][0]:
            name = f"{VOLUMES}/{case}{b2nd.ENDING}"
            yield f"{name}: {count} channels, most others have {usual[0][0]}"


def _strays(root: Path, labels: dict[str, Any]) -> Iterator[str]:
    for path in sorted((root / VOLUMES).glob(f"*{b2nd.ENDING}")):
        if path.name.removesuffix(b2nd.ENDING) not in labels:
            yield f"{VOLUMES}/{path.name}: belongs to no case"
