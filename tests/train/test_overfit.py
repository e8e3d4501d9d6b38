"""Every network learns one real volume by heart, through the real trainer."""

import json
import os
from pathlib import Path

import jax
import nibabel
import numpy as np
import pytest
from tiny_runs import save, train

from fdif_jax.train.config import RunOptions, TrainConfig

DATA = Path(os.environ.get("FDIF_DATA_DIR", Path(__file__).parents[3] / "shared/data"))
CASE = "hippocampus_001.nii.gz"
TALL = (32, 48, 32)
# Options, patch, learning rate, updates. Primus sees 8^3 voxels as one token and takes longest.
NETWORKS = {
    "vnet": ({"width": 4, "dropout": False}, TALL, 1e-2, 120),
    "unetr": ({"hidden_size": 48, "mlp_size": 96, "heads": 4, "feature_size": 8}, TALL, 3e-3, 150),
    "swin_unetr": ({"feature_size": 12, "depths": (1, 1, 1, 1)}, (32, 64, 32), 3e-3, 120),
    "resenc_l": ({"features": (8, 16, 32, 32), "blocks": (1, 1, 1, 1)}, TALL, 1e-2, 120),
    "primus_s": ({"hidden_size": 192, "depth": 2, "heads": 4, "drop_path": 0.0}, TALL, 2e-3, 600),
}
ENOUGH = 0.95


def one_case(folder):
    """A list whose only volume is both trained on and scored."""
    for kind in ("images", "labels"):
        image = nibabel.load(DATA / "hippocampus" / kind / CASE)
        voxels = np.asarray(image.dataobj)[2:34, 1:49, 2:34]
        save(folder / kind / CASE, voxels, image.affine)
    entry = {"image": f"images/{CASE}", "label": f"labels/{CASE}"}
    record = {
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "anterior", "2": "posterior"},
        "training": [entry],
        "validation": [entry],
    }
    (folder / "dataset.json").write_text(json.dumps(record))
    return folder / "dataset.json"


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_one_volume_is_learnt_by_heart(tmp_path, name):
    if not (DATA / "hippocampus").is_dir():
        pytest.skip(f"no {DATA / 'hippocampus'}; set FDIF_DATA_DIR")
    options, patch, rate, updates = NETWORKS[name]
    settings = TrainConfig(
        model_name=name,
        data=str(one_case(tmp_path)),
        patch=patch,
        model_options=tuple(options.items()),
        num_crops=1,
        max_iterations=updates,
        learning_rate=rate,
        augment=False,
        eval_every=updates,
        resample=True,
        spacing=None,
    )
    result = train(tmp_path / "run", settings, RunOptions(cache_dir=str(tmp_path / "cache")))
    jax.clear_caches()
    assert result.validation.score > ENOUGH
