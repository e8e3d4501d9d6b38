"""Labels with other ids: a network's classes are 0, 1, 2, …, a label file's may be any."""

import gzip
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel
import numpy as np

from fdif_jax.data.images import read_label
from fdif_jax.data.survey import read_header
from fdif_jax.errors import InputError
from fdif_jax.io import atomic, nifti

_PAIR = re.compile(r"(\d+):(\d+)")
_HIGHEST = 2**31 - 1  # ids are looked up in a table


def parse(words: Sequence[str]) -> dict[int, int]:
    """Of ``5:1 7:2``: {5: 1, 7: 2}; several ids may become one.

    Raises:
      InputError: a word is no pair of ids, an id is there twice, or the new ids have a gap.
    """
    table: dict[int, int] = {}
    for word in words:
        match = _PAIR.fullmatch(word)
        if match is None:
            raise InputError(f"{word!r} is no pair of ids; write OLD:NEW, as in 5:1.")
        old, new = int(match[1]), int(match[2])
        if table.setdefault(old, new) != new:
            raise InputError(f"id {old} is to become {table[old]} and {new}.")
    for wanted, new in enumerate(sorted({0, *table.values()})):
        if new != wanted:
            raise InputError(f"no id becomes {wanted}; new ids are 1, 2, … without a gap.")
    return table


def compact(paths: Sequence[Path]) -> dict[int, int]:
    """All ids of the label files, in ascending order, to 0, 1, 2, …; 0 stays.

    Raises:
      InputError: a file cannot be read as a label.
    """
    found: set[int] = {0}
    for path in paths:
        found |= set(np.unique(read_label([path], read_header(path).shape)).tolist())
    return {old: new for new, old in enumerate(sorted(found))}


def renamed(classes: Sequence[str], table: Mapping[int, int]) -> tuple[str, ...]:
    """Names of the new ids 1, 2, …: each has that of the first old id that becomes it.

    Args:
      classes: names of the old ids 1, 2, …; what has none is called by its number.
      table: old to new.
    """
    old_of = {new: old for old, new in sorted(table.items(), reverse=True) if new}
    named = dict(enumerate(classes, 1))
    return tuple(named.get(old_of[new], f"label {old_of[new]}") for new in sorted(old_of))


def write_remapped(path: Path, out: Path, table: Mapping[int, int]) -> None:
    """Writes the label at ``path`` with new ids to ``out``, gzipped NIfTI with the same affine.

    Args:
      path: the label.
      out: ends in .nii.gz.
      table: old to new; ids that it does not hold become 0.

    Raises:
      InputError: ``path`` cannot be read as a label.
      OSError: ``out`` cannot be written.
    """
    label = read_label([path], read_header(path).shape)
    highest = int(label.max())
    if highest > _HIGHEST:
        raise InputError(f"{path} holds the label {highest}; allowed: 0 to {_HIGHEST}.")
    lookup = np.zeros(highest + 1, np.min_scalar_type(max(table.values())))
    for old, new in table.items():
        if old <= highest:
            lookup[old] = new
    image = nibabel.Nifti1Image(lookup[label], nifti.load(path).affine)
    image.header.set_xyzt_units("mm")
    atomic.write(out, gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))
