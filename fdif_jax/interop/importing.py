"""A foreign weight file as one of our networks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from fdif_jax.errors import InputError, lookup
from fdif_jax.interop import files, formats, state
from fdif_jax.interop.hints import Hints, check_given, completed
from fdif_jax.interop.infer import infer_config
from fdif_jax.interop.naming import named
from fdif_jax.models.conv import Shape3
from fdif_jax.models.registry import Network, abstract_network, build, without_weights
from fdif_jax.models.swin import Merging

SOURCES: dict[str, tuple[str, ...]] = {
    "monai": ("vnet", "unetr", "swin_unetr"),
    "nnunet": ("resenc", "primus"),
    "ssl3d": ("resenc", "primus"),
}


class Imported(NamedTuple):
    """A network from a file.

    Attributes:
      model: in evaluation mode.
      fresh: original names of what the file does not hold and that started anew.
      assumed: what the file does not say, one sentence each.
      patch: that it was trained on, where the person or the file says it.
      passed: keys of the file outside the network.
    """

    model: Network
    fresh: list[str]
    assumed: tuple[str, ...]
    patch: Shape3 | None
    passed: tuple[str, ...]


def read_network(
    path: Path | str, hints: Hints | None = None, source: str | None = None
) -> Imported:
    """The network of a foreign weight file.

    Args:
      path: ``.safetensors``, or ``.pth`` where PyTorch is installed.
      hints: what the file may not say.
      source: ``monai``, ``nnunet`` or ``ssl3d``, where only its networks are expected.

    Raises:
      InputError: no weight file, none of our networks, another one than the source's or the
        plans', or mismatches (all of them).
      EnvironmentFault: a ``.pth`` without PyTorch, or a file that cannot be read.
    """
    expected = None if source is None else lookup(SOURCES, source, kind="source")
    content = files.read_content(path)
    found = named(content.tensors)
    given = hints or Hints()
    if found.family is not None:
        check_given(given, found.family)
        if expected is not None and found.family not in expected:
            raise InputError(
                f"{path} is of {found.family}; --from {source} is for {', '.join(expected)}: "
                "leave it out, the network is recognised."
            )
    known = completed(given, content.beside)
    config, assumed = infer_config(found, known)
    abstract = abstract_network(config)
    if known.image_size is not None:
        abstract.check_size(known.image_size)
    allow = formats.absent_parts(abstract, found)
    # Before anything of the inferred size is allocated: a small file may claim a large network.
    problems = formats.mismatches(abstract, found, allow=allow)
    state.refuse(problems, str(path), "`fdif inspect FILE` shows what it holds.")
    model = without_weights(config)
    fresh = formats.load_state_dict(model, found, allow=allow)
    if fresh:  # what the file does not hold needs values
        model = build(config, rngs=nnx.Rngs(0))
        formats.load_state_dict(model, found, allow=allow)
    model.eval()
    return Imported(model, fresh, assumed, known.image_size, found.passed)


def import_file(
    path: Path | str,
    *,
    image_size: Shape3 | None = None,
    heads: int | None = None,
    merging: Merging | None = None,
    plans: Mapping[str, Any] | None = None,
) -> tuple[Network, list[str]]:
    """The network of a foreign weight file, and the keys that started afresh.

    See ``read_network``, which also says what was assumed, and ``Hints`` for the arguments.
    """
    imported = read_network(path, Hints(image_size, heads, merging, plans))
    return imported.model, imported.fresh


def load_pretrained(model: Network, tensors: Mapping[str, np.ndarray]) -> list[str]:
    """Foreign weights into ``model``; a head that does not fit keeps its fresh values.

    Returns:
      the keys of the head that were not taken, for the log.

    Raises:
      InputError: anything else that does not fit, all of it.
    """
    return formats.load_state_dict(model, tensors, allow=lambda key: formats.is_head(model, key))
