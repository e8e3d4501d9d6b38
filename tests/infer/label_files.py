"""Label files to score."""

import nibabel
import numpy as np

AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])


def write(path, labels, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.asarray(labels, np.uint8), affine), path)
    return path


def boxes(shape=(12, 10, 8), **spans):
    """A volume with label n in the box (low, high) of ``_n``."""
    labels = np.zeros(shape, np.uint8)
    for name, (low, high) in spans.items():
        labels[tuple(map(slice, low, high))] = int(name[1:])
    return labels
