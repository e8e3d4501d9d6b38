"""What a data set on disk declares: its cases, labels and channels, whoever wrote it.

Three forms are known: our MONAI layout and any other Decathlon list, and nnU-Net raw data sets.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fdif_jax.errors import InputError
from fdif_jax.io import manifest, nifti
from fdif_jax.io.manifest import Generation
from fdif_jax.io.ssl3d import LABELS

READABLE = nifti.ENDINGS


@dataclasses.dataclass(frozen=True, slots=True)
class LabelFile:
    """A label volume and the ids it may hold.

    Args:
      path: of the file.
      tasks: for each task on the last axis its ids; one set where there is no task axis.
      stacked: whether the last axis holds tasks.
    """

    path: Path
    tasks: tuple[frozenset[int], ...]
    stacked: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One sample as declared; ``labels`` is empty where it has none, e.g. a test case."""

    name: str
    images: tuple[Path, ...]
    labels: tuple[LabelFile, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Declared:
    """A data set as its metadata describes it.

    Args:
      root: what messages show paths relative to.
      form: ``decathlon`` or ``nnunet``.
      channels: how many image channels are declared; None where it does not say.
      cases: every case.
      folders: where files that no case names are strays, with their ending.
      problems: what is wrong with the metadata itself.
      generation: of a data set that fdif wrote.
      out_dir: what the paths of ``generation``'s layout start from.
    """

    root: Path
    form: str
    channels: int | None
    cases: tuple[Case, ...]
    folders: tuple[tuple[Path, str], ...]
    problems: tuple[str, ...]
    generation: Generation | None = None
    out_dir: Path | None = None


def load_metadata(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises:
      InputError: it cannot be read or is none.
    """
    return _load_json(path, dict, "object")


def load_list(path: Path) -> list[Any]:
    """The JSON list in ``path``.

    Raises:
      InputError: it cannot be read or is none.
    """
    return _load_json(path, list, "list")


def _load_json(path: Path, kind: type, noun: str) -> Any:
    try:
        record = json.loads(path.read_bytes(), object_pairs_hook=_distinct)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {error}.") from error
    if not isinstance(record, kind):
        raise InputError(f"{path} holds no JSON {noun}.")
    return record


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object; JSON readers would take the last of two values of one key."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"it has {next(k for k in keys if keys.count(k) > 1)!r} twice")
    return found


def find(path: Path) -> Path:
    """The metadata file of the data set at ``path``, a file or a folder.

    Raises:
      InputError: there is none.
    """
    if path.is_file():
        return path
    candidates = ("data/data.json", "data.json", LABELS, "dataset.json")
    for candidate in candidates:
        if (path / candidate).is_file():
            return path / candidate
    if not path.exists():
        raise InputError(f"{path} does not exist; give a data set's folder or its JSON file.")
    inner = sorted(p.parent for p in path.glob("*/dataset.json"))
    hint = f"; did you mean {inner[0]}?" if inner else "."
    raise InputError(f"{path} holds none of {', '.join(candidates)}{hint}")


def declared(metadata: Path) -> Declared:
    """Reads ``metadata``.

    Raises:
      InputError: it is neither a Decathlon list nor an nnU-Net dataset.json.
    """
    record = load_metadata(metadata)
    if "channel_names" in record or "file_ending" in record:
        return _nnunet(metadata, record)
    if "training" in record or "validation" in record:
        return _decathlon(metadata, record)
    raise InputError(
        f"{metadata} is neither a Decathlon list (key 'training') nor an nnU-Net dataset.json "
        "(key 'channel_names')."
    )


def ids_of(names: Mapping[str, Any]) -> tuple[frozenset[int], list[str]]:
    """The ids of an nnU-Net ``labels`` or ``tasks`` entry, and what is wrong with them.

    Regions are lists of ids; ``ignore`` is an id like any other.
    """
    ids: set[int] = set()
    problems = []
    for name, given in names.items():
        for value in given if isinstance(given, list) else [given]:
            if type(value) is int and value >= 0:
                ids.add(value)
            else:
                problems.append(f"label {name!r} has id {value!r}; give an integer of at least 0")
    return frozenset(ids), problems + _gaps(ids)


def _gaps(ids: set[int]) -> list[str]:
    missing = sorted(set(range(max(ids, default=0) + 1)) - ids)
    if not missing:
        return []
    return [f"declared ids have a gap: {missing[0]} is missing below {max(ids, default=0)}"]


def _decathlon(metadata: Path, record: dict[str, Any]) -> Declared:
    tasks, stacked, problems = _decathlon_ids(record)
    cases = []
    for split in ("training", "validation", "test"):
        for i, entry in enumerate(record.get(split, [])):
            try:
                cases.append(_decathlon_case(metadata.parent, entry, tasks, stacked))
            except (KeyError, TypeError, ValueError):
                problems.append(f"{split}[{i}] has no readable image and label entry")
    training = record.get("training", [])
    if "numTraining" in record and record["numTraining"] != len(training):
        problems.append(f"numTraining is {record['numTraining']}, {len(training)} are listed")
    modality = record.get("modality")
    generation, out_dir = _ours(metadata.parent.parent, metadata, "monai")
    folders = tuple((metadata.parent / name, ".nii.gz") for name in ("image", "label"))
    return Declared(
        root=metadata.parent,
        form="decathlon",
        channels=len(modality) if isinstance(modality, dict) else None,
        cases=tuple(cases),
        folders=folders if generation else (),
        problems=(*problems, *_doubles(cases)),
        generation=generation,
        out_dir=out_dir,
    )


def _decathlon_ids(record: dict[str, Any]) -> tuple[tuple[frozenset[int], ...], bool, list[str]]:
    """Ids per task, whether labels have a task axis, and problems; no ids where none declared."""
    if record.get("tasks"):
        found = [ids_of(task["labels"]) for task in record["tasks"].values()]
        return tuple(ids for ids, _ in found), True, [p for _, problems in found for p in problems]
    if not isinstance(record.get("labels"), dict):
        return (), False, []
    try:
        ids = {int(key) for key in record["labels"]}
    except ValueError:
        return (), False, ["labels must be an object from id to name"]
    return (frozenset(ids),), False, _gaps(ids)


def _decathlon_case(
    root: Path, entry: Any, tasks: tuple[frozenset[int], ...], stacked: bool
) -> Case:
    if isinstance(entry, str):  # a test case
        return Case(Path(entry).name, (root / entry,), ())
    images = entry["image"] if isinstance(entry["image"], list) else [entry["image"]]
    label = entry.get("label")
    labels = () if label is None else (LabelFile(root / label, tasks, stacked),)
    name = str(entry.get("id", Path(images[0]).name))
    return Case(name, tuple(root / image for image in images), labels)


def _nnunet(metadata: Path, record: dict[str, Any]) -> Declared:
    root = metadata.parent
    needed = ("channel_names", "labels", "numTraining", "file_ending")
    problems = [f"dataset.json lacks {key}" for key in needed if key not in record]
    ending = str(record.get("file_ending", ".nii.gz"))
    if ending not in READABLE:
        readable = ", ".join(READABLE)
        raise InputError(f"{metadata}: file_ending is {ending!r}; fdif reads {readable}.")
    channels = len(record.get("channel_names", {"0": ""}))
    names = record.get("labels", {})
    if not isinstance(names, dict):
        raise InputError(f"{metadata}: labels is no object from name to id.")
    ids, found = ids_of(names)
    folders = {"labelsTr": ids}
    for task, entry in list(record.get("tasks", {}).items())[1:]:
        folders[f"labelsTr_{task}"], more = ids_of(entry["labels"])
        found += more
    if names.get("background") != 0:
        found.append("label 'background' must be declared with id 0")
    cases = tuple(_nnunet_cases(root, record, ending, channels, folders))
    if record.get("numTraining", len(cases)) != len(cases):
        found.append(f"numTraining is {record['numTraining']}, {len(cases)} cases are there")
    generation, out_dir = _ours(root, metadata, "nnunet")
    return Declared(
        root=root,
        form="nnunet",
        channels=channels,
        cases=cases,
        folders=tuple((root / name, ending) for name in ("imagesTr", *folders)),
        problems=(*problems, *found, *_doubles(list(cases))),
        generation=generation,
        out_dir=None if out_dir is None else out_dir.parent,
    )


def _nnunet_cases(
    root: Path,
    record: dict[str, Any],
    ending: str,
    channels: int,
    folders: Mapping[str, frozenset[int]],
) -> Iterator[Case]:
    """The cases that dataset.json lists, or those whose images lie in imagesTr."""
    listed = record.get("dataset")
    if isinstance(listed, dict):
        for name, entry in listed.items():
            images = tuple(root / image for image in entry["images"])
            yield Case(name, images, (LabelFile(root / entry["label"], (folders["labelsTr"],)),))
        return
    files = sorted(path.name for path in _list(root / "imagesTr") if path.name.endswith(ending))
    names = dict.fromkeys(_case_of(name, ending) for name in files)
    for name in names:
        images = tuple(root / "imagesTr" / f"{name}_{c:04d}{ending}" for c in range(channels))
        labels = (
            LabelFile(root / folder / f"{name}{ending}", (ids,)) for folder, ids in folders.items()
        )
        yield Case(name, images, tuple(labels))


def _case_of(file: str, ending: str) -> str:
    """Without channel and ending, as nnU-Net cuts it: five characters before the ending."""
    return file[: -len(ending) - 5]


def _ours(home: Path, metadata: Path, layout: str) -> tuple[Generation | None, Path | None]:
    """The generation in ``home`` where ``metadata`` is of it."""
    generation = manifest.read(home)
    if generation is None or generation.config.layout != layout:
        return None, None
    if load_metadata(metadata).get("config_hash") != generation.config_hash:
        return None, None
    return generation, home


def _doubles(cases: list[Case]) -> list[str]:
    """Cases that are listed twice."""
    seen: set[Any] = set()
    problems = []
    for case in cases:
        if case.images in seen:
            problems.append(f"{case.images[0].name} is listed twice")
        seen.add(case.images)
    return problems


def _list(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return []
