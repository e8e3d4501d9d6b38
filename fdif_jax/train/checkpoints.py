"""Checkpoints: the whole state of a run, written by orbax, whole or not at all.

The two newest are kept, so that a damaged one costs no more than the updates since the one
before it. The best model is a model folder beside them.
"""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from jax.sharding import Mesh

from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.faults import one_fault
from fdif_jax.memory import human
from fdif_jax.train.step import State, replicated

_KEPT = 2
_DESCRIBED = 2**18  # bytes that say what the arrays are


class Score(NamedTuple):
    """How the run has done so far; part of a checkpoint."""

    best: float | None = None
    """Largest score of a validation."""
    best_update: int = 0
    evaluations_since: int = 0
    """Validations since then, for --early_stop."""


class Checkpoints:
    """A run's folder of checkpoints.

    Args:
      folder: made if it is not there.
      mesh: where states lie.
      read_only: it is another run's; nothing in it is changed.
    """

    def __init__(self, folder: Path, mesh: Mesh, *, read_only: bool = False):
        self._folder = folder.absolute()
        self._mesh = mesh
        self._read_only = read_only
        self._manager = ocp.CheckpointManager(
            self._folder,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=_KEPT, enable_async_checkpointing=False, read_only=read_only
            ),
        )

    def save(self, state: State, score: Score) -> None:
        """Writes the state under its number of updates; older ones stay until it is whole.

        Raises:
          EnvironmentFault: the disk is full or not writable; the checkpoints before are good.
        """
        update = int(state.update)
        require_room(self._folder, state)
        with one_fault(
            f"{self._folder}: a checkpoint cannot be written",
            "; the one before it is good: make room and give the same command again.",
        ):
            self._manager.save(
                update,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(_by_name(state)),
                    score=ocp.args.JsonSave(score._asdict()),
                ),
                force=True,
            )

    def newest(self) -> int | None:
        """The updates of the newest checkpoint."""
        return self._manager.latest_step()

    def restore(self, like: State) -> tuple[State, Score] | None:
        """The newest checkpoint that can be read, or None where there is none.

        Damaged ones behind it are deleted, so that new ones can take their numbers.

        Args:
          like: a state of the same network.

        Raises:
          InputError: there are some, but none can be read, or they are of another network.
        """
        damaged: dict[int, str] = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                found = self._restore(step, like)
            except InputError:
                raise
            except Exception as error:  # whatever orbax makes of damaged files
                damaged[step] = " ".join(str(error).split())[:150]
                continue
            for other in () if self._read_only else damaged:
                self._manager.delete(other)
            return found
        if damaged:
            reasons = "; ".join(f"{step}: {reason}" for step, reason in damaged.items())
            remedy = "give another run" if self._read_only else "start anew with --overwrite"
            raise InputError(f"{self._folder}: no checkpoint can be read ({reasons}); {remedy}.")
        return None

    def close(self) -> None:
        """Ends orbax's threads."""
        self._manager.close()

    def _restore(self, step: int, like: State) -> tuple[State, Score]:
        whole = replicated(self._mesh)
        wanted = {
            name: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=whole)
            for name, a in _by_name(like).items()
        }
        check_fits(self._folder / str(step), wanted)
        found = self._manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(wanted), score=ocp.args.JsonRestore()
            ),
        )
        leaves = [found.state[name] for name in wanted]
        state = jax.tree.unflatten(jax.tree.structure(like), leaves)
        return state, Score(**found.score)


def require_room(folder: Path, arrays: Any) -> None:
    """Refuses to write arrays that the disk has no room for: half written, they help nobody.

    Raises:
      EnvironmentFault: naming both sizes.
    """
    needed = sum(a.nbytes for a in jax.tree.leaves(arrays)) + _DESCRIBED
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise EnvironmentFault(
            f"{folder}: {human(needed)} are to be written and {human(free)} are free; what was "
            "written before is good: make room and give the same command again."
        )


def check_fits(folder: Path, wanted: dict[str, Any]) -> None:
    """Refuses a checkpoint whose arrays are not those of the run.

    Raises:
      InputError: it is of another network.
      ValueError: it is damaged.
    """
    with ocp.StandardCheckpointer() as reader:
        found = reader.metadata(folder / "state").item_metadata
    if found is None:
        raise ValueError("files are missing or cut off")
    given = {name: tuple(m.shape) for name, m in found.tree.items()}
    other = [
        n for n in {*given, *wanted} if given.get(n) != (wanted[n].shape if n in wanted else 0)
    ]
    if other:
        raise InputError(
            f"{folder} is a checkpoint of another network ({len(other)} arrays differ, among them "
            f"{max(other)}); give the options of that run, or begin without it."
        )


def read_update(folder: Path) -> int | None:
    """The updates of the newest checkpoint in a folder that need not exist; opens nothing."""
    steps = [int(p.name) for p in folder.glob("*") if p.name.isdigit()]
    return max(steps, default=None)


def _by_name(state: State) -> dict[str, Any]:
    """A flat dict: names that stay what they are when a container changes its kind."""
    flat, _ = jax.tree_util.tree_flatten_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in flat}
