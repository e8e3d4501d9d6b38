"""A data list made of found cases: who validates, and the JSON record with relative paths."""

import os
import random
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from fdif_jax.data.datalist import Case, read_datalist
from fdif_jax.data.forms import Found
from fdif_jax.errors import InputError, nearest


def of_datalist(folder: Path) -> tuple[Found, tuple[str, ...], tuple[str, ...]]:
    """The cases, modality and class names of an nnU-Net raw data set, or of a Decathlon list.

    Raises:
      InputError: it is neither, has several tasks, or two cases of one name.
    """
    declared = read_datalist(folder)
    if declared.tasks:
        raise InputError(f"{declared.path} has several tasks; fdif train reads it as it is.")
    cases = (*declared.training, *declared.validation)
    _refuse_one_name(cases, declared.path)
    held_out = frozenset(case.id for case in declared.validation)
    found = Found(
        tuple(case for case in cases if case.label),
        tuple(case.id for case in cases if case.label),
        held_out or None,
        tuple(case.images[0] for case in cases if not case.label),
    )
    highest = max(declared.labels, default=0)
    classes = (declared.labels.get(i, f"label {i}") for i in range(1, highest + 1))
    return found, declared.modality, tuple(classes)


def _refuse_one_name(cases: Sequence[Case], path: Path) -> None:
    first: dict[str, Case] = {}
    for case in cases:
        other = first.setdefault(case.id, case)
        if other is not case:
            raise InputError(
                f"{other.images[0]} and {case.images[0]} are both called {case.id}; give each case "
                f"in {path} an id of its own."
            )


def split(
    found: Found, *, fraction: float, seed: int, named: Collection[str] = ()
) -> frozenset[str]:
    """The ids of the validation cases: those named, or those of a fixed split, or drawn ones.

    Args:
      found: the cases.
      fraction: of the groups that are drawn, at least one where it is above 0.
      seed: of the draw.
      named: ids of cases, or of groups.

    Raises:
      InputError: a name is of no case, or nothing is left to train on.
    """
    if not 0 <= fraction < 1:
        raise InputError(f"validation is {fraction}; allowed: 0 to below 1.")
    pairs = list(zip((case.id for case in found.cases), found.groups, strict=True))
    if named:
        known = {name for pair in pairs for name in pair}
        for name in named:
            if name not in known:
                close = nearest(name, known)
                hint = f"; did you mean {close}?" if close else "."
                raise InputError(f"no case is called {name!r}{hint}")
        chosen = frozenset(name for name, group in pairs if name in named or group in named)
    elif found.held_out is not None:
        chosen = found.held_out
    else:
        groups = sorted(set(found.groups))
        count = max(1, round(fraction * len(groups))) if fraction > 0 else 0
        drawn = set(random.Random(seed).sample(groups, min(count, len(groups))))
        chosen = frozenset(name for name, group in pairs if group in drawn)
    if len(chosen) == len(pairs):
        raise InputError(
            f"all {len(pairs)} cases would validate; leave some to train on, or give "
            "--validation 0."
        )
    return chosen


def record(
    out: Path,
    cases: Sequence[Case],
    held_out: Collection[str],
    *,
    name: str,
    modality: Sequence[str] = (),
    classes: Sequence[str] = (),
) -> dict[str, Any]:
    """The Decathlon list as JSON values.

    Args:
      out: where it will lie; paths are relative to its folder.
      cases: with labels.
      held_out: ids of those that validate.
      name: of the data set.
      modality: by channel.
      classes: names of the ids 1, 2, …
    """
    result: dict[str, Any] = {"name": name, "tensorImageSize": "3D" if len(modality) < 2 else "4D"}
    if modality:
        result["modality"] = {str(i): channel for i, channel in enumerate(modality)}
    if classes:
        names = ("background", *classes)
        result["labels"] = {str(i): label for i, label in enumerate(names)}
        result["out_channel"] = len(names)
    entries: dict[str, list[dict[str, Any]]] = {"training": [], "validation": []}
    for case in cases:
        split = "validation" if case.id in held_out else "training"
        entries[split].append(_entry(case, out.parent))
    counts = {f"num{split.title()}": len(listed) for split, listed in entries.items()}
    return result | counts | entries


def _entry(case: Case, root: Path) -> dict[str, Any]:
    images = [_relative(path, root) for path in case.images]
    return {
        "image": images if len(images) > 1 else images[0],
        "label": _relative(case.label[0], root),
        "id": case.id,
    }


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path.resolve(), root.resolve())).as_posix()
