"""Everything a volume can be made of: primitives, mappers, displacements, as one value.

A catalog is frozen and hashable, so it is a static argument of jit. Nothing is registered
globally: ``with_primitive``, ``with_mapper`` and ``with_displacement`` return a new catalog.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping

from jax import Array

from fdif_jax.errors import InputError, lookup
from fdif_jax.synth.displacements import DISPLACEMENTS, NONE, Displacement, Field
from fdif_jax.synth.mappers import MAPPERS, Mapper
from fdif_jax.synth.table import ALIASES, CATEGORIES, PRIMITIVES, Primitive

CUSTOM_CATEGORY = "custom"
PROGRAMS = (
    "sphere",
    "cone",
    "octahedron",
    "circle_prism",
    "star_prism",
    "polygon_prism",
    "circle_revolution",
    "star_revolution",
    "polygon_revolution",
)
"""Formulas behind the 109 rows, in the order of ``Shape.program``; custom ones follow."""


@dataclasses.dataclass(frozen=True, slots=True)
class CustomPrimitive:
    """A primitive that a person added; see ``Catalog.with_primitive``."""

    name: str
    display_name: str
    sdf: Callable[..., Array]
    ranges: tuple[tuple[str, float, float], ...]
    ratios: tuple[tuple[str, float, float], ...]
    lipschitz: float | None

    @property
    def category(self) -> str:
        """The category all custom primitives share."""
        return CUSTOM_CATEGORY

    @property
    def program(self) -> str:
        """Every custom primitive is a program of its own."""
        return self.name

    @property
    def params(self) -> tuple[str, ...]:
        """The parameters that a scene file must give."""
        return tuple(name for name, _, _ in (*self.ranges, *self.ratios))


@dataclasses.dataclass(frozen=True, slots=True)
class Catalog:
    """Primitives, mappers and displacements in class order. Start from ``Catalog.default()``."""

    primitive_rows: tuple[Primitive | CustomPrimitive, ...]
    mapper_rows: tuple[Mapper, ...]
    displacement_rows: tuple[Displacement, ...]

    @classmethod
    def default(cls) -> "Catalog":
        """The paper's 109 primitives, 11 mappers, 10 displacements and none."""
        return cls(PRIMITIVES, MAPPERS, (NONE, *DISPLACEMENTS))

    @property
    def primitives(self) -> dict[str, Primitive | CustomPrimitive]:
        """Canonical name to row, in class order."""
        return {row.name: row for row in self.primitive_rows}

    @property
    def mappers(self) -> dict[str, Mapper]:
        """Name to mapper."""
        return {row.name: row for row in self.mapper_rows}

    @property
    def displacements(self) -> dict[str, Displacement]:
        """Name to displacement; the first is ``none``."""
        return {row.name: row for row in self.displacement_rows}

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """Category to the names of its primitives."""
        custom = tuple(row.name for row in self.custom)
        return {**CATEGORIES, **({CUSTOM_CATEGORY: custom} if custom else {})}

    @property
    def custom(self) -> tuple[CustomPrimitive, ...]:
        """The primitives that were added."""
        return tuple(row for row in self.primitive_rows if isinstance(row, CustomPrimitive))

    @property
    def programs(self) -> tuple[str, ...]:
        """The formulas, in the order of ``Shape.program``."""
        return (*PROGRAMS, *(row.name for row in self.custom))

    @property
    def custom_width(self) -> int:
        """Length of ``Shape.custom``."""
        return max((len(row.params) for row in self.custom), default=1)

    def find_primitive(self, name: str) -> Primitive | CustomPrimitive:
        """The row behind a canonical name, a display name or a misspelt old one.

        Raises:
          InputError: an unknown name; the message holds the nearest.
        """
        rows = {**self.primitives, **{row.display_name: row for row in self.primitive_rows}}
        rows |= {old: rows[new] for old, new in ALIASES.items() if new in rows}
        by_fold = {key.casefold(): row for key, row in rows.items()}
        if (row := by_fold.get(name.casefold())) is not None:
            return row
        remedy = "`fdif list primitives` shows them."
        return lookup(self.primitives, name, kind="primitive", remedy=remedy)

    def with_primitive(
        self,
        name: str,
        sdf: Callable[..., Array],
        *,
        ranges: Mapping[str, tuple[float, float]],
        ratios: Mapping[str, tuple[float, float]] | None = None,
        display_name: str = "",
        lipschitz: float | None = None,
    ) -> "Catalog":
        """A catalog with one more primitive, as its last class.

        Args:
          name: lower case.
          sdf: ``sdf(x, y, z, **params)``, distance in voxels from coordinates that broadcast.
          ranges: parameter to (low, high), drawn uniformly, times the grid's smallest size.
          ratios: parameter to (low, high), drawn uniformly, as it is.
          display_name: as in class labels; the capitalised name if omitted.
          lipschitz: how fast ``sdf`` can change, in voxels per voxel (1 for an exact distance).
            Known, it lets the renderer skip the parts of the volume the object cannot reach.

        Raises:
          InputError: the name is taken, or a range is upside down.
        """
        self._refuse_taken(name, (*self.primitives, *ALIASES), "primitive")
        rows = tuple(
            tuple((key, *bounds) for key, bounds in (table or {}).items())
            for table in (ranges, ratios)
        )
        for key, low, high in (*rows[0], *rows[1]):
            if not (math.isfinite(low) and math.isfinite(high) and low <= high):
                raise InputError(
                    f"primitive {name!r}: range of {key} is ({low}, {high}); low first."
                )
        row = CustomPrimitive(
            name, display_name or name.capitalize(), sdf, rows[0], rows[1], lipschitz
        )
        return dataclasses.replace(self, primitive_rows=(*self.primitive_rows, row))

    def with_mapper(
        self, name: str, intensity: Callable[[Array], Array], *, reach: float = 0.0
    ) -> "Catalog":
        """A catalog with one more mapper.

        Args:
          name: as given on the command line.
          intensity: distance in voxels (negative inside) to intensity, 0 to 128, elementwise.
          reach: how many voxels outside the surface it still paints; ``math.inf`` for all.

        Raises:
          InputError: the name is taken.
        """
        self._refuse_taken(name, self.mappers, "mapper")
        row = Mapper(name, intensity, reach)
        return dataclasses.replace(self, mapper_rows=(*self.mapper_rows, row))

    def with_displacement(self, name: str, field: Field, *, amplitude: float) -> "Catalog":
        """A catalog with one more displacement.

        Args:
          name: as given on the command line and in class labels.
          field: rows of normalised x, y, z (largest 1) that broadcast, to displacement over
            amplitude.
          amplitude: as a share of the grid's largest x coordinate.

        Raises:
          InputError: the name is taken.
        """
        self._refuse_taken(name, self.displacements, "displacement")
        row = Displacement(name, field, amplitude)
        return dataclasses.replace(self, displacement_rows=(*self.displacement_rows, row))

    @staticmethod
    def _refuse_taken(name: str, taken: Mapping[str, object] | tuple[str, ...], kind: str) -> None:
        if not name or name != name.strip() or name in taken:
            raise InputError(f"{kind} name {name!r} is empty or taken; choose another.")
