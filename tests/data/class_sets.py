"""Classification sets of each form, so small that reading them takes no time."""

import json

import blosc2
import nibabel
import numpy as np

VOLUMES = "nnUNetResEncUNetLPlans_3d_fullres"


def volume(label, seed, shape=(8, 8, 16)):
    """Noise, brighter in its upper half for the class 1."""
    image = np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)
    image[: shape[0] // 2] += label
    return image


def write_folder(root, labels=None, folds=None, shape=(8, 8, 16), channels=1):
    """SSL3D's layout; returns the folder."""
    labels = {f"c{i}": i % 2 for i in range(8)} if labels is None else labels
    names = list(labels)
    folds = folds or [
        {"train": names[:4], "val": names[4:]},
        {"train": names[4:], "val": names[:4]},
    ]
    (root / VOLUMES).mkdir(parents=True, exist_ok=True)
    for i, (name, label) in enumerate(labels.items()):
        first = label[0] if isinstance(label, list) else label
        image = np.stack([volume(first, i, shape)] * channels)
        (root / VOLUMES / f"{name}.b2nd").write_bytes(blosc2.asarray(image).to_cframe())
    (root / "labelsTr.json").write_text(json.dumps(labels))
    (root / "splits_final.json").write_text(json.dumps(folds))
    return root


def arrays(training=6, validation=4, shape=(8, 8, 16)):
    """The arrays of an archive, uint8; labels (N, 1) as MedMNIST has them."""
    found = {}
    for split, count in (("train", training), ("val", validation), ("test", 2)):
        labels = np.arange(count) % 2
        images = [volume(label, i, shape) for i, label in enumerate(labels)]
        found[f"{split}_images"] = np.clip(60 + 100 * np.stack(images), 0, 255).astype(np.uint8)
        found[f"{split}_labels"] = labels[:, None].astype(np.uint8)
    return found


def write_archive(path, **changes):
    """Returns the file; None leaves an array out."""
    found = {k: v for k, v in (arrays() | changes).items() if v is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **found)
    return path


def write_table(path, rows=None, header="image,label,split", shape=(8, 8, 16)):
    """Returns the file; images are written for the rows that name them."""
    if rows is None:
        rows = [f"i{i}.nii.gz,{'ab'[i % 2]},{'train' if i < 4 else 'val'}" for i in range(8)]
    path.parent.mkdir(parents=True, exist_ok=True)
    for i, row in enumerate(rows):
        image = volume(i % 2, i, shape) - 1
        nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), path.parent / row.split(",")[0])
    path.write_text("\n".join([header, *rows]) + "\n")
    return path
