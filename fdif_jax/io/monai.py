"""The layout that MONAI reads: a Decathlon data list."""

import dataclasses
from collections.abc import Sequence

from fdif_jax.io.layout import (
    ENDING,
    PER_FOLDER,
    TRAINING,
    VALIDATION,
    Sample,
    SampleRef,
    View,
    encode_volumes,
    flaw_of_volume,
    number,
    samples,
    view_of_volumes,
)
from fdif_jax.io.manifest import Generation, to_json_bytes


@dataclasses.dataclass(frozen=True)
class MonaiLayout:
    """Decathlon list: data/data.json beside image and label folders of 100 files each."""

    generation: Generation

    @property
    def homes(self) -> tuple[str, ...]:
        """out_dir itself."""
        return ("",)

    def files(self, ref: SampleRef) -> tuple[str, ...]:
        """Image and label."""
        return tuple(self._paths(ref).values())

    def encode(self, ref: SampleRef, sample: Sample) -> dict[str, bytes]:
        """Both as NIfTI; several tasks lie on the label's last axis."""
        return encode_volumes(self.generation, self._paths(ref), ref, sample)

    def flaw(self, ref: SampleRef, path: str, data: bytes) -> str | None:
        """By stamp and checksum."""
        return flaw_of_volume(self.generation, self._paths(ref), ref, path, data)

    def scene_file(self, ref: SampleRef) -> str:
        """Beside image and label."""
        return f"data/scene/{self._stem(ref)}.json"

    def picture_file(self, ref: SampleRef) -> str:
        """All in one folder."""
        return f"visualizations/sample_{number(self.generation, ref):05d}.png"

    def view(self, ref: SampleRef, contents: Sequence[bytes]) -> View:
        """Image and label; with several tasks the first one's."""
        return view_of_volumes(self.picture_file(ref), contents)

    def metadata(self) -> dict[str, bytes]:
        """data.json: the Decathlon keys, and what a moved data folder must still say."""
        generation = self.generation
        classes = generation.classes
        lists: dict[str, list[dict[str, str]]] = {TRAINING: [], VALIDATION: []}
        for ref in samples(generation):
            lists[ref.split].append(self._entry(ref))
        record = {
            "name": "FDIF",
            "description": "Synthetic volumes rendered from signed distance functions",
            "tensorImageSize": "3D",
            "modality": {"0": "SDF"},
            "labels": {str(k): v for k, v in classes.labels.items()},
            "out_channel": classes.out_channel,
            "seed": generation.seed,
            "config_hash": generation.config_hash,
            "numTraining": generation.counts[TRAINING],
            "numValidation": generation.counts[VALIDATION],
        }
        if classes.tasks:
            record["multi_task"] = True
            record["tasks"] = {task: {"labels": ids} for task, ids in classes.tasks.items()}
        return {"data/data.json": to_json_bytes(record | lists)}

    def _entry(self, ref: SampleRef) -> dict[str, str]:
        paths = {kind: path.removeprefix("data/") for kind, path in self._paths(ref).items()}
        return {**paths, "id": f"sample_{number(self.generation, ref):05d}"}

    def _paths(self, ref: SampleRef) -> dict[str, str]:
        stem = self._stem(ref)
        return {
            "image": f"data/image/{stem}_x{ENDING}",
            "label": f"data/label/{stem}_y{ENDING}",
        }

    def _stem(self, ref: SampleRef) -> str:
        i = number(self.generation, ref)
        return f"batch_{i // PER_FOLDER:04d}/sample_{i:05d}"
