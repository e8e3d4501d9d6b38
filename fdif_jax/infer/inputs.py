"""Which images are to be predicted, and what each is called."""

import collections
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from fdif_jax.data.datalist import Case, DataList, read_datalist, stem
from fdif_jax.data.survey import Header, read_header
from fdif_jax.errors import InputError
from fdif_jax.io.nifti import ENDINGS

Split = Literal["training", "validation", "test", "all"]
_CHANNEL = re.compile(r"(.+)_(\d{4})")  # nnU-Net's names: one file for each channel
_LISTS = ("data/data.json", "data.json", "dataset.json")
_WORKERS = 8
_LONGEST = 220  # bytes; systems take 255, with the ending and the mark of a temporary file
_FARTHEST = 32767  # voxels along an axis that NIfTI-1 can tell of


def find_cases(
    path: Path, channels: int, split: Split | None = None, out_dir: Path | None = None
) -> list[Case]:
    """The cases in a file, a folder or a data list.

    Where all files are named NAME_0000, NAME_0001, … and there are as many of a NAME as the network
    takes channels, they are the channels of the case NAME; else each file is a case by itself.

    Args:
      path: a NIfTI file, a folder of them (folders inside included), or a data list or its folder.
      channels: of the network.
      split: of a data list; its validation cases where not given, else its test cases, else those
        for training.
      out_dir: gets the predictions; where it lies in the folder, its files are no images.

    Raises:
      InputError: there is nothing to predict, or two cases have one name.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; give an image, a folder or a data.json.")
    listed = path.suffix == ".json" if path.is_file() else any((path / n).is_file() for n in _LISTS)
    if listed:
        cases = _of_list(read_datalist(path), split)
    elif split is not None:
        raise InputError(f"--split chooses from a data list, and {path} is none.")
    elif path.is_file():
        cases = _of_files(_with_channels(path, channels), channels)
    else:
        cases = _of_files(_images_in(path, out_dir), channels)
        if not cases:
            raise InputError(f"{path} holds no images ({', '.join(ENDINGS)}).")
    _refuse_bad_names(cases)
    return cases


def check_cases(cases: Sequence[Case], channels: int) -> list[Header]:
    """The header of each case's first image.

    Raises:
      InputError: files that are missing, unreadable, on different grids, or of another number of
        channels; the first is named, the others are counted.
    """
    with ThreadPoolExecutor(_WORKERS) as pool:
        found = list(pool.map(lambda case: _look(case, channels), cases))
    problems = [look for look in found if isinstance(look, str)]
    if problems:
        more = f" {len(problems) - 1} more images have problems." if problems[1:] else ""
        raise InputError(problems[0] + more)
    return [look for look in found if isinstance(look, Header)]


def _images_in(folder: Path, out_dir: Path | None) -> list[Path]:
    files = [file for file in sorted(folder.rglob("*")) if file.name.endswith(ENDINGS)]
    files = [file for file in files if file.name[0] != "."]
    own = None if out_dir is None else _real(out_dir)
    if own is None or _real(folder) not in own.parents:
        return files
    return [file for file in files if not _real(file.parent).is_relative_to(own)]


def _real(path: Path) -> Path:
    """Without links; unlike ``resolve`` it leaves a circle of them to whoever opens it."""
    return Path(os.path.realpath(path))


def _of_list(datalist: DataList, split: Split | None) -> list[Case]:
    parts: dict[str, tuple[Case, ...]] = {
        "validation": datalist.validation,
        "test": datalist.test,
        "training": datalist.training,
    }
    parts["all"] = tuple(case for part in parts.values() for case in part)
    name: str = split or next((name for name, cases in parts.items() if cases), "all")
    if not parts[name]:
        raise InputError(f"{datalist.path} lists no {'' if name == 'all' else f'{name} '}cases.")
    return list(parts[name])


def _of_files(files: Sequence[Path], channels: int) -> list[Case]:
    groups: dict[Path, dict[int, Path]] = collections.defaultdict(dict)
    for file in files:
        if match := _CHANNEL.fullmatch(stem(file)):
            groups[file.parent / match[1]][int(match[2])] = file
    wanted = list(range(channels))
    whole = all(sorted(group) == wanted for group in groups.values())
    if whole and sum(map(len, groups.values())) == len(files):
        return [Case(n.name, tuple(g[c] for c in wanted)) for n, g in groups.items()]
    return [Case(stem(file), (file,)) for file in files]


def _with_channels(file: Path, channels: int) -> list[Path]:
    """The file, and its further channels beside it where its name ends with _0000."""
    match = _CHANNEL.fullmatch(stem(file))
    if match is None or int(match[2]):
        return [file]
    ending = file.name.removeprefix(stem(file))
    beside = (file.with_name(f"{match[1]}_{c:04d}{ending}") for c in range(1, channels))
    return [file, *(other for other in beside if other.is_file())]


def _refuse_bad_names(cases: Sequence[Case]) -> None:
    for case in cases:
        if not _can_name(case.id):
            raise InputError(f"the case {case.id!r} cannot name a file; give it another id.")
    name, count = collections.Counter(case.id for case in cases).most_common(1)[0]
    if count > 1:
        one, other = [case.images[0] for case in cases if case.id == name][:2]
        raise InputError(
            f"{one} and {other} are both called {name}, so one prediction would replace the other; "
            "predict them one folder, or one split, at a time."
        )


def _can_name(name: str) -> bool:
    try:
        size = len(name.encode(errors="surrogateescape"))  # as names of files are read
    except UnicodeEncodeError:
        return False
    plain = Path(name).name == name and not name.startswith(".") and "\0" not in name
    return plain and 0 < size <= _LONGEST


def _look(case: Case, channels: int) -> Header | str:
    try:
        headers = [read_header(p, channels if len(case.images) == 1 else 1) for p in case.images]
    except InputError as error:
        return str(error)
    found = sum(header.extra for header in headers)
    if found != channels:
        return (
            f"{case.images[0]} has {found} channel(s), the model takes {channels}; give a 4-D "
            "file, or a file for each channel: NAME_0000.nii.gz, NAME_0001.nii.gz and so on."
        )
    for path, header in zip(case.images, headers, strict=True):
        if header.shape != headers[0].shape:
            return f"{path} has another shape than {case.images[0]}; channels need one grid."
    if (longest := max(headers[0].shape)) > _FARTHEST:
        return (
            f"{case.images[0]} has {longest} voxels along an axis, and a label file can have "
            f"{_FARTHEST}; cut it."
        )
    return headers[0]
