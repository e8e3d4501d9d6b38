"""Every class draws its parameters from the published ranges: bounds, mean and spread.

Two grids between them tell min(D, H), min(D, W), min(D, H, W), W and D apart.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from draw_checks import assert_same_distribution, assert_uniform, assert_unrelated, quick_jit

from fdif_jax.grid import Grid
from fdif_jax.synth import sampling
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.params import MAX_SIDES, TAPERS

CATALOG = Catalog.default()
GRIDS = [(60, 48, 80), (60, 80, 48)]
DRAWS = 3000
SIDES = {
    "three": 3,
    "triangle": 3,
    "four": 4,
    "square": 4,
    "five": 5,
    "pentagon": 5,
    "six": 6,
    "hexagon": 6,
    "seven": 7,
    "heptagon": 7,
    "eight": 8,
    "octagon": 8,
    "nonagon": 9,
}


@functools.cache
def drawn(size):
    """(classes, DRAWS) of every field, as numpy."""
    table = sampling.ranges(CATALOG, Grid.voxels(size))
    rows = jnp.arange(109)
    keys = jax.random.split(jax.random.key(7), (109, DRAWS))
    draw = jax.vmap(lambda key, row: sampling.draw_shape(key, row, table), (0, None))
    return jax.tree.map(np.asarray, quick_jit(jax.vmap(draw))(keys, rows))


@pytest.mark.parametrize("size", GRIDS, ids=str)
@pytest.mark.parametrize("name", list(CATALOG.primitives))
def test_class_draws_from_its_ranges(name, size):
    row = list(CATALOG.primitives).index(name)
    shape = jax.tree.map(lambda field: field[row], drawn(size))
    facts = dict(_scalars(name, shape, size))
    for what, (values, low, high) in facts.items():
        assert_uniform(values, low, high, what)
    if len(facts) > 1:
        assert_unrelated([values for values, _, _ in facts.values()], name)


def _scalars(name, shape, size):
    """What is uniform in a class: quantity to (values, low, high), as in the published table."""
    depth, height, width = size
    b, c, m = min(depth, height), min(depth, width), min(size)
    category = CATALOG.primitives[name].category
    full, convex = (0.15, 0.40), (0.05, 0.20)
    if name in ("sphere", "octahedron"):
        yield "radius", (shape.radius / m, *full)
    elif name == "cone":
        yield "radius", (shape.radius / b, *full)
        yield "height", (2 * shape.half_height / width, 0.10, 0.50)
    elif name == "torus":
        yield "R", (shape.offset / b, *full)
        yield "r", (shape.radius / shape.offset, 0.3, 0.7)
    elif category == "sector_polygon_torus":
        yield "R", (shape.offset / c, *full)
    elif category == "star_torus":
        yield "R", (shape.offset / c, *full)
        yield "star_radius", (shape.radius / shape.offset, 0.4, 0.8)
        yield "star_w", (shape.pointiness, 0.1, 0.7)
    elif category == "revolution":
        yield "star_radius", (shape.radius / m, *full)
        yield "distance", (shape.offset / shape.radius, 0.0, 0.5)
        yield "star_w", (shape.pointiness, 0.1, 0.7)
    else:
        yield "height", (2 * shape.half_height / b, 0.1, 0.5)
        if "polygon_prism" not in category or "star" in category:
            yield "radius", (shape.radius / b, *(convex if "convex" in name else full))
        if "star" in name:
            yield "star_w", (shape.pointiness, 0.2, 0.7)
        if "convex" in name or "concave" in name:
            yield "neck", (shape.neck / (2 * shape.half_height), -0.7, 0.7)
        for taper, bounds in {"convex": (2, 4), "concave": (0.2, 0.5), "cone": (0, 1.6)}.items():
            if name.removeprefix("onioned").removesuffix("prism").endswith(taper) or (
                name == f"{taper}cylinder"
            ):
                yield "second_scale", (shape.second_scale, *bounds)
        if "onioned" in name:
            yield "onion_ratio", (shape.onion_ratio, 0.2, 0.5)


@pytest.mark.parametrize("name", list(CATALOG.primitives))
def test_what_a_class_does_not_draw_is_fixed(name):
    row = list(CATALOG.primitives).index(name)
    shape = jax.tree.map(lambda field: field[row], drawn(GRIDS[0]))
    if "onioned" not in name:
        assert not shape.onion_ratio.any()
    kneed = "convex" in name or "concave" in name
    cone = "cone" in name.removeprefix("cone") or name == "conecylinder"
    taper = "kneed" if kneed else "cone" if cone else "straight"
    assert set(shape.taper) == {TAPERS.index(taper)}
    sides = [n for word, n in SIDES.items() if name.removeprefix("onioned").startswith(word)]
    assert set(shape.points) == set(sides or [5])
    assert len(set(shape.program)) == 1
    assert CATALOG.programs[shape.program[0]] == CATALOG.primitives[name].program


POLYGONS = [name for name, row in CATALOG.primitives.items() if row.profile == "polygon"]


@pytest.mark.parametrize("size", GRIDS, ids=str)
@pytest.mark.parametrize("name", POLYGONS)
def test_vertices_lie_in_their_sectors_between_two_drawn_radii(name, size):
    row = list(CATALOG.primitives).index(name)
    vertices = drawn(size).vertices[row].astype(np.float64)
    n = CATALOG.primitives[name].sides
    assert vertices.shape == (DRAWS, MAX_SIDES, 2)
    np.testing.assert_array_equal(vertices[:, n:], np.repeat(vertices[:, :1], MAX_SIDES - n, 1))
    vertices = vertices[:, :n]
    angle = np.arctan2(vertices[..., 1], vertices[..., 0]) % (2 * np.pi)
    share = angle * n / (2 * np.pi) - np.arange(n)
    # Where rounding carries an angle of almost 0 to almost a full turn.
    share[np.abs(share) > n - 1e-3] = 0
    assert_uniform(share, 0, 1, "angle")
    assert_unrelated(share.T, "angles")
    radius = np.hypot(vertices[..., 0], vertices[..., 1])
    want, (low, high) = _vertex_radii(name, size, n)
    assert radius.min() >= low * (1 - 1e-5)
    assert radius.max() <= high * (1 + 1e-5)
    assert_same_distribution(radius[:, 0], want[:, 0], "radius")
    assert_same_distribution(np.ptp(radius, axis=1), np.ptp(want, axis=1), "spread in a polygon")
    assert_same_distribution(radius.mean(axis=1), want.mean(axis=1), "mean of a polygon")


def _vertex_radii(name, size, n):
    """The published rule, in numpy: radii and their bounds."""
    rng = np.random.default_rng(n)
    b, c = min(size[:2]), min(size[0], size[2])
    if "torus" in name:
        first = c * rng.uniform(0.15, 0.40, DRAWS) * rng.uniform(0.4, 0.8, DRAWS)
        second, reach = np.full(DRAWS, 0.03 * c), (0.03 * c, 0.8 * 0.40 * c)
    else:
        bounds = (0.05, 0.20) if "convex" in name else (0.15, 0.40)
        (first, second), reach = b * rng.uniform(*bounds, (2, DRAWS)), b * np.asarray(bounds)
    low, high = np.minimum(first, second), np.maximum(first, second)
    return rng.uniform(low[:, None], high[:, None], (DRAWS, n)), reach


def test_draws_of_different_keys_are_unrelated():
    radius = drawn(GRIDS[0]).radius[:9]
    assert_unrelated(radius)
    assert len(np.unique(drawn(GRIDS[0]).radius[0])) > 0.99 * DRAWS
