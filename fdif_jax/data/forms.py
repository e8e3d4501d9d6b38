"""How well-known data sets lie in their folders, as data; and the pairs found by a form.

A pattern is relative to the folder; what its ``*`` and ``?`` stand for is the case's key, and an
image and a label with the same key are a pair.
"""

import collections
import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from fdif_jax.data.datalist import Case, stem
from fdif_jax.errors import InputError

Key = tuple[str, ...]
"""What the wildcards of a pattern stand for."""
_WILD = re.compile(r"\*|\?+")
_LAST_CT_OF_AMOS = 500
_SHOWN = 3

_TRUNK = (
    *("spleen", "right kidney", "left kidney", "gallbladder", "esophagus", "liver", "stomach"),
    *("aorta", "inferior vena cava"),
)
_ADRENAL = ("right adrenal gland", "left adrenal gland")


@dataclasses.dataclass(frozen=True)
class Form:
    """How a data set lies in its folder.

    Attributes:
      images: a pattern for each channel.
      label: the pattern of the labels.
      modality: by channel; empty where it is not known.
      classes: names of the ids 1, 2, …; empty where they are not known.
      roots: folders that may stand between the data set's and the patterns.
      keep: whether a key is of this data set.
      held_out: whether a key is of validation, where the data set has a fixed split.
      grouped: cases with the same first part of the key, a patient's, stay on one side.
    """

    images: tuple[str, ...]
    label: str
    modality: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    roots: tuple[str, ...] = ("",)
    keep: Callable[[Key], bool] = lambda key: True
    held_out: Callable[[Key], bool] | None = None
    grouped: bool = False


def _number(key: Key) -> int:
    return int(key[-1]) if key[-1].isdigit() else 0


_AMOS = Form(
    ("images*/amos_*.nii.gz",),
    "labels*/amos_*.nii.gz",
    ("CT",),
    (*_TRUNK, "pancreas", *_ADRENAL, "duodenum", "bladder", "prostate or uterus"),
    roots=("", "amos22"),
    keep=lambda key: key[0] in ("Tr", "Va") and _number(key) <= _LAST_CT_OF_AMOS,
    held_out=lambda key: key[0] == "Va",
)
_KITS = Form(
    ("case_*/imaging.nii.gz",),
    "case_*/segmentation.nii.gz",
    ("CT",),
    ("kidney", "tumor", "cyst"),
    roots=("", "dataset", "data", "kits21/data"),
)

FORMS: Mapping[str, Form] = {
    "btcv": Form(
        ("img/img*.nii.gz",),
        "label/label*.nii.gz",
        ("CT",),
        (*_TRUNK, "portal and splenic veins", "pancreas", *_ADRENAL),
        roots=("RawData/Training", "Training", ""),
        held_out=lambda key: _number(key) > 34,
    ),
    "amos": _AMOS,
    "amos_mr": dataclasses.replace(
        _AMOS,
        modality=("MR",),
        keep=lambda key: key[0] in ("Tr", "Va") and _number(key) > _LAST_CT_OF_AMOS,
    ),
    "acdc": Form(
        ("patient*/patient*_frame??.nii.gz",),
        "patient*/patient*_frame??_gt.nii.gz",
        ("MR",),
        ("right ventricle", "myocardium", "left ventricle"),
        roots=("training", "database/training", "ACDC/database/training", ""),
        grouped=True,
    ),
    "kits": _KITS,
    "kits19": dataclasses.replace(_KITS, classes=("kidney", "tumor")),
    "kits21": dataclasses.replace(_KITS, label="case_*/aggregated_MAJ_seg.nii.gz"),
}
"""The data sets that are known by name."""


@dataclasses.dataclass(frozen=True)
class Found:
    """The cases of a folder before they are split.

    Attributes:
      cases: those with labels, by their keys' order.
      groups: for each case, what stays together.
      held_out: ids of the validation cases of a fixed split; None where there is none.
      unlabelled: images that were left out.
    """

    cases: tuple[Case, ...]
    groups: tuple[str, ...]
    held_out: frozenset[str] | None = None
    unlabelled: tuple[Path, ...] = ()


def find(folder: Path, form: Form) -> Found:
    """The pairs of images and labels below ``folder``.

    Raises:
      InputError: there are none, or an image lacks a channel.
    """
    root = _root(folder, form)
    channels = [_files(root, pattern, form) for pattern in form.images]
    labels = _files(root, form.label, form)
    keys = [key for key in channels[0] if key in labels]
    if not keys:
        raise InputError(
            f"{root} has {len(channels[0])} images ({_shown(channels[0])}) and {len(labels)} "
            f"labels ({_shown(labels)}), but no two of one case; what the wildcards stand for must "
            "be the same in both."
        )
    for key in keys:
        for pattern, files in zip(form.images, channels, strict=True):
            if key not in files:
                raise InputError(f"{channels[0][key]} has no counterpart {root / pattern}.")
    ids = _ids(channels[0], keys)
    cases = (Case(ids[k], tuple(c[k] for c in channels), (labels[k],)) for k in keys)
    return Found(
        cases=tuple(cases),
        groups=tuple(key[0] if form.grouped else "\0".join(key) for key in keys),
        held_out=form.held_out and frozenset(ids[key] for key in keys if form.held_out(key)),
        unlabelled=tuple(
            path
            for key, path in channels[0].items()
            if key not in labels and path not in labels.values()
        ),
    )


def _root(folder: Path, form: Form) -> Path:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder.")
    for root in form.roots:
        if _files(folder / root, form.images[0], form):
            return folder / root
    tried = " or ".join(str(folder / root / form.images[0]) for root in form.roots)
    raise InputError(f"no images at {tried}; give the folder above them.")


def _files(root: Path, pattern: str, form: Form) -> dict[Key, Path]:
    """The files of a pattern by their keys, in order; hidden files are none."""
    parts, end = [], 0
    for wild in _WILD.finditer(pattern):
        width = "*" if wild[0] == "*" else f"{{{len(wild[0])}}}"
        parts += [re.escape(pattern[end : wild.start()]), f"([^/]{width})"]
        end = wild.end()
    regex = re.compile("".join(parts) + re.escape(pattern[end:]))
    try:
        paths = sorted(root.glob(pattern))
    except (ValueError, NotImplementedError) as error:
        raise InputError(f"{pattern!r} is no pattern below a folder ({error}).") from error
    found = {}
    for path in paths:
        match = regex.fullmatch(path.relative_to(root).as_posix())
        if match and not path.name.startswith(".") and form.keep(match.groups()):
            found[match.groups()] = path
    return found


def _ids(images: Mapping[Key, Path], keys: list[Key]) -> dict[Key, str]:
    """The images' names where they differ, else their last folders with them, else the keys."""
    for name in (stem, lambda path: f"{path.parent.name}_{stem(path)}"):
        ids = {key: name(images[key]) for key in keys}
        if max(collections.Counter(ids.values()).values()) == 1:
            return ids
    return {key: "_".join(key) for key in keys}


def _shown(files: Mapping[Key, Path]) -> str:
    names = [path.name for path in list(files.values())[:_SHOWN]]
    return ", ".join([*names, "…"] if len(files) > _SHOWN else names) or "none"
