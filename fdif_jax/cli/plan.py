"""From options to a checked plan: everything that can be refused is refused here, before writing.

This is the one place where the command line meets the generator (``synth``).
"""

import dataclasses
import os
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fdif_jax.classification import DataSetConfig
from fdif_jax.cli import limits
from fdif_jax.cli.options import folder
from fdif_jax.compilation import keep_programs
from fdif_jax.config import check_seed
from fdif_jax.errors import InputError, lookup
from fdif_jax.io import folder as io_folder
from fdif_jax.io import manifest
from fdif_jax.io.layout import Layout
from fdif_jax.io.layouts import layout_for
from fdif_jax.io.manifest import Classes, Generation
from fdif_jax.io.writer import WHOLE, Shard
from fdif_jax.synth.plugins import load_catalog

if TYPE_CHECKING:
    from fdif_jax.synth.catalog import Catalog

Config = TypeVar("Config", bound=DataSetConfig)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run that writes a data set will do.

    Args:
      out_dir: where the layout's paths start.
      layout: of the data set; holds configuration, seed and classes.
      recipe: makes the samples: ``produce(split, index)``.
      shard: this process's part.
      workers: samples in flight.
    """

    out_dir: Path
    layout: Layout
    recipe: Any
    shard: Shard
    workers: int

    @property
    def generation(self) -> Generation:
        """Configuration, seed and classes."""
        return self.layout.generation

    @property
    def home(self) -> Path:
        """The folder of generation.json and the log."""
        return self.out_dir / self.layout.homes[0]


def make_plan(config: DataSetConfig, options: Mapping[str, Any]) -> Plan:
    """Checks everything and decides seed, folder, shard and classes; writes nothing.

    Args:
      config: what to generate.
      options: ``options.run_options``.

    Raises:
      InputError: whatever is wrong with them.
    """
    from fdif_jax.synth.recipes import make_recipe

    keep_programs()
    workers = worker_count(options["workers"])
    shard = _shard(options)
    out_dir = folder(options["out_dir"]) or _default_out_dir(config)
    seed = _seed(options, config, out_dir)
    catalog, plugin_hash = load_catalog(config.plugin)
    config = canonical(config, catalog)
    recipe = make_recipe(config, seed, catalog)
    generation = Generation(config, seed, Classes.of(recipe.classes), plugin_hash)
    layout = layout_for(generation)
    io_folder.check(out_dir, layout, overwrite=options["overwrite"])
    limits.refuse_too_large(
        config.grid,
        limits.memory_needed(config, workers),
        "choose a smaller one, or fewer --workers.",
    )
    return Plan(out_dir, layout, recipe, shard, workers)


def canonical(config: Config, catalog: "Catalog") -> Config:
    """The same configuration in one spelling, so that an alias makes no other data set.

    Raises:
      InputError: an unknown primitive or category.
    """
    table = list(catalog.primitives)
    remedy = "`fdif list categories` shows them."
    for name in config.categories:
        lookup(catalog.categories, name, kind="category", remedy=remedy)
    names = [
        name if name.casefold() == "all" else catalog.find_primitive(name).name
        for name in ([] if config.categories else config.primitives)
    ]
    if any(name.casefold() == "all" for name in names):
        names = ["all"]
    elif config.num_classes is not None:
        names.sort(key=table.index)  # a drawn subset is in the order of the table anyway
    order = list(catalog.categories)
    return dataclasses.replace(
        config,
        primitives=tuple(dict.fromkeys(names)),
        categories=tuple(sorted(set(config.categories), key=order.index)),
        sdf_mappers=tuple(dict.fromkeys(config.sdf_mappers)),
        displacement_functions=tuple(
            dict.fromkeys(n for n in config.displacement_functions if n != "none")
        ),
    )


def worker_count(given: int | None) -> int:
    """Threads: as given, or two for each CPU that this process may use.

    Two, so that one volume is rendered while another is compressed and written.

    Raises:
      InputError: less than one.
    """
    if given is None:
        affinity = getattr(os, "sched_getaffinity", None)
        return 2 * (len(affinity(0)) if affinity else os.cpu_count() or 1)
    if given < 1:
        raise InputError(f"workers is {given}; allowed: 1 or more.")
    return given


def _shard(options: Mapping[str, Any]) -> Shard:
    given = options["shard"]
    shard = Shard.parse(given) if given is not None else _shard_of_jax()
    if shard.count > 1:
        lacking = [name for name in ("out_dir", "seed") if options[name] is None]
        if lacking:
            names = " and ".join(f"--{name}" for name in lacking)
            raise InputError(f"a shard needs {names}, the same for all shards.")
        if options["overwrite"]:
            raise InputError(
                "--overwrite cannot be combined with shards: one would delete what another "
                "writes; delete the data set first."
            )
    return shard


def _shard_of_jax() -> Shard:
    """Under a multi-process JAX job this process's share, else everything."""
    jax = sys.modules.get("jax")
    if jax is None or not jax.distributed.is_initialized():
        return WHOLE
    return Shard(jax.process_index(), jax.process_count())


def _default_out_dir(config: DataSetConfig) -> Path:
    if config.layout == "nnunet":
        return Path("outputs")
    prefix = "cls_" if config.layout == "ssl3d" else ""
    return Path("outputs") / time.strftime(f"{prefix}%Y-%m-%d_%H-%M-%S")


def _seed(options: Mapping[str, Any], config: DataSetConfig, out_dir: Path) -> int:
    """As given, or that of the folder that is continued, or a random one."""
    if options["seed"] is not None:
        check_seed(options["seed"])
        return options["seed"]
    unknown = Generation(config, 0, Classes({}, 0, {}, "uint8"))
    existing = manifest.read(out_dir / layout_for(unknown).homes[0])
    if existing is not None and not options["overwrite"]:
        return existing.seed
    return secrets.randbelow(2**31)
