"""A data set and a network so small that a run takes a second."""

import json

import nibabel
import numpy as np

from fdif_jax.train.config import RunOptions, TrainConfig
from fdif_jax.train.devices import make_mesh
from fdif_jax.train.loop import Trainer
from fdif_jax.train.plan import make_plan
from fdif_jax.train.run_folder import RunFolder, open_run

PATCH = (8, 8, 16)
TINY = {"hidden_size": 12, "depth": 1, "heads": 1}
LOG_ALL = RunOptions(log_every=1)
QUIET = {"say": lambda line: None}


def volume(rng, shape=(10, 12, 18), classes=3):
    """Bright blobs on a dark ground, labelled by brightness."""
    image = rng.normal(100, 5, shape)
    label = np.zeros(shape, np.uint8)
    for c in range(1, classes):
        corner = [int(rng.integers(0, n - 5)) for n in shape]
        box = tuple(slice(s, s + 5) for s in corner)
        label[box], image[box] = c, 100 + 80 * c
    return image.astype(np.float32), label


def save(path, array, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.eye(4) if affine is None else affine
    nibabel.save(nibabel.Nifti1Image(array, affine), path)


def write_set(root, *, training=4, validation=2, modality="MRI", classes=3, tasks=None):
    """A Decathlon list; returns its path."""
    record = {"labels": {str(i): f"organ {i}" for i in range(1, classes)}}
    record["labels"]["0"] = "background"
    if modality:
        record["modality"] = {"0": modality}
    if tasks:
        record["tasks"] = {t: {"labels": {f"c{i}": i for i in range(n)}} for t, n in tasks.items()}
    for split, count in (("training", training), ("validation", validation)):
        record[split] = []
        for i in range(count):
            image, label = volume(np.random.default_rng([len(split), i]), classes=classes)
            if tasks:
                label = np.stack([label % n for n in tasks.values()], -1)
            save(root / f"images/{split}_{i}.nii.gz", image)
            save(root / f"labels/{split}_{i}.nii.gz", label)
            name = f"{split}_{i}.nii.gz"
            record[split].append({"image": f"images/{name}", "label": f"labels/{name}"})
    path = root / "dataset.json"
    path.write_text(json.dumps(record))
    return path


def config(data, **changes):
    """Four updates of two crops."""
    values = {
        "model_name": "primus_s",
        "data": str(data),
        "patch": PATCH,
        "model_options": tuple(sorted(TINY.items())),
        "num_crops": 2,
        "max_iterations": 4,
        "learning_rate": 1e-2,
        "eval_every": 2,
    }
    return TrainConfig(**(values | changes))


def trainer(path, settings, options=LOG_ALL, devices=1):
    """A run that is ready to begin, or to go on, in ``path``."""
    plan = make_plan(settings, options)
    made = Trainer(plan, options, RunFolder(path), make_mesh(devices), **QUIET)
    open_run(path, settings, overwrite=False)
    return made


def train(path, settings, options=LOG_ALL):
    return trainer(path, settings, options).run()
