"""Moving arrays between a network and a dict in PyTorch's names; every mismatch in one error."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from fdif_jax.errors import InputError
from fdif_jax.interop.entries import Entry

_SHOWN = 8


def variable_at(model: Any, path: str) -> nnx.Variable:
    """The parameter or statistic at ``path``, e.g. ``downs.0.units.1.conv.kernel``."""
    node = model
    for part in path.split("."):
        if isinstance(node, nnx.Dict | Mapping):
            node = node[part]
        else:
            node = node[int(part)] if part.isdigit() else getattr(node, part)
    return node


def compare(
    model: Any, entries: Iterable[Entry], tensors: Mapping[str, Any], ignored: Iterable[str] = ()
) -> list[str]:
    """Every way in which ``tensors`` do not fit, one line each.

    Missing, another shape, no floating-point numbers, NaN or infinite values, unexpected.
    """
    problems, known = [], set()
    for entry in entries:
        known.add(entry.key)
        want = entry.torch_shape(variable_at(model, entry.path).shape)
        if entry.key not in tensors:
            problems.append(f"missing {entry.key} {want}")
        elif tuple(tensors[entry.key].shape) != want:
            problems.append(f"{entry.key} is {tuple(tensors[entry.key].shape)}, wanted {want}")
        else:
            problems += _bad_numbers(entry.key, tensors[entry.key])
    skip = re.compile("|".join(ignored)) if ignored else None
    for key in tensors:
        if key not in known and not (skip and skip.fullmatch(key)):
            problems.append(f"unexpected {key}")
    return problems


def _bad_numbers(key: str, tensor: Any) -> list[str]:
    """What is wrong with the values, which are to become float32."""
    array = np.asarray(tensor)
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        return [f"{key} holds {array.dtype.name}, wanted floating-point numbers"]
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite and is named
        finite = np.isfinite(array.astype(np.float32, copy=False)).all()
    return [] if finite else [f"{key} holds NaN or infinite values"]


def load(model: Any, entries: Iterable[Entry], tensors: Mapping[str, Any]) -> None:
    """Puts ``tensors`` into ``model``; those without an entry are passed over."""
    for entry in entries:
        if entry.key in tensors:
            variable = variable_at(model, entry.path)
            array = entry.to_ours(np.asarray(tensors[entry.key]))
            variable.set_value(jnp.asarray(array, variable.dtype))


def dump(model: Any, entries: Iterable[Entry]) -> dict[str, np.ndarray]:
    """The network's arrays in PyTorch's names and arrangement."""
    return {e.key: e.to_torch(np.asarray(variable_at(model, e.path)[...])) for e in entries}


def refuse(problems: list[str], what: str, remedy: str = "") -> None:
    """Raises one error that holds every problem, if there is any.

    Raises:
      InputError: ``problems`` is not empty. The first eight stand in the sentence, all of them
        in the exception's ``problems``.
    """
    if not problems:
        return
    shown = "; ".join(problems[:_SHOWN])
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    error = InputError(
        f"{what} does not fit ({len(problems)} mismatches): {shown}{more}."
        + (f" {remedy}" if remedy else "")
    )
    error.problems = problems  # type: ignore[attr-defined]
    raise error


Table = Callable[[Any, str], Iterable[Entry]]
