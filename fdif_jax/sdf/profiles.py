"""Signed distance to 2-D cross-sections.

Every function takes coordinates ``u, v`` (voxels; any shapes that broadcast) and scalar
parameters that may be traced, and returns the distance in voxels, negative inside.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

MAX_POINTS = 8
"""Spikes of a star that the fold below can take."""


def circle(u: Array, v: Array, *, radius: Array) -> Array:
    """Distance to a circle about the origin; exact."""
    return length(u, v) - radius


def star(u: Array, v: Array, *, points: Array, pointiness: Array, radius: Array) -> Array:
    """Distance to a regular star with one tip on the +v axis; exact outside and inside.

    The plane is folded into half a spike, where the outline is one segment. The fold is two
    conditional rotations (by 2 spikes and 1), which covers up to 8 points and needs no
    trigonometry per voxel.

    Args:
      u: first coordinate.
      v: second coordinate.
      points: number of spikes, 3 to 8; a float, so that all stars share one program.
      pointiness: 1 is the regular polygon; towards 0 the spikes thin out to lines.
      radius: centre to tip, voxels.

    Source: I. Quilez, "2D distance functions", sdStar.
    """
    half_spike = jnp.pi / points
    flank = jnp.pi / (points + pointiness * (2.0 - points))
    u = jnp.abs(u)
    for spikes in (2.0, 1.0):
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

    Inside is where the winding number is not zero.

    Args:
      u: first coordinate.
      v: second coordinate.
      vertices: (n, 2), in order, either direction. A polygon with fewer vertices repeats its
        first one: an edge without length changes nothing.

    Source: D. Sunday, "Inclusion of a point in a polygon" for the winding number.
    """
    # Without the barrier the compiler works the edges out anew for every voxel: twice the time.
    u, v, table = lax.optimization_barrier((u, v, _edges(vertices)))
    edges = [Edge(*row) for row in table]
    above = [v >= edge.v for edge in edges]
    squared, winding = jnp.full_like(u, jnp.inf), jnp.zeros_like(u)
    for edge, starts_above, ends_above in zip(edges, above, above[1:] + above[:1], strict=True):
        along = jnp.abs(u * edge.along_u + v * edge.along_v + edge.along_0)
        beyond = jnp.maximum(along - edge.half_length, 0.0)
        left = u * edge.left_u + v * edge.left_v + edge.left_0
        squared = jnp.minimum(squared, left * left + beyond * beyond)
        crossed = (starts_above != ends_above) & (left > 0.0)
        winding = winding + jnp.where(crossed, edge.turn, 0.0)
    distance = jnp.sqrt(squared + 1e-12)
    return jnp.where(winding != 0.0, -distance, distance)


class Edge(NamedTuple):
    """What a polygon's edge contributes, as numbers that no voxel changes."""

    v: Array
    """Of the vertex it starts from."""
    half_length: Array
    along_u: Array
    """With ``along_v`` and ``along_0``: a point's place along the edge, 0 at its middle."""
    along_v: Array
    along_0: Array
    left_u: Array
    """With ``left_v`` and ``left_0``: how far a point lies from the edge's line, towards -u."""
    left_v: Array
    left_0: Array
    turn: Array
    """+1 for an edge that goes up, -1 for one that goes down."""


def _edges(vertices: Array) -> Array:
    """(n, len(Edge)): the edges from each vertex to the next."""
    end = jnp.roll(vertices, -1, axis=0)
    run, middle = end - vertices, 0.5 * (vertices + end)
    size = length(run[:, 0], run[:, 1])
    along = run / jnp.maximum(size, 1e-12)[:, None]
    upwards = jnp.where(run[:, 1] < 0.0, -1.0, 1.0)
    left_u, left_v = -along[:, 1] * upwards, along[:, 0] * upwards
    columns = Edge(
        v=vertices[:, 1],
        half_length=0.5 * size,
        along_u=along[:, 0],
        along_v=along[:, 1],
        # An edge without length is put far away: its neighbours hold its vertex.
        along_0=jnp.where(size > 0.0, -jnp.sum(middle * along, axis=1), 1e9),
        left_u=left_u,
        left_v=left_v,
        left_0=-(middle[:, 0] * left_u + middle[:, 1] * left_v),
        turn=jnp.sign(run[:, 1]),
    )
    return jnp.stack(columns, axis=1)


def length(a: Array, b: Array) -> Array:
    """Euclidean norm of (a, b).

    Plain squares: sizes are voxels, so the guards of ``jnp.hypot`` against overflow are not
    needed, and they cost a third of a whole sphere.
    """
    return jnp.sqrt(a * a + b * b)
