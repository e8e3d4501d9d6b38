"""Signed distance to 2-D cross-sections.

Every function takes coordinates ``u, v`` (voxels; any shapes that broadcast) and scalar
parameters that may be traced, and returns the distance in voxels, negative inside.
"""

import jax.numpy as jnp
from jax import Array

MAX_POINTS = 8
"""Spikes of a star that the fold below can take."""


def circle(u: Array, v: Array, *, radius: Array) -> Array:
    """Distance to a circle about the origin; exact."""
    return length(u, v) - radius


def star(u: Array, v: Array, *, points: Array, pointiness: Array, radius: Array) -> Array:
    """Distance to a regular star with one tip on the +v axis; exact outside and inside.

    The plane is folded into half a spike, where the outline is one segment. The fold is three
    conditional rotations (by 4, 2 and 1 spikes), which covers up to 8 points and needs no
    trigonometry per voxel.

    Args:
      u: first coordinate.
      v: second coordinate.
      points: number of spikes, 3 to 8; a float, so that all stars share one program.
      pointiness: 0 is the regular polygon, towards 1 the spikes thin out.
      radius: centre to tip, voxels.

    Source: I. Quilez, "2D distance functions", sdStar.
    """
    half_spike = jnp.pi / points
    flank = jnp.pi / (points + pointiness * (2.0 - points))
    u = jnp.abs(u)
    for spikes in (4.0, 2.0, 1.0):
        angle = 2.0 * half_spike * spikes
        # Past half a turn there is nothing to fold: this cosine and sine never ask for it.
        reachable = angle < jnp.pi
        cos = jnp.where(reachable, jnp.cos(angle), -1.0)
        sin = jnp.where(reachable, jnp.sin(angle), 0.0)
        ahead = u * cos - v * sin
        beyond = ahead > 0.0
        u, v = jnp.where(beyond, ahead, u), jnp.where(beyond, v * cos + u * sin, v)
    cos, sin = jnp.cos(half_spike), jnp.sin(half_spike)
    along, across = v * cos + u * sin - radius * cos, jnp.abs(u * cos - v * sin) - radius * sin
    cos, tan_part = jnp.cos(flank), jnp.sin(flank)
    t = jnp.clip(-(along * cos + across * tan_part), 0.0, radius * sin / tan_part)
    along, across = along + t * cos, across + t * tan_part
    return jnp.sign(along) * length(along, across)


def polygon(u: Array, v: Array, *, vertices: Array) -> Array:
    """Distance to a simple polygon; exact but for an offset of 1e-12 under the root.

    Inside is where the winding number is not zero. A repeated vertex changes nothing, so a
    polygon with fewer vertices is padded by repeating its last one.

    Args:
      u: first coordinate.
      v: second coordinate.
      vertices: (n, 2), in order, either direction.

    Source: D. Sunday, "Inclusion of a point in a polygon" for the winding number.
    """
    squared, winding = None, None
    for i in range(vertices.shape[0]):
        a, b = vertices[i], vertices[(i + 1) % vertices.shape[0]]
        edge_u, edge_v = b[0] - a[0], b[1] - a[1]
        from_u, from_v = u - a[0], v - a[1]
        inverse = 1.0 / (edge_u * edge_u + edge_v * edge_v + 1e-12)
        t = jnp.clip((from_u * edge_u + from_v * edge_v) * inverse, 0.0, 1.0)
        gap_u, gap_v = from_u - t * edge_u, from_v - t * edge_v
        this = gap_u * gap_u + gap_v * gap_v
        left = edge_u * from_v - edge_v * from_u
        up = (a[1] <= v) & (v < b[1]) & (left > 0.0)
        down = (b[1] <= v) & (v < a[1]) & (left < 0.0)
        turn = up.astype(jnp.int32) - down.astype(jnp.int32)
        squared = this if squared is None else jnp.minimum(squared, this)
        winding = turn if winding is None else winding + turn
    distance = jnp.sqrt(squared + 1e-12)
    return jnp.where(winding != 0, -distance, distance)


def length(a: Array, b: Array) -> Array:
    """Euclidean norm of (a, b).

    Plain squares: sizes are voxels, so the guards of ``jnp.hypot`` against overflow are not
    needed, and they cost a third of a whole sphere.
    """
    return jnp.sqrt(a * a + b * b)
