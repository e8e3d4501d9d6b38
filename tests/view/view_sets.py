"""Small data sets of every layout that `fdif view` knows, made of numbers alone."""

import json

import nibabel
import numpy as np
import tiny_runs as t

from fdif_jax.io import b2nd, metrics
from fdif_jax.io.ssl3d import LABELS, SPLITS, VOLUMES
from fdif_jax.io.stamp import Stamp

LPS = np.array([[-1.5, 0, 0, 40], [0, -1.0, 0, 20], [0, 0, 2.0, -7], [0, 0, 0, 1]])


def nnunet(root, *, cases=2, channels=1, labels=None):
    """An nnU-Net raw data set; returns its folder."""
    for i in range(cases):
        image, label = t.volume(np.random.default_rng(i))
        for channel in range(channels):
            t.save(root / f"imagesTr/case_{i}_{channel:04d}.nii.gz", image + channel, LPS)
        t.save(root / f"labelsTr/case_{i}.nii.gz", label, LPS)
    record = {
        "channel_names": {str(i): f"MR{i}" for i in range(channels)},
        "labels": labels or {"background": 0, "organ 1": 1, "organ 2": 2},
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(record))
    return root


def classification(root, labels=(0, 1, [2, 2])):
    """A data set as SSL3D_classification reads it, by someone else; returns its folder."""
    (root / VOLUMES).mkdir(parents=True)
    names = [f"case_{i:05d}" for i in range(len(labels))]
    for i, name in enumerate(names):
        image = np.random.default_rng(i).normal(size=(1, 8, 10, 12)).astype(np.float32)
        data = b2nd.encode(image, Stamp("0" * 16, "training", i, "image"), 1)
        (root / VOLUMES / f"{name}{b2nd.ENDING}").write_bytes(data)
    (root / LABELS).write_text(json.dumps(dict(zip(names, labels, strict=True))))
    (root / SPLITS).write_text(json.dumps([{"train": names[:-1], "val": names[-1:]}]))
    return root


def predictions(root, datalist, *, shift=1):
    """Label files for the validation cases of a list: its labels, moved; returns their folder."""
    for entry in json.loads(datalist.read_text())["validation"]:
        own = nibabel.load(datalist.parent / entry["label"])
        moved = np.roll(np.asarray(own.dataobj), shift, 0)
        t.save(root / entry["label"].rpartition("/")[2], moved, own.affine)
    return root


def flat(root):
    """A list of one image whose third axis has no length; returns its folder."""
    header = nibabel.Nifti1Header()
    header.set_data_shape((4, 4, 4))
    header["sform_code"], header["srow_x"], header["srow_y"] = 1, [1, 0, 0, 0], [0, 1, 0, 0]
    (root / "imgs").mkdir(parents=True)
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.float32), None, header)
    image.to_filename(root / "imgs/a.nii.gz")
    (root / "dataset.json").write_text(json.dumps({"training": [{"image": "imgs/a.nii.gz"}]}))
    return root


def run(root, *, complete=True):
    """A run folder as `fdif train` leaves it, model folders aside; returns it."""
    root.mkdir(parents=True)
    record = {
        "program": "fdif-jax",
        "started": "2026-01-01 00:00:00",
        "command": ["fdif", "train", "--name", "<&>"],
        "config": {"model_name": "vnet", "data": "d/data.json", "model_options": {"depth": 2}},
    }
    (root / "config.json").write_text(json.dumps(record))
    (root / "training_log.txt").write_text("".join(f"line {i}\n" for i in range(99)) + "<last>\n")
    if complete:
        rows = [{"update": i, "loss": 2 - i / 40} for i in range(2, 42, 2)]
        found = {"dice": 0.5, "by_class": {"a": 0.5}, "cases": 2, "seconds": 1.0}
        rows += [{"update": 40, "validation": found}]
        (root / metrics.FILE).write_bytes(b"".join(map(metrics.encode, rows)))
        summary = {"updates": 40, "best_dice": 0.5, "best_update": 40}
        (root / "summary.json").write_text(json.dumps(summary))
    return root
