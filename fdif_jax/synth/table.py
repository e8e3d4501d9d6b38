"""The 109 primitive classes, as data. Row i has class id i + 1; append, never reorder."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Literal

Solid = Literal["sphere", "cone", "octahedron", "prism", "revolution"]
Profile = Literal["none", "circle", "star", "polygon"]
Taper = Literal["straight", "convex", "concave", "cone"]


@dataclasses.dataclass(frozen=True, slots=True)
class Primitive:
    """One class. The ranges its sizes are drawn from are in ``sampling``."""

    display_name: str
    category: str
    solid: Solid
    profile: Profile = "none"
    sides: int = 0
    taper: Taper = "straight"
    shell: bool = False

    @property
    def name(self) -> str:
        """The canonical name: the display name in lower case."""
        return self.display_name.lower()

    @property
    def program(self) -> str:
        """Which formula renders it; classes that differ in numbers alone share one."""
        return self.solid if self.profile == "none" else f"{self.profile}_{self.solid}"

    @property
    def params(self) -> tuple[str, ...]:
        """The parameters that a scene file must give, in the names of the golden records."""
        if self.profile == "none":
            return {"cone": ("radius", "height"), "octahedron": ("size",)}.get(
                self.solid, ("radius",)
            )
        outline = {
            "circle": ("radius",) if self.solid == "prism" else ("r",),
            "star": ("star_n", "star_w", "star_radius"),
            "polygon": ("vertices",),
        }[self.profile]
        if self.solid == "revolution":
            return ("distance" if self.category == "revolution" else "R", *outline)
        taper = {"straight": (), "cone": ("second_scale",)}.get(
            self.taper, ("second_scale", "neck")
        )
        return ("h", *taper, *(("onion_ratio",) if self.shell else ()), *outline)


_POLYGONS = {
    "Triangle": 3,
    "Square": 4,
    "Pentagon": 5,
    "Hexagon": 6,
    "Heptagon": 7,
    "Octagon": 8,
    "Nonagon": 9,
}
_STARS = {"FiveStar": 5, "SixStar": 6, "SevenStar": 7, "EightStar": 8}
_TAPERS: tuple[Taper, ...] = ("straight", "convex", "concave", "cone")

_BASIC = (
    Primitive("Sphere", "basic", "sphere"),
    Primitive("Cylinder", "basic", "prism", "circle"),
    Primitive("Torus", "basic", "revolution", "circle"),
    Primitive("Cone", "basic", "cone"),
    Primitive("Octahedron", "basic", "octahedron"),
    Primitive("ConvexCylinder", "basic", "prism", "circle", taper="convex"),
    Primitive("ConcaveCylinder", "basic", "prism", "circle", taper="concave"),
    Primitive("ConeCylinder", "basic", "prism", "circle", taper="cone"),
)


def _revolutions() -> Iterator[Primitive]:
    for stem, sides in (("Three", 3), ("Four", 4), ("Five", 5)):
        yield Primitive(f"{stem}StarRevolution", "revolution", "revolution", "star", sides)


def _prisms(shell: bool) -> Iterator[Primitive]:
    onion, onioned = ("Onioned", "onioned_") if shell else ("", "")
    for taper, (stem, sides) in itertools.product(_TAPERS, _POLYGONS.items()):
        word, prefix = ("", "") if taper == "straight" else (taper.capitalize(), f"{taper}_")
        category = f"{onioned}{prefix}sector_polygon_prism"
        name = f"{onion}{stem}{word}Prism"
        yield Primitive(name, category, "prism", "polygon", sides, taper, shell)
    for taper, (stem, sides) in itertools.product(_TAPERS, _STARS.items()):
        word = "" if taper == "straight" else taper.capitalize()
        category = f"{onioned}star_{'polygon' if taper == 'straight' else taper}_prism"
        name = f"{onion}{stem}{word}Prism"
        yield Primitive(name, category, "prism", "star", sides, taper, shell)


def _toruses() -> Iterator[Primitive]:
    for stem, sides in _POLYGONS.items():
        if sides > 3:
            yield Primitive(f"{stem}Torus", "sector_polygon_torus", "revolution", "polygon", sides)
    for stem, sides in _STARS.items():
        yield Primitive(f"{stem}Torus", "star_torus", "revolution", "star", sides)


PRIMITIVES: tuple[Primitive, ...] = (
    *_BASIC,
    *_revolutions(),
    *_prisms(shell=False),
    *_toruses(),
    *_prisms(shell=True),
)

CATEGORIES: dict[str, tuple[str, ...]] = {
    category: tuple(row.name for row in rows)
    for category, rows in itertools.groupby(PRIMITIVES, key=lambda row: row.category)
}


def _aliases() -> Iterator[tuple[str, str]]:
    """Registry names as the original misspells them; old command lines carry them.

    Names that differ in case alone (``onionedSquareprism``) need no alias.
    """
    for row in PRIMITIVES:
        if not row.shell:
            continue
        old = row.name.replace("onionedhe", "onionedche").replace("onionedsix", "onionedix")
        if row.taper in ("concave", "cone"):
            old = old.replace("fivestar", "fvestar").replace("sevenstarc", "sevenstar c")
        if row.taper == "concave":
            old = old.replace("eightstarc", "eightstar c")
        if old != row.name:
            yield old, row.name


ALIASES: dict[str, str] = dict(_aliases())
