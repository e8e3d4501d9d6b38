"""What a sheet shows: which solids, displaced by what, drawn how many times."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import NamedTuple

from fdif_jax.config import GenerateConfig, at_least
from fdif_jax.errors import InputError
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.labels import ShapeChoice, class_table, union_choice

ALL = "all"
MAX_TILES = 2000


class Tile(NamedTuple):
    """One solid on a sheet."""

    title: str
    """One or two lines."""
    group: str
    """Tiles of a group stand side by side."""
    parts: tuple[str, ...]
    """Canonical names: one primitive, or the two of a union."""
    displacement: str = "none"
    draw: int = 0
    """Each has sizes of its own."""
    sizes: int = 0
    """How many numbers its sizes are, where they are told."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What to show. Names are in any spelling that the generator takes; ``("all",)`` is each.

    Args:
      primitives: none where unions are given, else all.
      categories: they override ``primitives``.
      unions: primitives in pairs, one pair after the other; each is one more solid.
      displacement_functions: every solid is shown without any, and with each of these.
      sdf_mappers: functions from distance to intensity.
      draws: how often the sizes of every solid are drawn, at least 1.

    Raises:
      InputError: a half pair, or no draw.
    """

    primitives: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    unions: tuple[str, ...] = ()
    displacement_functions: tuple[str, ...] = ()
    sdf_mappers: tuple[str, ...] = ("inverse_cube",)
    draws: int = 1

    def __post_init__(self) -> None:
        """Checks the numbers."""
        at_least("num_variations", self.draws, 1)
        if len(self.unions) % 2:
            count = len(self.unions)
            raise InputError(
                f"unions holds {count} name{'s' * (count > 1)}, an odd number; give pairs, "
                "e.g. sphere cone."
            )


def tiles_of(request: Request, catalog: Catalog) -> tuple[tuple[Tile, ...], tuple[str, ...]]:
    """The tiles, solid by solid, and the names of the mappers.

    Raises:
      InputError: an unknown name (with the nearest), or more than ``MAX_TILES`` tiles.
    """
    classes = class_table(
        GenerateConfig(
            primitives=request.primitives or (ALL,),
            categories=request.categories,
            displacement_functions=_every(request.displacement_functions, catalog.displacements),
            sdf_mappers=_every(request.sdf_mappers, catalog.mappers),
            mapper_as_augmentation=True,
            displacement_as_augmentation=True,
        ),
        catalog,
        seed=0,
    )
    named = request.primitives or request.categories or not request.unions
    solids = (*(classes.shapes if named else ()), *_unions(request.unions, catalog))
    displacements, draws = classes.displacements, range(request.draws)
    if (count := len(solids) * len(displacements) * len(draws)) > MAX_TILES:
        raise InputError(
            f"the sheet would hold {count} solids; at most {MAX_TILES} are allowed: ask for fewer."
        )
    if len(displacements) == len(draws) == 1:
        return tuple(_alone(solid, catalog) for solid in solids), classes.mappers
    every = itertools.product(solids, displacements, draws)
    return tuple(_one_of_several(*one, request, catalog) for one in every), classes.mappers


def _every(names: tuple[str, ...], table: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(table) if ALL in map(str.casefold, names) else names


def _unions(names: tuple[str, ...], catalog: Catalog) -> list[ShapeChoice]:
    canonical = [catalog.find_primitive(name).name for name in names]
    pairs = dict.fromkeys(zip(canonical[::2], canonical[1::2], strict=True))
    return [union_choice(catalog, pair, i) for i, pair in enumerate(pairs)]


def _alone(solid: ShapeChoice, catalog: Catalog) -> Tile:
    union = len(solid.parts) > 1
    group = "unions" if union else catalog.primitives[solid.parts[0]].category
    return Tile(solid.display_name, group, solid.parts)


def _one_of_several(
    solid: ShapeChoice, displacement: str, draw: int, request: Request, catalog: Catalog
) -> Tile:
    words, sizes = [], 0
    if request.displacement_functions:
        words.append("not displaced" if displacement == "none" else displacement)
    if request.draws > 1:
        words.append(f"draw {draw + 1}")
        sizes = len(scalars(catalog, solid.parts))
    title = f"{solid.display_name}\n{', '.join(words)}"
    return Tile(title, solid.display_name, solid.parts, displacement, draw, sizes)


def scalars(catalog: Catalog, parts: tuple[str, ...]) -> tuple[str, ...]:
    """The sizes of a primitive that are one number each; none of a union's."""
    params = catalog.primitives[parts[0]].params if len(parts) == 1 else ()
    return tuple(name for name in params if name != "vertices")
