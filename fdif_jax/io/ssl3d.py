"""The layout that SSL3D_classification reads: Blosc2 volumes, labels, splits, and its own config.

Its tools take classes from ``labelsTr.json``, folds from ``splits_final.json``, and everything
else from a Hydra configuration that names a data module; both are written beside the data.
"""

import dataclasses
import functools
import json
from collections.abc import Sequence
from importlib import resources

import numpy as np

from fdif_jax.classification import ClassificationConfig
from fdif_jax.io import b2nd
from fdif_jax.io.layout import TRAINING, VALIDATION, Sample, SampleRef, View, number, samples, stamp
from fdif_jax.io.manifest import Generation, to_json_bytes

VOLUMES = "nnUNetResEncUNetLPlans_3d_fullres"
LABELS, SPLITS = "labelsTr.json", "splits_final.json"
MODULE = "sdf_classification.py"
_BRIGHTEST = 128.0


@dataclasses.dataclass(frozen=True)
class Ssl3dLayout:
    """A classification data set: one volume and one class, or three labels, a case."""

    generation: Generation

    @property
    def config(self) -> ClassificationConfig:
        """What is laid out; this layout has no other kind."""
        config = self.generation.config
        assert isinstance(config, ClassificationConfig)
        return config

    @property
    def homes(self) -> tuple[str, ...]:
        """out_dir itself."""
        return ("",)

    def files(self, ref: SampleRef) -> tuple[str, ...]:
        """The volume."""
        return (f"{VOLUMES}/{self._case(ref)}{b2nd.ENDING}",)

    def encode(self, ref: SampleRef, sample: Sample) -> dict[str, bytes]:
        """The image as (1, D, H, W) float32; the label is in labelsTr.json."""
        image = np.asarray(sample.image, np.float32)[None]
        mark = stamp(self.generation, ref, "image")
        return {self.files(ref)[0]: b2nd.encode(image, mark, self.config.compression_level)}

    def flaw(self, ref: SampleRef, path: str, data: bytes) -> str | None:
        """By stamp and checksum."""
        return b2nd.flaw(data, stamp(self.generation, ref, "image"))

    def scene_file(self, ref: SampleRef) -> str | None:
        """None: `fdif render` knows no scaled grids."""
        return None

    def picture_file(self, ref: SampleRef) -> str:
        """All in one folder."""
        return f"visualizations/{self._case(ref)}.png"

    def view(self, ref: SampleRef, contents: Sequence[bytes]) -> View:
        """The volume, from its darkest to its brightest voxel, and the name of its class."""
        image = b2nd.decode(contents[0])[0]
        low, high = float(image.min()), float(image.max())
        name = self.generation.classes.labels[self._class(ref)]
        scaled = _BRIGHTEST * (image - low) / max(high - low, 1e-8)
        return View(f"{self._case(ref)}: {name}", scaled, None)

    def metadata(self) -> dict[str, bytes]:
        """Labels, splits, the Hydra configuration, and the data module that it names."""
        refs = tuple(samples(self.generation))
        labels = {self._case(ref): self._label(ref) for ref in refs}
        fold = {
            side: [self._case(ref) for ref in refs if ref.split == split]
            for side, split in (("train", TRAINING), ("val", VALIDATION))
        }
        return {
            LABELS: to_json_bytes(labels),
            SPLITS: to_json_bytes([fold] * self.config.n_splits),
            f"{self.config.dataset_name}.yaml": self._hydra_config().encode(),
            MODULE: _template("sdf_classification.py.txt").encode(),
        }

    def _hydra_config(self) -> str:
        classes = self.generation.classes
        sizes = [len(ids) for ids in classes.tasks.values()]
        values = {
            "name": json.dumps(self.config.dataset_name),
            "folds": str(self.config.n_splits),
            "classes": str(classes.out_channel),
            "patch_size": str(list(self.config.grid)),
            "subtask": "multilabel" if sizes else "multiclass",
            "label_sizes": f"    label_sizes: {sizes}\n" if sizes else "",
        }
        text = _template("sdf_classification.yaml.txt")
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        return text

    def _label(self, ref: SampleRef) -> int | list[int]:
        """As it stands in labelsTr.json."""
        number = self._class(ref)
        if self.config.multilabel:
            return list(self.generation.classes.volume_ids[number])
        return [number, number] if self.config.labels_style == "pair" else number

    def _class(self, ref: SampleRef) -> int:
        return self.config.class_of(ref.split, ref.index)

    def _case(self, ref: SampleRef) -> str:
        return f"case_{number(self.generation, ref):05d}"


@functools.cache
def _template(name: str) -> str:
    return (resources.files("fdif_jax.io") / "templates" / name).read_text(encoding="utf-8")
