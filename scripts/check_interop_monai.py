"""Loads data sets as MONAI users do; run by check_interop inside an environment with MONAI.

python check_interop_monai.py MONAI_DATASET…
"""

import json
import sys
from pathlib import Path

import nibabel
import numpy as np
from monai.data import Dataset, load_decathlon_datalist
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged


def check(root: Path) -> None:
    """Every listed sample: loads, image and label in place and aligned, values as declared."""
    metadata = root / "data" / "data.json"
    record = json.loads(metadata.read_text())
    several = record.get("multi_task", False)
    counts = {}
    for split in ("training", "validation"):
        items = load_decathlon_datalist(str(metadata), is_segmentation=True, data_list_key=split)
        load = Compose([LoadImaged(keys=["image", "label"]), *_channels_first(several)])
        for item, loaded in zip(items, Dataset(items, load), strict=True):
            _check_sample(item, loaded, record, several)
        counts[split] = len(items)
    shapes = {key: tuple(loaded[key].shape) for key in ("image", "label")}
    print(f"{root.name}: {counts}, {shapes}, every value declared, affines equal")


def _channels_first(several: bool) -> list:
    label_axis = -1 if several else "no_channel"
    return [
        EnsureChannelFirstd(keys=["image"], channel_dim="no_channel"),
        EnsureChannelFirstd(keys=["label"], channel_dim=label_axis),
    ]


def _check_sample(item: dict, loaded: dict, record: dict, several: bool) -> None:
    image, label = loaded["image"], loaded["label"]
    assert image.shape[1:] == label.shape[1:], (image.shape, label.shape)
    assert np.array_equal(np.asarray(image.affine), np.eye(4))
    assert np.array_equal(np.asarray(image.affine), np.asarray(label.affine))
    raw = np.asanyarray(nibabel.load(item["image"]).dataobj)  # the axes are those of the file
    assert np.array_equal(np.asarray(image[0]), raw)
    tasks = record["tasks"].values() if several else [{"labels": record["labels"]}]
    assert label.shape[0] == len(tasks)
    for channel, task in zip(np.asarray(label), tasks, strict=True):
        ids = task["labels"].values() if several else map(int, task["labels"])
        assert set(np.unique(channel).astype(int)) <= set(ids)
    foreground = np.asarray(label[0]) > 0  # alignment: objects are bright where they are labelled
    inside, outside = np.asarray(image[0])[foreground], np.asarray(image[0])[~foreground]
    assert inside.mean() > 2 * outside.mean(), (inside.mean(), outside.mean())


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        check(Path(argument))
