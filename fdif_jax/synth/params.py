"""What is drawn for a volume: pytrees of numbers that cross jit. Lengths are in voxels."""

from typing import Any, NamedTuple

Leaf = Any
"""A jax array, traced or not, or a numpy array or scalar: a scene is made on both sides."""

MAX_SIDES = 9
"""Vertices of the largest polygon; smaller ones repeat their first vertex."""

MAX_PARTS = 2
"""Solids that one object can join."""


TAPERS = ("straight", "cone", "kneed")
"""Convex and concave are both kneed: they differ in the scale at the neck."""


class Shape(NamedTuple):
    """One solid. Which fields count depends on the program; the others hold harmless numbers.

    Leading axes are those of the collection it is in.
    """

    program: Leaf
    """int32: index into ``Catalog.programs``."""
    radius: Leaf
    """Of a sphere, a cone's base, a circle, a star's tips; an octahedron's size."""
    offset: Leaf
    """Of a revolution: from the axis to the profile's origin."""
    half_height: Leaf
    taper: Leaf
    """int32: index into ``TAPERS``."""
    second_scale: Leaf
    """Of the cross-section, at the top of a cone taper, at the neck of a kneed one."""
    neck: Leaf
    """Height at which the two lines of a kneed taper meet."""
    points: Leaf
    """Spikes of a star, sides of a polygon; as a float."""
    pointiness: Leaf
    vertices: Leaf
    """(MAX_SIDES, 2)."""
    onion_ratio: Leaf
    """Thickness of a shell over the depth of its profile; 0 for a filled prism."""
    custom: Leaf
    """(catalog.custom_width,): parameters of primitives that a person added."""


class Scene(NamedTuple):
    """The objects of one volume; every field has the leading axis N = slots for objects."""

    shape: Shape
    """(N, MAX_PARTS): an object is one solid, or the smooth union of two."""
    local_from_world: Leaf
    """(N, 3, 4): into the frame of the first solid; acts on the column (x, y, z, 1)."""
    second_from_first: Leaf
    """(N, 3, 4): from the first solid's frame into the second's."""
    parts: Leaf
    """(N,) int32: 1 or 2 solids; 0 marks an empty slot, and empty slots come last."""
    k: Leaf
    """(N,): width of the smooth union's crease."""
    displacement: Leaf
    """(N,) int32: index into ``Catalog.displacements``, 0 is none."""
    mapper: Leaf
    """(N,) int32: index into ``Catalog.mappers``."""
    label: Leaf
    """(N, tasks) int32: the class id of each task."""
