"""The catalog that a command works with: the default one, or a person's own."""

import contextlib
import hashlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fdif_jax.errors import InputError

if TYPE_CHECKING:
    from fdif_jax.synth.catalog import Catalog


def load_catalog(plugin: str | None) -> tuple["Catalog", str | None]:
    """The catalog and, for a plugin, the hash of its source.

    The module is looked for as Python would from the current folder. Its source, not its name
    alone, counts as part of the configuration: an edited plugin makes another data set.

    Args:
      plugin: ``module:catalog``, or None for the default.

    Raises:
      InputError: there is no such module or name, or it is no catalog.
    """
    from fdif_jax.synth.catalog import Catalog

    if plugin is None:
        return Catalog.default(), None
    module_name, colon, attribute = plugin.partition(":")
    if not (colon and module_name and attribute):
        raise InputError(f"plugin is {plugin!r}; give module:catalog, e.g. my_shapes:catalog.")
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # whatever a person's module raises on its import
        raise InputError(
            f"plugin module {module_name!r} cannot be imported from {Path.cwd()}: "
            f"{type(error).__name__}: {error}."
        ) from error
    finally:
        sys.path.remove(str(Path.cwd()))
    catalog = getattr(module, attribute, None)
    if not isinstance(catalog, Catalog):
        raise InputError(
            f"plugin {plugin!r}: {attribute!r} is {type(catalog).__name__}; it must be a Catalog, "
            "e.g. Catalog.default().with_mapper(…)."
        )
    return catalog, _source_hash(module.__file__)


@contextlib.contextmanager
def blamed(plugin: str | None) -> Iterator[None]:
    """Says of what goes wrong inside that it is the plugin's doing; without a plugin it is not.

    Raises:
      InputError: instead of what a person's functions raise.
    """
    try:
        yield
    except Exception as error:  # whatever a person's functions raise
        if plugin is None or isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"plugin {plugin!r} cannot be rendered ({type(error).__name__}: {reason}); functions "
            "take and give arrays that broadcast, as README.md shows."
        ) from error


def _source_hash(file: str | None) -> str:
    content = Path(file).read_bytes() if file else b""
    return hashlib.sha256(content).hexdigest()
