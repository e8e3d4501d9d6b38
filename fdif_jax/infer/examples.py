"""Which images are to be classified: those of a classification set, or any others."""

import collections
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from fdif_jax.data.class_folder import read_volume
from fdif_jax.data.class_forms import is_classified, read_classified
from fdif_jax.data.classified import Classified, Example
from fdif_jax.data.images import read_image
from fdif_jax.errors import InputError
from fdif_jax.infer.inputs import Split, check_cases, find_cases
from fdif_jax.io import b2nd
from fdif_jax.io.nifti import ENDINGS


class Found(NamedTuple):
    """Images to classify.

    Attributes:
      examples: those without known classes have none.
      prepared: they are as a network takes them, without intensities of their own.
      split: of a set, which they are.
    """

    examples: tuple[Example, ...]
    prepared: bool
    split: str = ""


def find_examples(path: Path, channels: int, split: Split | None = None, fold: int = 0) -> Found:
    """The images at a path.

    Args:
      path: a classification set; a Blosc2 volume, or a folder of them; or whatever else
        ``inputs.find_cases`` takes.
      channels: of the network.
      split: of a set or data list; its validation cases where not given, else its test cases, else
        those for training.
      fold: of a set in SSL3D's layout.

    Raises:
      InputError: there is nothing to classify, a file is missing, or two images have one name.
    """
    if is_classified(path):
        found = read_classified(path, fold=fold, channels=channels)
        name, examples = _of_set(found, split)
        return Found(examples, found.prepared, name)
    if fold:
        raise InputError(f"fold is {fold}, but {path} has no folds; leave --fold out.")
    volumes = _volumes(path)
    if not volumes:
        cases = find_cases(path, channels, split)
        check_cases(cases, channels)
        images = (Example(c.id, (), partial(read_image, c.images, channels)) for c in cases)
        return Found(tuple(images), prepared=False)
    if split is not None:
        raise InputError(f"--split chooses from a data list or set, and {path} is none.")
    return Found(
        tuple(
            Example(v.name.removesuffix(b2nd.ENDING), (), partial(read_volume, v)) for v in volumes
        ),
        prepared=True,
    )


def _volumes(path: Path) -> Sequence[Path]:
    """Blosc2 files, where the path is one or holds some."""
    if path.is_file():
        return [path] if path.name.endswith(b2nd.ENDING) else []
    found = sorted(v for v in path.glob(f"*{b2nd.ENDING}") if not v.name.startswith("."))
    others = [v for v in path.glob("*") if v.name.endswith(ENDINGS)] if found else []
    if others:
        raise InputError(
            f"{path} holds Blosc2 and NIfTI files ({found[0].name}, {others[0].name}); predict "
            "them one kind at a time."
        )
    return found


def _of_set(found: Classified, split: Split | None) -> tuple[str, tuple[Example, ...]]:
    """The split, and its images."""
    parts = {"validation": found.validation, "test": found.test, "training": found.training}
    parts["all"] = tuple(example for part in parts.values() for example in part)
    name: str = split or next((name for name, examples in parts.items() if examples), "all")
    if not parts[name]:
        there = ", ".join(n for n, examples in parts.items() if examples and n != "all")
        raise InputError(f"{found.path} has no {name} cases; it has {there or 'none'}.")
    twice = [n for n, k in collections.Counter(e.id for e in parts[name]).items() if k > 1]
    if twice:
        raise InputError(f"{found.path} has {twice[0]} twice; mend its splits.")
    return name, parts[name]
