"""A data set whose images have classes as a whole: what its three forms have in common."""

import collections
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from fdif_jax.data.images import Image
from fdif_jax.errors import InputError

LABEL = "class"
"""What the label is called where there is one only."""
MOST_CLASSES = 2**16
"""Of a label."""
_FEW = 3


@dataclasses.dataclass(frozen=True)
class Example:
    """One image and its classes.

    Attributes:
      id: its name, for logs and tables.
      label: the class ids, one for each label of the set.
      read: gives the image; an ``InputError`` names the file.
    """

    id: str
    label: tuple[int, ...]
    read: Callable[[], Image]


@dataclasses.dataclass(frozen=True)
class Classified:
    """A data set as declared; no voxel was looked at.

    Attributes:
      path: of the folder or file.
      labels: label to the names of its classes, by id; ``LABEL`` where there is one only.
      training: the examples to train on.
      validation: the examples to measure with; may be empty.
      test: kept for ``fdif predict``; may be empty.
      prepared: the images are as a network takes them; else they have intensities and spacings.
      smoothing: of the labels, as is usual with this form.
    """

    path: Path
    labels: Mapping[str, tuple[str, ...]]
    training: tuple[Example, ...]
    validation: tuple[Example, ...] = ()
    test: tuple[Example, ...] = ()
    prepared: bool = True
    smoothing: float = 0.0

    @property
    def sizes(self) -> tuple[int, ...]:
        """Classes of each label."""
        return tuple(len(names) for names in self.labels.values())

    @property
    def digest(self) -> str:
        """16 hex digits that differ where classes, splits, or a case's classes do."""
        sides = [[(e.id, e.label) for e in side] for side in (self.training, self.validation)]
        text = json.dumps([list(self.labels.items()), sides])
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def numbered(path: Path, labels: Sequence[tuple[int, ...]]) -> dict[str, tuple[str, ...]]:
    """Labels and classes of a set that names neither: numbers.

    Args:
      path: of the set.
      labels: the class ids of every case, at least one case.

    Raises:
      InputError: an id is too large.
    """
    counts = [max(ids) + 1 for ids in zip(*labels, strict=True)]
    if max(counts) > MOST_CLASSES:
        raise InputError(
            f"{path} has class id {max(counts) - 1}; allowed: 0 to {MOST_CLASSES - 1}."
        )
    names = [LABEL] if len(counts) == 1 else [f"label {i}" for i in range(len(counts))]
    return {name: tuple(map(str, range(n))) for name, n in zip(names, counts, strict=True)}


def check_examples(found: Classified) -> tuple[str, ...]:
    """Refuses a set that nothing can be learnt from or measured with.

    Returns:
      what a person should know, a sentence each.

    Raises:
      InputError: no training cases, one class only, a validation class that training does not show.
    """
    if not found.training:
        raise InputError(f"{found.path} has no training cases; give it some.")
    notes: list[str] = []
    counts = []
    for place, (name, classes) in enumerate(found.labels.items()):
        shown = collections.Counter(e.label[place] for e in found.training)
        asked = {e.label[place] for e in found.validation}
        if unseen := sorted(asked - shown.keys()):
            raise InputError(
                f"{found.path} validates {_label(name)} {classes[unseen[0]]!r}, of which it trains "
                "on nothing; mend its split."
            )
        counts.append(len(shown))
        notes += _notes(found, name, shown)
        if found.validation and len(shown) > 1 and len(asked) < 2:
            notes.append(f"validation shows one {_label(name)} only: it has no AUROC")
    if max(counts) < 2:
        raise InputError(
            f"{found.path} has training cases of one class only ({next(iter(found.labels))}); "
            "two or more are needed."
        )
    if not found.validation:
        notes.append(
            f"{found.path} has no validation cases: nothing is validated, and the last model is "
            "kept as the best"
        )
    return tuple(notes)


def _notes(found: Classified, name: str, shown: Mapping[int, int]) -> Iterator[str]:
    classes = found.labels[name]
    empty = [classes[i] for i in range(len(classes)) if i not in shown]
    if empty:
        yield f"no training case is of {_label(name)} {_few(empty)}"
    if len(shown) == 1 and len(found.labels) > 1:
        yield f"all training cases are of one {_label(name)}: there is nothing to learn of it"


def _label(name: str) -> str:
    return name if name == LABEL else f"{name} class"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more
