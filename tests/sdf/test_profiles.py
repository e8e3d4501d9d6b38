"""Circle, star and polygon: values known by hand, and what every distance obeys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdif_jax.sdf import profiles

# Float32 at coordinates of up to a hundred voxels.
ROUNDING = 5e-5
# The polygon's root holds an offset of 1e-12: on the outline it gives 1e-6, never 0.
ON_THE_OUTLINE = 2e-6

_circle = jax.jit(lambda u, v, radius: profiles.circle(u, v, radius=radius))
_star = jax.jit(
    lambda u, v, n, w, radius: profiles.star(u, v, points=n, pointiness=w, radius=radius)
)
_polygon = jax.jit(lambda u, v, vertices: profiles.polygon(u, v, vertices=vertices))


def floats(*values):
    return [np.float32(value) for value in values]


def circle(u, v, radius):
    return np.asarray(_circle(*map(np.float32, (u, v, radius))))


def star(u, v, n, w, radius):
    return np.asarray(_star(*map(np.float32, (u, v, n, w, radius))))


def polygon(u, v, vertices):
    return np.asarray(_polygon(*map(np.float32, (u, v, vertices))))


SQUARE = [(-4, -4), (4, -4), (4, 4), (-4, 4)]
# A reflex vertex at (1, 1).
CORNER = [(0, 0), (4, 0), (4, 1), (1, 1), (1, 4), (0, 4)]


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        pytest.param((0, 0), -5, id="centre"),
        pytest.param((3, 4), 0, id="on-it"),
        pytest.param((-3, 4), 0, id="on-it-mirrored"),
        pytest.param((0, -12), 7, id="outside"),
    ],
)
def test_circle_closed_form(point, expected):
    assert circle(*point, 5) == pytest.approx(expected, abs=ROUNDING)


def valley(n, w, radius):
    """Distance from the centre to the corner between two spikes: law of sines."""
    flank = np.pi / (n + w * (2 - n))
    return radius * (np.cos(np.pi / n) - np.sin(np.pi / n) / np.tan(flank))


@pytest.mark.parametrize("n", range(3, profiles.MAX_POINTS + 1))
@pytest.mark.parametrize("w", [0.1, 0.4, 0.7])
def test_star_tip_and_valley(n, w):
    """On the tip's ray the tip is nearest; on the valley's ray the corner is, from outside."""
    assert star(0, 10, n, w, 10) == pytest.approx(0, abs=ROUNDING)
    assert star(0, 13, n, w, 10) == pytest.approx(3, abs=ROUNDING)
    u, v = np.sin(np.pi / n), np.cos(np.pi / n)
    deep = valley(n, w, 10)
    assert star(deep * u, deep * v, n, w, 10) == pytest.approx(0, abs=ROUNDING)
    assert star(0.5 * deep * u, 0.5 * deep * v, n, w, 10) < 0
    assert star(1.1 * deep * u, 1.1 * deep * v, n, w, 10) > 0


@pytest.mark.parametrize("n", range(3, profiles.MAX_POINTS + 1))
def test_bluntest_star_is_the_regular_polygon(n):
    angle = 2 * np.pi * np.arange(n) / n
    corners = 10 * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    u, v = points(n, 500, 14)
    np.testing.assert_allclose(star(u, v, n, 1, 10), polygon(u, v, corners), atol=ROUNDING)


def star_by_trigonometry(u, v, n, w, radius):
    """The same distance from angles, in float64."""
    half, flank = np.pi / n, np.pi / (n + w * (2 - n))
    turn = np.arctan2(np.abs(u), v) % (2 * half) - half
    r = np.hypot(u, v)
    q0 = r * np.cos(turn) - radius * np.cos(half)
    q1 = r * np.abs(np.sin(turn)) - radius * np.sin(half)
    t = np.clip(
        -(q0 * np.cos(flank) + q1 * np.sin(flank)), 0, radius * np.sin(half) / np.sin(flank)
    )
    q0, q1 = q0 + t * np.cos(flank), q1 + t * np.sin(flank)
    return np.sign(q0) * np.hypot(q0, q1)


@pytest.mark.parametrize("n", range(3, profiles.MAX_POINTS + 1))
@given(w=st.floats(0.05, 0.75), radius=st.floats(2, 40), seed=st.integers(0, 99))
def test_star_fold_equals_trigonometry(n, w, radius, seed):
    u, v = points(seed, 300, 60)
    got, want = star(u, v, n, w, radius), star_by_trigonometry(u, v, n, w, radius)
    np.testing.assert_allclose(got, want, rtol=0, atol=2 * ROUNDING)


@pytest.mark.parametrize(
    ("vertices", "point", "expected"),
    [
        pytest.param(SQUARE, (0, 0), -4, id="centre"),
        pytest.param(SQUARE, (0, 3), -1, id="inside-near-an-edge"),
        pytest.param(SQUARE, (9, 0), 5, id="outside-an-edge"),
        pytest.param(SQUARE, (7, 8), 5, id="outside-a-corner"),
        pytest.param(SQUARE, (4, 1), 0, id="on-a-vertical-edge"),
        pytest.param(SQUARE, (1, 4), 0, id="on-a-horizontal-edge"),
        pytest.param(SQUARE, (4, 4), 0, id="on-a-vertex"),
        pytest.param(SQUARE, (9, 4), 5, id="outside-level-with-a-vertex"),
        pytest.param(SQUARE, (-9, -4), 5, id="outside-level-with-an-edge"),
        pytest.param(CORNER, (0.5, 0.5), -0.5, id="by-the-reflex-corner"),
        pytest.param(CORNER, (2, 0.5), -0.5, id="in-an-arm"),
        pytest.param(CORNER, (2, 1), 0, id="on-the-arm's-edge"),
        pytest.param(CORNER, (4, 5), 3.1622777, id="between-the-arms"),
        pytest.param(CORNER, (0.5, 1), -0.5, id="level-with-the-reflex-corner"),
        pytest.param(CORNER, (3, 2), 1, id="outside-above-an-arm"),
    ],
)
def test_polygon_closed_form(vertices, point, expected):
    assert abs(polygon(*point, vertices) - expected) <= ON_THE_OUTLINE


@given(n=st.integers(3, 9), seed=st.integers(0, 999))
def test_polygon_is_the_same_in_either_direction_and_padded(n, seed):
    u, v = points(seed, 300, 25)
    vertices = sector_polygon(seed, n)
    want = polygon(u, v, vertices)
    np.testing.assert_allclose(polygon(u, v, vertices[::-1]), want, rtol=0, atol=ROUNDING)
    padded = np.concatenate([vertices, np.repeat(vertices[:1], 9 - n, axis=0)])
    np.testing.assert_allclose(polygon(u, v, padded), want, rtol=0, atol=1e-6)


@given(n=st.integers(3, 9), seed=st.integers(0, 999))
def test_polygon_inside_is_where_the_ray_crosses_an_odd_number_of_edges(n, seed):
    u, v = points(seed, 300, 25)
    vertices = sector_polygon(seed, n).astype(np.float64)
    crossings = np.zeros(u.shape, int)
    for (a, b), (c, d) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        straddles = (b <= v) != (d <= v)
        crossings += straddles & (u < a + (v - b) * (c - a) / np.where(d == b, 1, d - b))
    got = polygon(u, v, vertices)
    clear = np.abs(got) > ROUNDING
    np.testing.assert_array_equal((got < 0)[clear], (crossings % 2 == 1)[clear])


def points(seed, count, reach):
    return np.random.default_rng(seed).uniform(-reach, reach, (2, count)).astype(np.float32)


def sector_polygon(seed, n):
    rng = np.random.default_rng([seed, n])
    angle = 2 * np.pi * (np.arange(n) + rng.uniform(size=n)) / n
    radius = rng.uniform(6, 16, n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)


PROFILES = {
    "circle": lambda u, v, s, seed: circle(u, v, 7 * s),
    **{
        f"star{n}": lambda u, v, s, seed, n=n: star(u, v, n, 0.1 + (seed % 7) / 10, 12 * s)
        for n in range(3, 9)
    },
    **{
        f"polygon{n}": lambda u, v, s, seed, n=n: polygon(u, v, sector_polygon(seed, n) * s)
        for n in range(3, 10)
    },
}


@pytest.mark.parametrize("name", PROFILES)
@given(seed=st.integers(0, 999), scale=st.floats(0.25, 4))
def test_profile_obeys_the_laws_of_distances(name, seed, scale):
    profile = PROFILES[name]
    first, second = points(seed, 300, 30), points(seed + 1, 300, 30)
    here, there = profile(*first, 1.0, seed), profile(*second, 1.0, seed)
    assert np.all(np.isfinite(here))
    apart = np.hypot(*(first - second))
    assert np.all(np.abs(here - there) <= apart + ROUNDING)
    # Small steps too: a jump of a voxel would hide in a large one.
    near = profile(*(first + np.float32(0.01) * np.sign(second)), 1.0, seed)
    assert np.all(np.abs(near - here) <= 0.01 * np.sqrt(2) + ROUNDING)
    scaled = profile(*(first * np.float32(scale)), np.float32(scale), seed)
    np.testing.assert_allclose(scaled, here * scale, rtol=0, atol=ROUNDING * max(scale, 1))


@pytest.mark.parametrize("n", range(3, 9))
def test_star_is_its_own_mirror_image_and_turns_into_itself(n):
    u, v = points(n, 500, 20)
    here = star(u, v, n, 0.4, 12)
    np.testing.assert_array_equal(star(-u, v, n, 0.4, 12), here)
    sin, cos = np.sin(2 * np.pi / n), np.cos(2 * np.pi / n)
    turned = star(u * cos - v * sin, u * sin + v * cos, n, 0.4, 12)
    np.testing.assert_allclose(turned, here, rtol=0, atol=ROUNDING)


def test_profiles_broadcast_rows():
    u, v = jnp.linspace(-9.0, 9.0, 5)[:, None], jnp.linspace(-9.0, 9.0, 7)[None, :]
    assert profiles.circle(u, v, radius=3.0).shape == (5, 7)
    assert profiles.star(u, v, points=5.0, pointiness=0.4, radius=3.0).shape == (5, 7)
    assert profiles.polygon(u, v, vertices=jnp.asarray(SQUARE, jnp.float32)).shape == (5, 7)
