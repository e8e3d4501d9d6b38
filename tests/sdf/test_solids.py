"""Solids: values known by hand, and the laws each of them obeys."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdif_jax.sdf import profiles, solids

# Float32 at coordinates of up to a hundred voxels.
ROUNDING = 5e-5

VERTICES = jnp.asarray([(9, 1), (2, 8), (-7, 3), (-4, -6), (3, -9)], jnp.float32)


def circle(s=1.0):
    return lambda u, v: profiles.circle(u, v, radius=7.0 * s)


def star(s=1.0):
    return lambda u, v: profiles.star(u, v, points=5.0, pointiness=0.4, radius=11.0 * s)


def polygon(s=1.0):
    return lambda u, v: profiles.polygon(u, v, vertices=VERTICES * s)


def prism(profile, taper=None, half_height=6.0):
    def solid(x, y, z):
        across = solids.cross_section(profile, x, y, z, taper=taper or straight(half_height))
        return solids.extrude(across, z, half_height=half_height)

    return solid


def straight(half_height):
    return solids.straight(jnp.float32(half_height))


def cone_taper(half_height, second):
    return solids.cone_taper(jnp.float32(half_height), jnp.float32(second))


def at(solid, *point):
    return float(solid(*(jnp.float32(c) for c in point)))


@pytest.mark.parametrize(
    ("solid", "point", "expected"),
    [
        pytest.param("sphere", (0, 0, 0), -5, id="sphere-centre"),
        pytest.param("sphere", (2, 3, 6), 2, id="sphere-outside"),
        pytest.param("sphere", (0, -3, 4), 0, id="sphere-on-it"),
        pytest.param("torus", (10, 0, 0), -3, id="torus-core"),
        pytest.param("torus", (0, 0, -10), -3, id="torus-core-turned"),
        pytest.param("torus", (0, 0, 0), 7, id="torus-hole"),
        pytest.param("torus", (6, 7, 8), 4, id="torus-above"),
        pytest.param("octahedron", (6, 0, 0), 0, id="octahedron-tip"),
        pytest.param("octahedron", (2, -2, 2), 0, id="octahedron-face"),
        pytest.param("octahedron", (0, 0, 0), -6 * 0.357735027, id="octahedron-centre"),
        pytest.param("octahedron", (4, 4, 8), 10 * 0.357735027, id="octahedron-outside"),
        pytest.param("cone", (0, 6, 0), 0, id="cone-tip"),
        pytest.param("cone", (0, 9, 0), 3, id="cone-above-the-tip"),
        pytest.param("cone", (0, -6, 0), 0, id="cone-base"),
        pytest.param("cone", (4, -5, 0), -1, id="cone-inside-by-the-base"),
        pytest.param("cone", (9, -6, 0), 0, id="cone-rim"),
        pytest.param("cone", (12, -6, 0), 3, id="cone-beside-the-rim"),
        pytest.param("cone", (4, -9, 0), 3, id="cone-below-the-base"),
        pytest.param("cone", (12, -10, 0), 5, id="cone-below-and-beside"),
        pytest.param("cone", (4.5, 0, 0), 0, id="cone-flank"),
        pytest.param("cone", (8.5, 3, 0), 5, id="cone-outside-the-flank"),
        pytest.param("cylinder", (0, 0, 0), -6, id="cylinder-centre"),
        pytest.param("cylinder", (0, 0, 8), 2, id="cylinder-above"),
        pytest.param("cylinder", (0, -9, 3), 2, id="cylinder-beside"),
        pytest.param("cylinder", (10, 0, 10), 5, id="cylinder-rim"),
        pytest.param("cylinder", (0, 6.5, 1), -0.5, id="cylinder-inside-by-the-wall"),
    ],
)
def test_closed_form(solid, point, expected):
    assert at(HAND[solid], *point) == pytest.approx(expected, abs=ROUNDING)


# The cone: radius 9, height 12, so that its flank is a (3, 4, 5) triangle: 9, 12, 15.
HAND = {
    "sphere": functools.partial(solids.sphere, radius=5.0),
    "torus": functools.partial(
        solids.revolution, lambda u, v: profiles.circle(u, v, radius=3.0), offset=10.0
    ),
    "octahedron": functools.partial(solids.octahedron, size=6.0),
    "cone": functools.partial(solids.cone, radius=9.0, height=12.0),
    "cylinder": prism(circle()),
}


@pytest.mark.parametrize(
    ("taper", "heights", "scales"),
    [
        pytest.param(straight(5), (-9, 0, 9), (1, 1, 1), id="straight"),
        pytest.param(cone_taper(5, 0.5), (-5, 0, 5), (1, 0.75, 0.5), id="cone"),
        pytest.param(cone_taper(5, 1.5), (-15, 15), (0.5, 2), id="cone-goes-on-outside"),
        pytest.param(cone_taper(5, 0), (5, 9), (1e-6, 1e-6), id="cone-stops-at-its-tip"),
        pytest.param((5, 3, 1), (-5, -2, 1, 3, 5), (1, 2, 3, 2, 1), id="convex"),
        pytest.param((5, 3, 1), (-8, 7), (1e-6, 1e-6), id="convex-outside"),
        pytest.param((5, 0.2, 0), (-5, 0, 5, 10), (1, 0.2, 1, 1.8), id="concave"),
        pytest.param((5, 3, 7), (-5, 1, 5), (1, 2, 1 + 20 / 12), id="neck-above-one-line"),
        pytest.param((5, 3, -7), (-5, -1, 5), (1 + 20 / 12, 2, 1), id="neck-below-one-line"),
    ],
)
def test_taper_closed_form(taper, heights, scales):
    if not isinstance(taper, solids.Taper):
        taper = solids.kneed_taper(*map(jnp.float32, taper))
    got = taper.scale(jnp.asarray(heights, jnp.float32))
    np.testing.assert_allclose(got, scales, rtol=1e-5)


def test_shell_keeps_what_is_near_the_wall():
    across = jnp.asarray([-7.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0])
    expected = [5, 1, 0, -1, -2, -1, 0, 3]
    np.testing.assert_allclose(solids.shell(across, jnp.float32(2)), expected)


def test_octahedron_has_the_constant_of_the_original():
    """0.3577, not 1 / sqrt(3) = 0.5774: intensities depend on it."""
    assert solids.OCTAHEDRON_SCALE == 0.357735027
    assert at(HAND["octahedron"], 7, 0, 0) == pytest.approx(0.357735, abs=1e-6)


# Solid of a scale, in which axes it is its own mirror image, how fast it may change.
SOLIDS = {
    "sphere": (lambda s: functools.partial(solids.sphere, radius=8.0 * s), "xyz", 1.0),
    "octahedron": (lambda s: functools.partial(solids.octahedron, size=9.0 * s), "xyz", 1.0),
    "cone": (lambda s: functools.partial(solids.cone, radius=7.0 * s, height=12.0 * s), "xz", 1.0),
    "torus": (lambda s: functools.partial(solids.revolution, circle(s), offset=11.0 * s), "xyz", 1),
    "spindle": (lambda s: functools.partial(solids.revolution, star(s), offset=2.0 * s), "xz", 1.0),
    "polygon-torus": (
        lambda s: functools.partial(solids.revolution, polygon(s), offset=11.0 * s),
        "xz",
        1.0,
    ),
    "cylinder": (lambda s: prism(circle(s), half_height=6.0 * s), "xyz", 1.0),
    "star-prism": (lambda s: prism(star(s), half_height=6.0 * s), "xz", 1.0),
    "polygon-prism": (lambda s: prism(polygon(s), half_height=6.0 * s), "z", 1.0),
    # Tapers are not distances: they may change faster, but by no more than a number.
    "cone-prism": (
        lambda s: prism(star(s), cone_taper(6.0 * s, 0.4), half_height=6.0 * s),
        "x",
        2.0,
    ),
    "shell": (lambda s: _shell(s), "xyz", 1.0),
}


def _shell(s):
    def solid(x, y, z):
        wall = solids.shell(circle(s)(x, y), 2.0 * s)
        return solids.extrude(wall, z, half_height=6.0 * s)

    return solid


@functools.cache
def compiled(name):
    return jax.jit(lambda scale, x, y, z: SOLIDS[name][0](scale)(x, y, z))


def cloud(seed, reach=30.0):
    return np.random.default_rng(seed).uniform(-reach, reach, (3, 400)).astype(np.float32)


@pytest.mark.parametrize("name", SOLIDS)
@given(seed=st.integers(0, 999), scale=st.floats(0.25, 4))
def test_solid_obeys_the_laws(name, seed, scale):
    solid, (_, mirrors, rate) = compiled(name), SOLIDS[name]
    one, scale = np.float32(1), np.float32(scale)
    here, there = cloud(seed), cloud(seed + 1)
    d, other = (np.asarray(solid(one, *p)) for p in (here, there))
    assert np.all(np.isfinite(d))
    apart = np.linalg.norm(here - there, axis=0)
    assert np.all(np.abs(d - other) <= rate * apart + ROUNDING)
    step = np.float32(0.01) * np.sign(there)
    beside = np.asarray(solid(one, *(here + step)))
    assert np.all(np.abs(d - beside) <= rate * 0.01 * np.sqrt(3) + ROUNDING)
    scaled = np.asarray(solid(scale, *(here * scale)))
    np.testing.assert_allclose(scaled, d * scale, rtol=0, atol=ROUNDING * max(scale, 1))
    for axis in mirrors:
        flip = np.where(np.arange(3) == "xyz".index(axis), -1, 1).astype(np.float32)
        mirrored = solid(one, *(here * flip[:, None]))
        np.testing.assert_allclose(mirrored, d, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(
    ("name", "axis", "turns"),
    [
        ("sphere", "x", None),
        ("sphere", "y", None),
        ("cone", "y", None),
        ("torus", "y", None),
        ("polygon-torus", "y", None),
        ("cylinder", "z", None),
        ("shell", "z", None),
        ("octahedron", "x", 4),
        ("star-prism", "z", 5),
    ],
)
@given(seed=st.integers(0, 999), angle=st.floats(-3, 3))
def test_solid_turns_into_itself(name, axis, turns, seed, angle):
    angle = 2 * np.pi / turns * (seed % turns) if turns else angle
    here, one = cloud(seed), np.float32(1)
    a, b = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    turned = here.copy()
    turned[a] = np.cos(angle) * here[a] - np.sin(angle) * here[b]
    turned[b] = np.sin(angle) * here[a] + np.cos(angle) * here[b]
    np.testing.assert_allclose(
        compiled(name)(one, *turned), compiled(name)(one, *here), rtol=0, atol=ROUNDING
    )
