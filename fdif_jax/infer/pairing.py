"""Which prediction is held against which reference."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from fdif_jax.data.datalist import Case, DataList, read_datalist, stem
from fdif_jax.errors import InputError
from fdif_jax.io.nifti import ENDINGS

Names = Mapping[str, Mapping[int, str]]
"""Task to {id: class name}; the task of a single-task set is the empty string."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """One case.

    Attributes:
      case: its name in the scores.
      prediction: label file.
      reference: label file, or one for each task.
    """

    case: str
    prediction: Path
    reference: tuple[Path, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Pairing:
    """All cases, and what the references say of themselves.

    Attributes:
      pairs: in the order of the references.
      unpredicted: names of references without a prediction.
      names: of the classes, as far as a data list declares them.
    """

    pairs: tuple[Pair, ...]
    unpredicted: tuple[str, ...] = ()
    names: Names = dataclasses.field(default_factory=dict)


def pair_files(prediction: Path, reference: Path) -> Pairing:
    """Predictions with their references.

    Two files are one case, whatever their names. In folders, files belong together by name,
    folders and endings aside. In a data list, a case is found by its id or by the name of its
    image or label, if that is of no other; where a prediction is of a validation case, all of
    them are expected.

    Args:
      prediction: a label file, or a folder of them.
      reference: a label file, a folder of them, or a data list (or its folder).

    Raises:
      InputError: a path is missing or holds nothing, or a prediction has no reference.
    """
    for path in (prediction, reference):
        if not path.exists():
            raise InputError(f"{path} does not exist; give label files, or folders of them.")
    if prediction.is_file() and reference.is_file() and reference.suffix != ".json":
        return Pairing((Pair(stem(reference), prediction, (reference,)),))
    predictions = label_files(prediction)
    if reference.is_file() and reference.suffix != ".json":
        raise InputError(
            f"{prediction} is a folder and {reference} a file; give two files or two folders."
        )
    if is_datalist(reference):
        return _with_list(predictions, read_datalist(reference))
    references = label_files(reference)
    _refuse_unmatched(predictions, references, reference)
    pairs = [Pair(k, predictions[k], (path,)) for k, path in references.items() if k in predictions]
    return Pairing(tuple(pairs), tuple(k for k in references if k not in predictions))


def label_files(path: Path) -> dict[str, Path]:
    """A label file, or those in a folder (where it has none, in the folders inside), by name.

    Raises:
      InputError: there are none, or two have one name.
    """
    return _by_stem([path] if path.is_file() else _label_files(path))


def is_datalist(path: Path) -> bool:
    """Whether ``path`` is a file, taken for a data list, or a folder that holds one."""
    named = ("data/data.json", "data.json", "dataset.json")
    return path.is_file() or any((path / name).is_file() for name in named)


def match(predictions: Mapping[str, Path], cases: Iterable[Case], where: Path) -> dict[Case, Path]:
    """The prediction of each case that has one: by its id, else the name of its image or label.

    Args:
      predictions: by name.
      cases: of the data list.
      where: the data list, for messages.

    Raises:
      InputError: a prediction is of no case or of two, or a case has two.
    """
    cases = list(cases)
    keys: dict[str, list[Case]] = {}
    for name in ("id", "image", "label"):
        called: dict[str, list[Case]] = {}
        for case in cases:
            called.setdefault(_key(case, name), []).append(case)
        keys = called | keys  # an id beats a file name
    _refuse_unmatched(predictions, keys, where)
    found: dict[Case, Path] = {}
    for key, path in predictions.items():
        case, *others = keys[key]
        if others:
            raise InputError(
                f"{path} may be of {_file(case)} or of {_file(others[0])}; name it by its "
                f"case's id, and let no two cases in {where} have one."
            )
        if case in found:
            raise InputError(f"{found[case]} and {path} are both of the case {case.id}.")
        found[case] = path
    return found


def _with_list(predictions: Mapping[str, Path], datalist: DataList) -> Pairing:
    cases = dict.fromkeys((*datalist.validation, *datalist.training))
    labelled = [case for case in cases if case.label]
    found = match(predictions, labelled, datalist.path)
    expected = [case for case in datalist.validation if case.label]
    if not any(case in found for case in expected):
        expected = []
    pairs = [Pair(case.id, found[case], case.label) for case in labelled if case in found]
    missing = tuple(case.id for case in expected if case not in found)
    names = datalist.tasks or {"": datalist.labels}
    return Pairing(tuple(pairs), missing, names)


def _key(case: Case, name: str) -> str:
    return case.id if name == "id" else stem(case.images[0] if name == "image" else _file(case))


def _file(case: Case) -> Path:
    """The case's label, or its image where it has none."""
    return (case.label or case.images)[0]


def _label_files(folder: Path) -> list[Path]:
    for files in (folder.glob("*"), folder.rglob("*")):
        found = [path for path in sorted(files) if path.name.endswith(ENDINGS)]
        if found := [path for path in found if not path.name.startswith(".")]:
            return found
    raise InputError(f"{folder} holds no label files ({', '.join(ENDINGS)}).")


def _by_stem(files: Iterable[Path]) -> dict[str, Path]:
    files = list(files)
    count = collections.Counter(map(stem, files))
    name, most = count.most_common(1)[0]
    if most > 1:
        one, other = [path for path in files if stem(path) == name][:2]
        raise InputError(f"{one} and {other} have one name, so cases cannot be told apart.")
    return {stem(path): path for path in files}


def _refuse_unmatched(
    predictions: Mapping[str, Path], references: Mapping[str, object], where: Path
) -> None:
    lone = [path for key, path in predictions.items() if key not in references]
    if lone:
        more = f" ({len(lone) - 1} more have none either)" if lone[1:] else ""
        raise InputError(
            f"{lone[0]} has no reference of that name in {where}{more}; evaluate a folder that "
            "holds predictions only, named as their references."
        )
