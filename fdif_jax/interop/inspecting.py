"""What a weight file holds, in words."""

import math
from pathlib import Path

from flax import nnx

from fdif_jax.errors import InputError
from fdif_jax.interop import files, formats
from fdif_jax.interop.content import Content
from fdif_jax.interop.hints import Hints, check_given, completed
from fdif_jax.interop.infer import infer_config
from fdif_jax.interop.naming import Named, named
from fdif_jax.models.conv import Shape3
from fdif_jax.models.registry import Config, abstract_network, family_of

_HIDDEN = ("remat", "dtype")  # of the config: how it runs, not what it is


def inspect_file(
    path: Path | str, *, image_size: Shape3 | None = None, hints: Hints | None = None
) -> list[str]:
    """What a weight file holds, line by line.

    Tensors, where they stand, the network and its options, what was assumed, what does not fit.

    Args:
      path: the file.
      image_size: short for the hint of that name.
      hints: what the file may not say.

    Raises:
      InputError: not a weight file, or a hint for another network.
      EnvironmentFault: a ``.pth`` without PyTorch, or a file that cannot be read.
    """
    content = files.read_content(path)
    lines = [f"{Path(path).name}: {_size(content)}"]
    if content.place or content.beside:
        lines.append(f"place: {content.place or 'top'}; beside: {_few(list(content.beside))}")
    given = hints or Hints(image_size)
    try:
        found = named(content.tensors)
        if found.family is not None:
            check_given(given, found.family)
        config, assumed = infer_config(found, completed(given, content.beside))
        abstract = abstract_network(config)
    except InputError as error:
        return [*lines, f"network: unknown; {error}"]
    lines += [f"network: {family_of(config)}", f"options: {_options(config)}"]
    lines += [f"assumed: {sentence}" for sentence in assumed]
    if found.wrapper:
        lines.append(f"names: without {found.wrapper!r} before each")
    if found.passed:
        lines.append(f"passed over: {len(found.passed)} tensors, {_few(list(found.passed))}")
    return lines + _verdict(abstract, found)


def _verdict(abstract: nnx.Module, found: Named) -> list[str]:
    allow = formats.absent_parts(abstract, found)
    problems = formats.mismatches(abstract, found, allow=allow)
    if problems:
        return [f"{len(problems)} mismatches:", *(f"  {problem}" for problem in problems)]
    fresh = [
        e.key for e in formats.entries_of(abstract) if allow(e.key) and e.key not in found.tensors
    ]
    if fresh:
        return [f"complete but for {len(fresh)} tensors that would start afresh: {_few(fresh)}"]
    return ["complete: every parameter is there with its shape, and nothing else"]


def _size(content: Content) -> str:
    total = sum(math.prod(a.shape) for a in content.tensors.values())
    kinds = sorted({a.dtype.name for a in content.tensors.values()})
    return f"{len(content.tensors)} tensors, {total:,} numbers ({', '.join(kinds)})"


def _options(config: Config) -> str:
    names = [name for name in config.__dataclass_fields__ if name not in _HIDDEN]
    return ", ".join(f"{name}={getattr(config, name)}" for name in names)


def _few(names: list) -> str:
    shown = ", ".join(map(str, names[:4]))
    return f"{shown}, …" if len(names) > 4 else shown or "nothing"
