"""Foreign state dicts: which table, what is ignored, how names are prefixed, all in one place."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fdif_jax.errors import InputError
from fdif_jax.interop import dynamic, monai, state
from fdif_jax.interop.entries import Entry

_WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.")


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
    model: Any, tensors: Mapping[str, Any], *, allow: Callable[[str], bool] | None = None
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
    tensors, partial = canonical(model, tensors)
    entries, form = entries_of(model, _only_task(model)), format_of(model)
    wanted = [e for e in entries if not partial or e.key in tensors]
    kept = []
    for entry in list(wanted):
        fits = entry.key in tensors and tuple(tensors[entry.key].shape) == entry.torch_shape(
            state.variable_at(model, entry.path).shape
        )
        if not fits and allow is not None and allow(entry.key):
            kept.append(entry.key)
            wanted.remove(entry)
    ours = {k: v for k, v in tensors.items() if k not in kept and not (allow and allow(k)
            and k not in {e.key for e in entries})}
    problems = state.compare(model, wanted, ours, form.ignored)
    what = f"this file for {type(model).__name__}"
    state.refuse(problems, what, "`fdif inspect FILE` shows what it holds.")
    state.load(model, wanted, ours)
    return kept


def canonical(model: Any, tensors: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Keys in the original's names, and whether they are the encoder's alone.

    Only SwinUNETR's self-supervised form (``module.patch_embed...``) is known to hold the
    encoder alone.
    """
    name = type(model).__name__
    if name == "SwinUNETR" and any(key.startswith("module.patch_embed") for key in tensors):
        return {monai.from_swinvit(k): v for k, v in tensors.items()
                if k.startswith(("module.patch_embed", "module.layers"))}, True
    found = dict(tensors)
    for wrapper in _WRAPPERS:
        if found and all(key.startswith(wrapper) for key in found):
            found = {key.removeprefix(wrapper): value for key, value in found.items()}
    if name == "ResEncUNet":
        found = {dynamic.canonical(key): value for key, value in found.items()}
    return found, False


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


def _tasks(model: Any) -> tuple[str, ...]:
    outputs = model.config.out_channels
    return () if isinstance(outputs, int) else tuple(task for task, _ in outputs)


def _only_task(model: Any) -> str | None:
    tasks = _tasks(model)
    return tasks[0] if len(tasks) == 1 else None


def _head_path(model: Any, task: str | None) -> str:
    tasks = _tasks(model)
    if not tasks and task is None:
        return "head"
    if task not in tasks:
        allowed = ", ".join(tasks) or "none, it has a single head"
        raise InputError(f"the network's tasks are: {allowed}; got {task!r}.")
    return f"head.{task}"
