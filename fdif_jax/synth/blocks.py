"""A grid cut into blocks of voxels, so that what an object cannot reach is skipped."""

import dataclasses
import math

import jax.numpy as jnp
from jax import Array, lax

from fdif_jax.grid import Grid, Points
from fdif_jax.synth.shapes import Local


@dataclasses.dataclass(frozen=True, slots=True)
class Blocks:
    """A grid cut into blocks of ``edge`` (z, y, x) voxels; those at the far ends may overhang."""

    grid: Grid
    edge: tuple[int, int, int] = (8, 8, 8)
    most_at_once: int = 32
    search_at_once: int = 16
    """Blocks that one step of branch and bound looks into."""

    @property
    def counts(self) -> tuple[int, int, int]:
        """Blocks on each axis."""
        z, y, x = (math.ceil(n / e) for n, e in zip(self.grid.shape, self.edge, strict=True))
        return z, y, x

    @property
    def group(self) -> int:
        """Blocks that one step of a loop works on: enough to hide the cost of the step."""
        return min(self.most_at_once, self.total)

    @property
    def total(self) -> int:
        """Blocks in the volume; the next few numbers are blocks that are thrown away."""
        return math.prod(self.counts)

    @property
    def overhangs(self) -> bool:
        """Whether the last blocks hold voxels that the grid does not."""
        return any(n % e for n, e in zip(self.grid.shape, self.edge, strict=True))

    @property
    def canvas(self) -> tuple[int, int, int, int]:
        """Shape of a volume in the making: block by block, then some to throw away.

        Whole blocks are added five times faster than windows of a (D, H, W) array.
        """
        return self.total + self.group, *self.edge

    @property
    def half(self) -> tuple[float, float, float]:
        """How far a block reaches from its middle sample, on x, y, z, world units."""
        z, y, x = (s * (e // 2) for s, e in zip(self.grid.step, self.edge, strict=True))
        return x, y, z

    def first_index(self, block: Array) -> tuple[Array, Array, Array]:
        """Index (z, y, x) of the first voxel of each block."""
        (_, rows, columns), (d, h, w) = self.counts, self.edge
        return block // (rows * columns) * d, block // columns % rows * h, block % columns * w

    def middles(self) -> Points:
        """One sample of each block, near its middle and inside the grid, as three (total,)."""
        first = self.first_index(jnp.arange(self.total))
        z, y, x = (
            o + s * jnp.minimum(f + e // 2, n - 1).astype(jnp.float32)
            for o, s, f, e, n in zip(
                self.grid.origin, self.grid.step, first, self.edge, self.grid.shape, strict=True
            )
        )
        return Points(x, y, z)

    def points(self, block: Array) -> Points:
        """Coordinates of the voxels of each of (group,) blocks, as rows."""
        index = self.voxels(block)
        z, y, x = (
            o + s * i.astype(jnp.float32)
            for o, s, i in zip(self.grid.origin, self.grid.step, index, strict=True)
        )
        return Points(x, y, z)

    def local(self, matrix: Array, block: Array) -> Local:
        """The frame of ``matrix`` at the voxels of blocks; R is group, C the voxels of a block."""
        z, y, x = (
            o + s * i.astype(jnp.float32)
            for o, s, i in zip(
                self.grid.origin, self.grid.step, self.first_index(block), strict=True
            )
        )
        across = (
            s * jnp.arange(n, dtype=jnp.float32)
            for s, n in zip(self.grid.step, self.edge, strict=True)
        )
        dz, dy, dx = (axis.reshape(-1) for axis in jnp.meshgrid(*across, indexing="ij"))
        starts = [row[0] * x + row[1] * y + row[2] * z + row[3] for row in matrix]
        steps = [row[0] * dx + row[1] * dy + row[2] * dz for row in matrix]
        a, b, c = (start[:, None] for start in starts)
        # Worked out once a group, not once a voxel.
        d, e, f = lax.optimization_barrier(tuple(step[None, :] for step in steps))
        return Local((a, b, c), (d, e, f))

    def voxels(self, block: Array) -> tuple[Array, Array, Array]:
        """Indices (z, y, x) of the voxels of each block, as rows that broadcast."""
        z, y, x = self.first_index(block)
        d, h, w = (jnp.arange(e) for e in self.edge)
        return (
            z[:, None, None, None] + d[None, :, None, None],
            y[:, None, None, None] + h[None, None, :, None],
            x[:, None, None, None] + w[None, None, None, :],
        )

    def within(self, block: Array) -> Array:
        """Which voxels of the blocks the grid holds."""
        pairs = zip(self.voxels(block), self.grid.shape, strict=True)
        z, y, x = (index < size for index, size in pairs)
        return z & y & x & (block < self.total)[:, None, None, None]

    def volume(self, canvas: Array) -> Array:
        """The (D, H, W) of a canvas."""
        apart = canvas[: self.total].reshape(*self.counts, *self.edge)
        sizes = (count * edge for count, edge in zip(self.counts, self.edge, strict=True))
        padded = apart.transpose(0, 3, 1, 4, 2, 5).reshape(*sizes)
        return padded[tuple(slice(0, n) for n in self.grid.shape)]
