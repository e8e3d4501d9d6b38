"""What a run leaves for others: model folders, pictures, the summary."""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax

from fdif_jax.io import metrics
from fdif_jax.model_io import ModelInfo, save_model
from fdif_jax.train.checkpoints import Score, require_room
from fdif_jax.train.job import Job, Validator
from fdif_jax.train.log import RunLog, Validation
from fdif_jax.train.run_folder import RunFolder, point_to_best
from fdif_jax.train.step import Parts, State, put_together
from fdif_jax.viz import training as pictures


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Writes them, in the first process of a job.

    Args:
      job: what is learnt.
      folder: where.
      parts: of the network.
      log: told what was written.
      say: takes sentences for the person.
    """

    job: Job
    folder: RunFolder
    parts: Parts
    log: RunLog
    say: Callable[[str], None]

    def save_best(self, state: State, found: Validation) -> None:
        """``model_best``: the weights of this moment."""
        if jax.process_index():
            return
        self._save(self.folder.best, state, {"validation": metrics.finite(found.scores())})
        self._point()

    def finish(self, state: State, score: Score, done: int, validator: Validator | None) -> None:
        """``model_last``, the pictures, and the mark that the run is complete."""
        if jax.process_index():
            return
        self._save(self.folder.last, state, {})
        if score.best is None:  # nothing to compare with: the last is the best
            self._save(self.folder.best, state, {})
            self._point()
        self._draw(state, validator)
        key = self.job.words.key
        self.folder.finish(
            {"updates": done, f"best_{key}": score.best, "best_update": score.best_update}
        )

    def _point(self) -> None:
        """What later runs start from; fine-tuned models and classifiers do not take its place."""
        if self.job.kind not in ("fine_tuning", "classification"):
            point_to_best(self.folder, self.job.config.model_name)

    def _save(self, path: Any, state: State, extra: dict[str, Any]) -> None:
        require_room(self.folder.path, (state.params, state.stats))
        model = put_together(self.parts, state)
        config = self.job.config
        provenance = {
            "trained_on": config.data or "volumes on the fly",
            "updates": int(state.update),
            "seed": config.seed,
            "started_from": config.pretrained_model,
            "command": sys.argv,
            **extra,
        }
        info = ModelInfo(
            model.config,
            config.patch,
            self.job.intensities,
            _plain(self.job.class_names),
            provenance,
        )
        save_model(path, model, info)

    def _draw(self, state: State, validator: Validator | None) -> None:
        if not pictures.available():
            self.log.say("no pictures: pip install 'fdif-jax[viz]'")
            return
        pictures.write_curves(self.folder.path / metrics.FILE, self.folder.path / "curves.png")
        self.job.draw(self.folder.path, state, validator)


def _plain(names: Any) -> Any:
    """Keys as JSON has them."""
    if not isinstance(names, Mapping):
        return names
    return {str(key): _plain(value) for key, value in names.items()}
