"""Which cases a data set has and what it says of them, from the JSON file at its top.

Two forms are read: Decathlon lists (``training`` and ``validation`` of {image, label}, as
``fdif generate`` and ``scripts/make_datalist`` write them) and nnU-Net raw data sets, where
``fdif generate`` puts the validation cases into a second data set with the next number.
"""

import collections
import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdif_jax.errors import InputError
from fdif_jax.io import datasets

_SYNTHETIC = "SDF"  # the modality that fdif generate declares
_ENTRY = '{"image": "images/a.nii.gz", "label": "labels/a.nii.gz"}'
_NUMBERED = re.compile(r"Dataset(\d+)_(.+)")


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One sample.

    Attributes:
      id: its name, for logs and file names.
      images: one file with all channels, or one file for each channel.
      label: empty where there is none; several files where each task has its own.
    """

    id: str
    images: tuple[Path, ...]
    label: tuple[Path, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class DataList:
    """A data set as declared; no volume was looked at.

    Attributes:
      path: of the JSON file.
      training: the cases to train on.
      validation: the cases to measure with; may be empty.
      modality: by channel; empty where the file is silent.
      labels: id to name, background included, of a single task; may be empty.
      tasks: task to {id: name}, in the order of the labels' last axis; empty for a single task.
      out_channel: classes and background of a single task; None where the file does not say.
      synthetic: written by ``fdif generate``.
      test: images that are listed without labels.
    """

    path: Path
    training: tuple[Case, ...]
    validation: tuple[Case, ...] = ()
    modality: tuple[str, ...] = ()
    labels: Mapping[int, str] = dataclasses.field(default_factory=dict)
    tasks: Mapping[str, Mapping[int, str]] = dataclasses.field(default_factory=dict)
    out_channel: int | None = None
    synthetic: bool = False
    test: tuple[Case, ...] = ()


def read_datalist(path: Path | str, *, to_train: bool = True) -> DataList:
    """The data set whose JSON file, or whose folder, is ``path``.

    Args:
      path: of the file or the folder.
      to_train: refuse nnU-Net's regions and voxels to ignore, which fdif does not train with; else
        regions, which are lists of ids, are left out of the names.

    Raises:
      InputError: there is none, or it is neither of the two forms. Whether the files are there is
        for ``fdif_jax.data.survey`` to say.
    """
    path = datasets.find(Path(path).expanduser())
    record = datasets.load_metadata(path)
    try:
        if "channel_names" in record or "file_ending" in record:
            return _nnunet(path, record, to_train)
        if "training" in record or "validation" in record:
            return _decathlon(path, record, to_train)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: an entry is not as it should be ({error!r}).") from error
    raise InputError(
        f"{path} is neither a Decathlon list (key 'training') nor an nnU-Net dataset.json (key "
        "'channel_names'); scripts/make_datalist writes a list from a folder."
    )


def stem(path: Path | str) -> str:
    """The file's name without folders and NIfTI's endings."""
    name = Path(path).name
    ending = next((end for end in datasets.READABLE if name.endswith(end)), "")
    return name.removesuffix(ending)


def _decathlon(path: Path, record: Mapping[str, Any], to_train: bool) -> DataList:
    training, validation, test = (
        _cases(path, split, record.get(split) or []) for split in ("training", "validation", "test")
    )
    names = record.get("labels") or {}
    if not isinstance(names, dict) or not all(str(key).strip().isdecimal() for key in names):
        raise InputError(
            f'{path}: labels must go from id to name, as in {{"0": "background", "1": "liver"}}.'
        )
    labels = {int(key): str(name) for key, name in names.items()}
    tasks = _tasks(path, record, to_train)
    modality = _channels(path, record.get("modality"))
    return DataList(
        path=path,
        training=training,
        validation=validation,
        modality=modality,
        labels={} if tasks else labels,
        tasks=tasks,
        out_channel=None if tasks else _out_channel(path, record, labels),
        synthetic=_is_synthetic(modality),
        test=test,
    )


def _cases(path: Path, split: str, entries: Any) -> tuple[Case, ...]:
    """The entries of one list; where two files have one name, ids take the folders in."""
    if not isinstance(entries, list):
        raise InputError(f"{path}: {split} is not a list of cases; an entry is {_ENTRY}.")
    cases = [_case(path, f"{split}[{i}]", entry) for i, entry in enumerate(entries)]
    count = collections.Counter(case.id for case in cases)
    root = path.parent
    return tuple(
        case if count[case.id] == 1 else dataclasses.replace(case, id=_long_id(case, root))
        for case in cases
    )


def _case(path: Path, where: str, entry: Any) -> Case:
    fields = entry if isinstance(entry, dict) else {"image": entry}
    images, label = fields.get("image"), fields.get("label")
    images = images if isinstance(images, list) else [images]
    label = label if isinstance(label, list) else [] if label is None else [label]
    if not images or not all(isinstance(name, str) and name for name in [*images, *label]):
        raise InputError(f"{path}: {where} has no readable image and label; an entry is {_ENTRY}.")
    root = path.parent
    name = str(fields.get("id") or stem(images[0]))
    return Case(name, tuple(root / n for n in images), tuple(root / n for n in label))


def _long_id(case: Case, root: Path) -> str:
    image = case.images[0]
    inside = image.relative_to(root) if image.is_relative_to(root) else image
    return "_".join((*(part for part in inside.parent.parts if part.strip("/.")), stem(image)))


def _nnunet(path: Path, record: Mapping[str, Any], to_train: bool) -> DataList:
    tasks = _tasks(path, record, to_train)
    labels = {} if tasks else _by_id(path, record.get("labels", {}), to_train)
    modality = _channels(path, record.get("channel_names"))
    validation = _validation_set(path.parent)
    return DataList(
        path=path,
        training=_raw_cases(path),
        validation=() if validation is None else _raw_cases(validation),
        modality=modality,
        labels=labels,
        tasks=tasks,
        out_channel=None if tasks else _out_channel(path, record, labels),
        synthetic=_is_synthetic(modality),
    )


def _raw_cases(path: Path) -> tuple[Case, ...]:
    cases = datasets.declared(path).cases
    return tuple(Case(c.name, c.images, tuple(label.path for label in c.labels)) for c in cases)


def _validation_set(root: Path) -> Path | None:
    """The dataset.json of ``Dataset<number + 1>_<name>_Val`` beside ``root``, if it is there."""
    match = _NUMBERED.fullmatch(root.resolve().name)
    if match is None:
        return None
    folder = f"Dataset{int(match[1]) + 1:03d}_{match[2]}_Val"
    path = root.resolve().parent / folder / "dataset.json"
    return path if path.is_file() else None


def _tasks(path: Path, record: Mapping[str, Any], to_train: bool) -> dict[str, dict[int, str]]:
    try:
        named = {
            task: dict(entry["labels"]) for task, entry in dict(record.get("tasks") or {}).items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: tasks must go from task to its labels, as in "
            '{"organ": {"labels": {"background": 0, "liver": 1}}}.'
        ) from error
    return {task: _by_id(path, names, to_train) for task, names in named.items()}


def _by_id(path: Path, names: Mapping[str, Any], to_train: bool) -> dict[int, str]:
    """nnU-Net's {name: id} turned round."""
    if not to_train:
        names = {name: value for name, value in names.items() if type(value) is int and value >= 0}
    for name, value in names.items():
        if type(value) is not int or value < 0:
            raise InputError(
                f"{path}: label {name!r} has id {value!r}, fdif trains with one integer for each "
                "class; scripts/make_datalist pairs --remap_labels writes labels without regions."
            )
        if name == "ignore" and to_train:
            raise InputError(
                f"{path}: declares voxels to ignore (id {value}), which fdif does not; give them a "
                "class with scripts/make_datalist pairs --remap_labels."
            )
    return {value: str(name) for name, value in sorted(names.items(), key=lambda item: item[1])}


def _channels(path: Path, declared: Any) -> tuple[str, ...]:
    """Names by channel: of {"0": "CT"}, ["CT"] or "CT"."""
    if not declared:
        return ()
    if isinstance(declared, str):
        return (declared,)
    if isinstance(declared, list):
        return tuple(map(str, declared))
    if not isinstance(declared, dict) or not all(str(key).isdecimal() for key in declared):
        raise InputError(
            f'{path}: the channels must go from number to name, as in {{"0": "CT"}}, not '
            f"{declared!r}."
        )
    return tuple(str(declared[key]) for key in sorted(declared, key=int))


def _is_synthetic(modality: tuple[str, ...]) -> bool:
    return bool(modality) and all(name == _SYNTHETIC for name in modality)


def _out_channel(path: Path, record: Mapping[str, Any], labels: Mapping[int, str]) -> int | None:
    recorded = record.get("out_channel")
    if recorded is None:
        return max(labels) + 1 if labels else None
    if type(recorded) is not int or recorded < 1:
        raise InputError(f"{path}: out_channel is {recorded!r}, it is a number of classes.")
    if labels and recorded <= max(labels):
        raise InputError(
            f"{path}: out_channel is {recorded}, its labels go up to {max(labels)}; correct one."
        )
    return recorded
