"""Signed distance to solids, from coordinates in the solid's own frame.

Coordinates ``x, y, z`` broadcast; parameters are scalars that may be traced; distances are in
voxels, negative inside. A profile becomes a solid as a prism along z or a revolution about y.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from fdif_jax.sdf.profiles import length

Profile = Callable[[Array, Array], Array]

SMALLEST_SCALE = 1e-6
NO_NECK = 1e9
"""A height that no point reaches; finite, so that the unused line stays a number."""
OCTAHEDRON_SCALE = 0.357735027
"""Not 1/sqrt(3) = 0.577350269: the original's constant, on which its intensities depend."""


class Taper(NamedTuple):
    """How a prism's cross-section scales along its axis: two lines that meet at ``neck``.

    Below the neck the scale is ``1 + lower * (z + half_height)``, from there on
    ``second + upper * (z - neck)``; both continue beyond the prism.
    """

    half_height: Array
    neck: Array
    second: Array
    lower: Array
    upper: Array

    def scale(self, z: Array) -> Array:
        """The cross-section's scale at height ``z``, at least 1e-6."""
        below = 1.0 + self.lower * (z + self.half_height)
        above = self.second + self.upper * (z - self.neck)
        return jnp.maximum(jnp.where(z < self.neck, below, above), SMALLEST_SCALE)


def straight(half_height: Array) -> Taper:
    """The same cross-section everywhere."""
    zero = jnp.zeros_like(half_height)
    return Taper(half_height, zero + NO_NECK, zero + 1.0, zero, zero)


def cone_taper(half_height: Array, second_scale: Array) -> Taper:
    """One line through scale 1 at the bottom and ``second_scale`` at the top."""
    zero = jnp.zeros_like(half_height)
    slope = (second_scale - 1.0) / (2.0 * half_height)
    return Taper(half_height, zero + NO_NECK, zero + 1.0, slope, zero)


def kneed_taper(half_height: Array, second_scale: Array, neck: Array) -> Taper:
    """Scale 1 at both ends and ``second_scale`` at ``neck``: convex above 1, concave below.

    The neck may lie outside the prism; then it meets only one of the two lines.
    """
    lower = (second_scale - 1.0) / (neck + half_height + 1e-12)
    upper = (second_scale - 1.0) / (neck - half_height + 1e-12)
    return Taper(half_height, neck, second_scale, lower, upper)


def cross_section(profile: Profile, x: Array, y: Array, z: Array, *, taper: Taper) -> Array:
    """Distance to the tapered cross-section within the plane of height ``z``."""
    scale = taper.scale(z)
    inverse = 1.0 / scale
    return scale * profile(x * inverse, y * inverse)


def extrude(across: Array, z: Array, *, half_height: Array) -> Array:
    """Cuts an endless column to ``|z| <= half_height``; exact if the column is straight.

    Args:
      across: distance to the column within each plane.
      z: height.
      half_height: voxels.
    """
    along = jnp.abs(z) - half_height
    outside = length(jnp.maximum(across, 0.0), jnp.maximum(along, 0.0))
    return outside + jnp.minimum(jnp.maximum(across, along), 0.0)


def shell(across: Array, thickness: Array) -> Array:
    """Hollows a column: what is left lies within ``thickness`` of its wall."""
    return jnp.abs(across) - thickness


def revolution(profile: Profile, x: Array, y: Array, z: Array, *, offset: Array) -> Array:
    """Spins ``profile`` about the y axis at distance ``offset``; exact up to the axis.

    A circle gives a torus; so torus and revolution are one solid with two size ranges.
    """
    return profile(length(x, z) - offset, y)


def sphere(x: Array, y: Array, z: Array, *, radius: Array) -> Array:
    """Distance to a sphere; exact."""
    return jnp.sqrt(x * x + y * y + z * z) - radius


def cone(x: Array, y: Array, z: Array, *, radius: Array, height: Array) -> Array:
    """Distance to a cone about y, base at ``-height/2``, tip at ``height/2``; exact."""
    out, up = length(x, z) - radius, y + 0.5 * height
    along = jnp.clip((height * up - radius * out) / (radius * radius + height * height), 0.0, 1.0)
    out, rest = out + radius * along, up - height * along
    flank = length(out, rest)
    return jnp.where(jnp.maximum(out, rest) > 0.0, flank, -jnp.minimum(flank, up))


def octahedron(x: Array, y: Array, z: Array, *, size: Array) -> Array:
    """A lower bound of the distance to an octahedron with tips at ``size``; sign exact."""
    return (jnp.abs(x) + jnp.abs(y) + jnp.abs(z) - size) * OCTAHEDRON_SCALE
