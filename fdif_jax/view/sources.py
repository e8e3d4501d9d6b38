"""What a path holds that can be looked at, whatever its layout: samples, and names of classes."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from fdif_jax.data.datalist import Case, DataList, read_datalist, stem
from fdif_jax.errors import InputError
from fdif_jax.infer.pairing import Names, is_datalist, label_files, match, pair_files
from fdif_jax.io import b2nd, datasets, nifti, stamp
from fdif_jax.io.ssl3d import LABELS
from fdif_jax.view import classification

VOLUME_ENDINGS = (*nifti.ENDINGS, b2nd.ENDING)
_DEEPEST = 4  # folders between a sample and its data set's JSON file
_RENDERED = ("_x", "_y")  # how fdif names the image and the label of a sample


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """What belongs together.

    Attributes:
      id: its name.
      images: one file with all channels, or one for each; may be empty where there are labels.
      labels: one file, or one for each task; may be empty.
      prediction: a label file.
      split: ``training``, ``validation`` or ``test``, where the data set says.
      classes: of the volume as a whole.
    """

    id: str
    images: tuple[Path, ...] = ()
    labels: tuple[Path, ...] = ()
    prediction: Path | None = None
    split: str = ""
    classes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """All that ``path`` holds.

    Attributes:
      path: as given.
      samples: in their order.
      names: task to {id: name} of the voxels' classes; one task, the empty string, is usual.
      channels: names of the images' channels, as far as they are declared.
    """

    path: Path
    samples: tuple[Sample, ...]
    names: Names = dataclasses.field(default_factory=dict)
    channels: tuple[str, ...] = ()


def find(path: Path, reference: Path | None = None) -> Source:
    """The samples at ``path``.

    Args:
      path: a data set's folder or JSON file, a sample's file, or a folder of label files.
      reference: what the label files at ``path`` are held against, as in ``fdif evaluate``.

    Raises:
      InputError: there is nothing to show, or it cannot be read.
    """
    if not path.exists():
        raise InputError(
            f"{path} does not exist; give a data set, a sample, a folder of predictions or a run "
            "folder."
        )
    if not (path.is_file() or path.is_dir()):
        raise InputError(f"{path} is neither a file nor a folder; give one of them.")
    if reference is not None:
        return _predictions(path, reference)
    if path.is_file() and path.suffix != ".json":
        return _of_file(path)
    if path.is_file() or is_datalist(path) or (path / LABELS).is_file():
        return _of_metadata(path, datasets.find(path))
    files = label_files(path) if _holds_volumes(path) else {}
    if not files:
        datasets.find(path)  # its error names what is looked for
    return Source(path, tuple(_alone(name, file) for name, file in files.items()))


def _of_metadata(path: Path, metadata: Path) -> Source:
    """A whole data set."""
    if metadata.name == LABELS:
        samples = tuple(
            Sample(case.id, (case.volume,), split=case.split, classes=case.classes)
            for case in classification.cases(metadata.parent)
        )
        return Source(path, samples)
    found = read_datalist(metadata, to_train=False)
    samples = tuple(
        Sample(case.id, case.images, case.label, split=split) for split, case in _cases(found)
    )
    if not samples:
        raise InputError(f"{metadata} lists no cases.")
    return Source(path, samples, found.tasks or {"": found.labels}, found.modality)


def _cases(found: DataList) -> Iterator[tuple[str, Case]]:
    """Every case with the name of its split."""
    for split in ("training", "validation", "test"):
        for case in getattr(found, split):
            yield split, case


def _of_file(path: Path) -> Source:
    """The sample that a file is of: as the data set above it says, else by its name."""
    if not path.name.endswith(VOLUME_ENDINGS):
        allowed = ", ".join(VOLUME_ENDINGS)
        raise InputError(f"{path} is no volume ({allowed}) and no data set's JSON file.")
    own = path.resolve()
    for metadata in _metadata_above(path):
        try:
            whole = _of_metadata(path, metadata)
        except InputError:  # a file of that name, of something else
            continue
        for sample in whole.samples:
            if own in (file.resolve() for file in (*sample.images, *sample.labels)):
                return dataclasses.replace(whole, samples=(sample,))
    image, label = (_beside(path, end) for end in _RENDERED)
    if image is not None and label is not None:
        return Source(path, (Sample(stem(image)[: -len(_RENDERED[0])], (image,), (label,)),))
    return Source(path, (_alone(stem(path).removesuffix(b2nd.ENDING), path),))


def _metadata_above(path: Path) -> Iterator[Path]:
    """JSON files of data sets in the folders above."""
    for folder in path.absolute().parents[:_DEEPEST]:
        if (folder / LABELS).is_file() or any(
            (folder / name).is_file() for name in ("data.json", "dataset.json")
        ):
            yield datasets.find(folder)


def _beside(path: Path, end: str) -> Path | None:
    """The file with this end of its name in place of the other's, where both are there."""
    name = stem(path)
    if not name.endswith(_RENDERED):
        return None
    found = path.with_name(name[: -len(end)] + end + path.name.removeprefix(name))
    return found if found.is_file() else None


def _holds_volumes(folder: Path) -> bool:
    return any(file.name.endswith(nifti.ENDINGS) for file in folder.iterdir())


def _alone(name: str, path: Path) -> Sample:
    """A file of which nothing else is known: a label where fdif's stamp says so, else an image."""
    return Sample(name, labels=(path,)) if _is_our_label(path) else Sample(name, (path,))


def _is_our_label(path: Path) -> bool:
    if not path.name.endswith(nifti.ENDINGS):
        return False
    try:
        descrip = bytes(nifti.load_header(path)["descrip"]).decode("latin-1")
    except nifti.UNREADABLE:
        return False  # whoever reads the voxels says why
    kind = stamp.kind_of(descrip)
    return kind is not None and kind.startswith("label")


def _predictions(path: Path, reference: Path) -> Source:
    """Label files with their references, and the images that a data list has for them."""
    if not (reference.suffix == ".json" if reference.is_file() else is_datalist(reference)):
        found = pair_files(path, reference)
        pairs = (Sample(pair.case, (), pair.reference, pair.prediction) for pair in found.pairs)
        return Source(path, tuple(pairs), found.names)
    datalist = read_datalist(reference, to_train=False)
    splits = {case: split for split, case in _cases(datalist)}
    predicted = match(label_files(path), splits, datalist.path)
    samples = tuple(
        Sample(case.id, case.images, case.label, predicted[case], split)
        for case, split in splits.items()
        if case in predicted
    )
    return Source(path, samples, datalist.tasks or {"": datalist.labels}, datalist.modality)
