"""What SSL3D_classification offers a data module, as little of it as a data module may rely on."""

import importlib.util
import sys
import types
from pathlib import Path

import blosc2
import numpy as np


class BaseDataModule:
    """Takes these keywords and no others, and sets what a data module reads."""

    def __init__(
        self,
        data_root_dir,
        name,
        batch_size,
        train_transforms=None,
        test_transforms=None,
        random_batches=False,
        num_workers=0,
        prepare_data_per_node=True,
        fold=0,
    ):
        self.data_path = Path(data_root_dir)
        self.train_transforms = train_transforms
        self.test_transforms = test_transforms
        self.fold = fold


class Blosc2IO:
    """Opens a file, memory-mapped, and gives the array and what else its header says."""

    @staticmethod
    def load(filepath, num_threads=1, mode="r"):
        array = blosc2.open(
            urlpath=filepath, dparams={"nthreads": num_threads}, mode=mode, mmap_mode=mode
        )
        metadata = dict(array.schunk.meta)
        del metadata["b2nd"]
        return array, metadata


def _torch() -> types.ModuleType:
    """Tensors are arrays here; PyTorch itself is no dependency."""
    torch, utils, data = (types.ModuleType(n) for n in ("torch", "torch.utils", "torch.utils.data"))
    torch.from_numpy = np.asarray
    torch.tensor = np.asarray
    data.Dataset = object
    return {"torch": torch, "torch.utils": utils, "torch.utils.data": data}


def load(monkeypatch, root: Path) -> types.ModuleType:
    """The module ``datasets.sdf_classification``, copied from the data set in ``root``."""
    parts = {
        "datasets": types.ModuleType("datasets"),
        "datasets.base_datamodule": types.SimpleNamespace(BaseDataModule=BaseDataModule),
        "datasets.blosc2io": types.SimpleNamespace(Blosc2IO=Blosc2IO),
        **_torch(),
    }
    parts["datasets"].__path__ = []
    for name, part in parts.items():
        monkeypatch.setitem(sys.modules, name, part)
    name = "datasets.sdf_classification"
    spec = importlib.util.spec_from_file_location(name, root / "sdf_classification.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module
