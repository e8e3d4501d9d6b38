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

    Inside is where the winding number is not zero.

    Args:
      u: first coordinate.
      v: second coordinate.
      vertices: (n, 2), in order, either direction. A polygon with fewer vertices repeats its
        first one: an edge without length changes nothing.

    Source: D. Sunday, "Inclusion of a point in a polygon" for the winding number.
    """
    # Without the barrier the compiler works the edges out anew for every voxel: twice the time.
    u, v, edges = lax.optimization_barrier((u, v, _edges(vertices)))
    squared, winding = jnp.inf, 0.0
    for edge in map(Edge._make, edges):
        t = jnp.clip(u * edge.along_u + v * edge.along_v + edge.along_0, 0.0, 1.0)
        gap_u, gap_v = (u - edge.u) - t * edge.run_u, (v - edge.v) - t * edge.run_v
        squared = jnp.minimum(squared, gap_u * gap_u + gap_v * gap_v)
        crosses = ((v >= edge.v) != (v >= edge.end_v)) & (u < edge.slope * v + edge.at_0)
        winding = winding + jnp.where(crosses, edge.turn, 0.0)
    distance = jnp.sqrt(squared + 1e-12)
    return jnp.where(winding != 0.0, -distance, distance)


class Edge(NamedTuple):
    """What a polygon's edge contributes, as numbers that no voxel changes."""

    u: Array
    v: Array
    run_u: Array
    run_v: Array
    end_v: Array
    along_u: Array
    """With ``along_v`` and ``along_0``: a point's place along the edge, 0 to 1."""
    along_v: Array
    along_0: Array
    slope: Array
    """With ``at_0``: the edge's line as u of v."""
    at_0: Array
    turn: Array
    """+1 for an edge that goes up, -1 for one that goes down."""


def _edges(vertices: Array) -> Array:
    """(n, len(Edge)): the edges from each vertex to the next."""
    start, end = vertices, jnp.roll(vertices, -1, axis=0)
    run = end - start
    along = run / (jnp.sum(run * run, axis=1, keepdims=True) + 1e-12)
    slope = run[:, 0] / jnp.where(run[:, 1] == 0.0, 1.0, run[:, 1])
    columns = Edge(
        start[:, 0],
        start[:, 1],
        run[:, 0],
        run[:, 1],
        end[:, 1],
        along[:, 0],
        along[:, 1],
        -jnp.sum(start * along, axis=1),
        slope,
        start[:, 0] - slope * start[:, 1],
        jnp.sign(run[:, 1]),
    )
    return jnp.stack(columns, axis=1)


def length(a: Array, b: Array) -> Array:
    """Euclidean norm of (a, b).

    Plain squares: sizes are voxels, so the guards of ``jnp.hypot`` against overflow are not
    needed, and they cost a third of a whole sphere.
    """
    return jnp.sqrt(a * a + b * b)
