"""Foreign state dicts: which table, what is ignored, how names are prefixed, all in one place."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fdif_jax.errors import InputError
from fdif_jax.interop import dynamic, monai, state
from fdif_jax.interop.entries import Entry
from fdif_jax.interop.naming import Named, named
from fdif_jax.models.registry import family_of


@dataclasses.dataclass(frozen=True, slots=True)
class Format:
    """One foreign form of one network.

    Attributes:
      name: ``monai`` or ``dynamic`` (nnU-Net, SSL3D).
      table: entries of a network.
      constants: what the foreign state dict holds besides.
      ignored: patterns of keys that are passed over when reading.
    """

    name: str
    table: state.Table
    constants: Callable[[Any, list[Entry]], dict[str, np.ndarray]]
    ignored: tuple[str, ...]


FORMATS: dict[str, Format] = {
    "VNet": Format("monai", monai.vnet, monai.constants, monai.IGNORED),
    "UNETR": Format("monai", monai.unetr, monai.constants, monai.IGNORED),
    "SwinUNETR": Format("monai", monai.swin_unetr, monai.constants, monai.IGNORED),
    "ResEncUNet": Format("dynamic", dynamic.resenc, dynamic.constants, dynamic.IGNORED),
    "Primus": Format("dynamic", dynamic.primus, dynamic.constants, dynamic.IGNORED),
}


def format_of(model: Any) -> Format:
    """The foreign form of a network's class."""
    return FORMATS[type(model).__name__]


def entries_of(model: Any, task: str | None = None) -> list[Entry]:
    """The name table of a network with one head, or with the head of ``task``.

    Raises:
      InputError: several heads and no task, or a task that does not exist.
    """
    return list(format_of(model).table(model, _head_path(model, task)))


def to_state_dict(model: Any, task: str | None = None) -> dict[str, np.ndarray]:
    """The network's weights in its original's names, complete for ``strict=True``.

    A ResEnc comes with its canonical names only; see ``with_aliases``.
    """
    entries, form = entries_of(model, task), format_of(model)
    return state.dump(model, entries) | form.constants(model, entries)


def load_state_dict(
    model: Any,
    tensors: Mapping[str, Any] | Named,
    *,
    allow: Callable[[str], bool] | None = None,
) -> list[str]:
    """Puts foreign weights into ``model``; all mismatches in one error.

    Args:
      model: the network that the weights are for.
      tensors: arrays by their original's names; wrappers like ``module.`` are taken off, and
        ResEnc's aliases and SwinUNETR's self-supervised names are understood.
      allow: keys, in the original's names, that may be missing or of another shape; they keep
        their values.

    Returns:
      the keys that ``allow`` let through.

    Raises:
      InputError: with every mismatch in its ``problems``.
    """
    found = tensors if isinstance(tensors, Named) else named(tensors)
    wanted, ours, passed, problems = _matched(model, found, allow)
    state.refuse(problems, _unlike(model, found), "`fdif inspect FILE` shows what it holds.")
    state.load(model, wanted, ours)
    return sorted(passed)


def mismatches(
    model: Any, found: Named, *, allow: Callable[[str], bool] | None = None
) -> list[str]:
    """Every way in which a state dict does not fit, one line each; ``model`` may be abstract."""
    return _matched(model, found, allow)[3]


def absent_parts(model: Any, found: Named) -> Callable[[str], bool]:
    """Which keys may be missing: of the decoder and of the head, where none of theirs is there.

    Self-supervised files hold an encoder alone.
    """
    name = type(model).__name__
    starts = [part for part in (_DECODERS[name], _HEADS[name]) if part]
    missing = tuple(
        start
        for part in starts
        if not any(key.startswith(part) for key in found.tensors)
        for start in part
    )
    return lambda key: bool(missing) and key.startswith(missing)


def _matched(
    model: Any, found: Named, allow: Callable[[str], bool] | None
) -> tuple[list[Entry], dict[str, Any], set[str], list[str]]:
    """Entries to load, the tensors for them, keys that keep their values, and mismatches."""
    form, entries = format_of(model), entries_of(model, _any_task(model))
    wanted: list[Entry] = []
    kept: set[str] = set()
    for entry in entries:
        shape = entry.torch_shape(state.variable_at(model, entry.path).shape)
        there = found.tensors.get(entry.key)
        fits = there is not None and tuple(there.shape) == shape
        if fits or allow is None or not allow(entry.key):
            wanted.append(entry)
        else:
            kept.add(entry.key)
    mine = {entry.key for entry in entries}
    ours = {
        key: value
        for key, value in found.tensors.items()
        if key not in kept and (key in mine or allow is None or not allow(key))
    }
    return wanted, ours, kept, state.compare(model, wanted, ours, form.ignored)


def _unlike(model: Any, found: Named) -> str:
    family = family_of(model.config)
    if found.family not in (None, family):
        return f"a file of {found.family} for a {family}"
    return f"this file for {type(model).__name__}"


def is_head(model: Any, key: str) -> bool:
    """Whether a key of the original belongs to the head: what another task replaces."""
    return key.startswith(_HEADS[type(model).__name__])


_HEADS = {
    "VNet": ("out_tr.",),
    "UNETR": ("out.",),
    "SwinUNETR": ("out.",),
    "ResEncUNet": ("decoder.seg_layers.",),
    "Primus": ("up_projection.",),
}
_DECODERS: dict[str, tuple[str, ...]] = {
    "VNet": (),
    "UNETR": (),
    "SwinUNETR": ("encoder", "decoder", "out."),
    "ResEncUNet": ("decoder.",),
    "Primus": ("up_projection.",),
}


def with_aliases(tensors: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """ResEnc's full set of names, and which of them share a tensor (alias to name)."""
    full, shared = {}, {}
    for key, value in tensors.items():
        for alias in dynamic.aliases(key):
            full[alias] = value
            if alias != key:
                shared[alias] = key
    return full, shared


def to_swinvit(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The encoder in the names of SwinUNETR's self-supervised files."""
    renamed = {monai.to_swinvit(key): value for key, value in tensors.items()}
    return {key: value for key, value in renamed.items() if key is not None}


def tasks_of(model: Any) -> tuple[str, ...]:
    """The tasks of a multi-task network, none for a single head."""
    outputs = model.config.out_channels
    return () if isinstance(outputs, int) else tuple(task for task, _ in outputs)


def _any_task(model: Any) -> str | None:
    """A task of a multi-task network; where several share a trunk, any names it."""
    return next(iter(tasks_of(model)), None)


def _head_path(model: Any, task: str | None) -> str:
    tasks = tasks_of(model)
    if not tasks and task is None:
        return "head"
    if task is None:
        raise InputError(f"the network has several heads ({', '.join(tasks)}); choose with --task.")
    if task not in tasks:
        allowed = ", ".join(tasks) or "none, it has a single head"
        raise InputError(f"the network's tasks are: {allowed}; got {task!r}.")
    return f"head.{task}"
