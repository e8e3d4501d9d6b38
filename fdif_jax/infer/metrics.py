"""The Dice score of label volumes, per class, and its mean over cases."""

from collections.abc import Sequence

import numpy as np


def dice_by_class(prediction: np.ndarray, reference: np.ndarray, num_classes: int) -> np.ndarray:
    """Dice of the classes 1 to ``num_classes - 1``, float64; NaN where the reference has none.

    2 |P and G| / (|P| + |G|), so a class that is predicted but not there is NaN as well.

    Args:
      prediction: (D, H, W), non-negative integers.
      reference: as ``prediction``.
      num_classes: background included; higher labels are passed over.
    """
    predicted, real, both = overlaps(prediction, reference, num_classes)[:, 1:]
    scores = np.full(num_classes - 1, np.nan)
    total = (predicted + real).astype(np.float64)
    return np.divide(2 * both, total, out=scores, where=real > 0)


def overlaps(prediction: np.ndarray, reference: np.ndarray, num_classes: int) -> np.ndarray:
    """Voxels of each class in the prediction, in the reference and in both, (3, num_classes)."""
    counts = np.zeros((3, num_classes), np.int64)
    for p, r in zip(prediction, reference, strict=True):  # bincount takes 8 bytes a voxel
        for count, voxels in zip(counts, (p.ravel(), r.ravel(), r[p == r]), strict=True):
            count += np.bincount(voxels, minlength=num_classes)[:num_classes]
    return counts


def mean_dice(rows: Sequence[np.ndarray] | np.ndarray) -> tuple[float, int]:
    """The mean Dice over cases, and how many cases it is the mean of.

    First the mean over the classes of a case that are there, then over the cases that have any;
    0.0 where no case has.

    Args:
      rows: what ``dice_by_class`` gave for each case.
    """
    means = [row[there].mean() for row in map(np.asarray, rows) if (there := ~np.isnan(row)).any()]
    return (float(np.mean(means)) if means else 0.0), len(means)
