"""The layout of nnU-Net's raw data sets."""

import dataclasses
from collections.abc import Sequence

from fdif_jax.config import GenerateConfig
from fdif_jax.io.layout import (
    ENDING,
    TRAINING,
    VALIDATION,
    Sample,
    SampleRef,
    View,
    encode_volumes,
    flaw_of_volume,
    label_kinds,
    number,
    view_of_volumes,
)
from fdif_jax.io.manifest import Generation, to_json_bytes


@dataclasses.dataclass(frozen=True)
class NnunetLayout:
    """nnU-Net raw data sets: one for training, one with the next number for validation.

    Nothing else with the file ending may lie in their folders: each such file becomes a case.
    """

    generation: Generation

    @property
    def config(self) -> GenerateConfig:
        """What is laid out; this layout has no other kind."""
        config = self.generation.config
        assert isinstance(config, GenerateConfig)
        return config

    @property
    def homes(self) -> tuple[str, ...]:
        """The data set folders."""
        splits = (TRAINING, VALIDATION) if self.generation.counts[VALIDATION] else (TRAINING,)
        return tuple(self._home(split) for split in splits)

    def files(self, ref: SampleRef) -> tuple[str, ...]:
        """Image, label, and one label for each further task."""
        return tuple(self._paths(ref).values())

    def encode(self, ref: SampleRef, sample: Sample) -> dict[str, bytes]:
        """All as 3-D NIfTI."""
        return encode_volumes(self.generation, self._paths(ref), ref, sample)

    def flaw(self, ref: SampleRef, path: str, data: bytes) -> str | None:
        """By stamp and checksum."""
        return flaw_of_volume(self.generation, self._paths(ref), ref, path, data)

    def scene_file(self, ref: SampleRef) -> str:
        """Beside the image and label folders."""
        return f"{self._home(ref.split)}/scenes/{self._case(ref)}.json"

    def picture_file(self, ref: SampleRef) -> str:
        """Beside the image and label folders."""
        return f"{self._home(ref.split)}/visualizations/{self._case(ref)}.png"

    def view(self, ref: SampleRef, contents: Sequence[bytes]) -> View:
        """Image and label; with several tasks the first one's."""
        return view_of_volumes(self.picture_file(ref), contents)

    def metadata(self) -> dict[str, bytes]:
        """One dataset.json for each data set."""
        return {
            f"{self._home(split)}/dataset.json": self._dataset(count)
            for split, count in self.generation.counts.items()
            if count
        }

    def _dataset(self, count: int) -> bytes:
        classes = self.generation.classes
        names = {name: i for i, name in classes.labels.items()}
        if classes.tasks:
            names = dict(next(iter(classes.tasks.values())))
        record = {
            "channel_names": {"0": "SDF"},
            "labels": dict(sorted(names.items(), key=lambda item: item[1])),
            "numTraining": count,
            "file_ending": ENDING,
            "name": self.config.dataset_name,
            "description": "Synthetic volumes rendered from signed distance functions",
            "seed": self.generation.seed,
            "config_hash": self.generation.config_hash,
        }
        if classes.tasks:
            record["tasks"] = {task: {"labels": ids} for task, ids in classes.tasks.items()}
        return to_json_bytes(record)

    def _paths(self, ref: SampleRef) -> dict[str, str]:
        home, case = self._home(ref.split), self._case(ref)
        paths = {"image": f"{home}/imagesTr/{case}_0000{ENDING}"}
        for kind in label_kinds(self.generation.classes.tasks):
            paths[kind] = f"{home}/{kind.replace('label', 'labelsTr', 1)}/{case}{ENDING}"
        return paths

    def _case(self, ref: SampleRef) -> str:
        return f"case_{number(self.generation, ref):05d}"

    def _home(self, split: str) -> str:
        config = self.config
        if split == VALIDATION:
            return f"Dataset{config.dataset_id + 1:03d}_{config.dataset_name}_Val"
        return f"Dataset{config.dataset_id:03d}_{config.dataset_name}"
