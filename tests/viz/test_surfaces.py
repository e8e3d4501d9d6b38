"""Meshes: closed, outwards, where the solid is; pictures of what faces the viewer."""

import io
import itertools
from collections import Counter

import numpy as np
import pytest
from matplotlib.image import imread

from fdif_jax.viz import surfaces
from fdif_jax.viz.surfaces import PAGE_TRIANGLES, Surface, mesh_of, mesh_side
from fdif_jax.viz.tiles import Tile

SIDE = 32


def ball(radius=9.0, middle=(0.0, 0.0, 0.0)):
    z, y, x = np.mgrid[:SIDE, :SIDE, :SIDE] - SIDE / 2
    return np.sqrt(sum((p - c) ** 2 for p, c in zip((x, y, z), middle, strict=True))) - radius


def volume(mesh) -> float:
    """By the divergence theorem: positive where triangles are anticlockwise from outside."""
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def is_closed(mesh) -> bool:
    edges = Counter(
        tuple(sorted(edge))
        for face in mesh.faces.tolist()
        for edge in itertools.pairwise([*face, face[0]])
    )
    return set(edges.values()) == {2}


@pytest.mark.parametrize(("side", "tolerance"), [(SIDE, 0.06), (20, 0.2)])
def test_the_surface_of_a_ball(side, tolerance):
    middle = (4.0, -3.0, 2.0)
    mesh = mesh_of(ball(9.0, middle).astype(np.float32), side)
    out = mesh.vertices - middle
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 9.0, atol=tolerance)
    np.testing.assert_allclose(mesh.normals, out / 9.0, atol=2 * tolerance)
    assert volume(mesh) == pytest.approx(4 / 3 * np.pi * 9.0**3, rel=tolerance / 3)
    assert is_closed(mesh)


def test_what_the_volume_cuts_off_is_capped():
    mesh = mesh_of(ball(9.0, (14.0, 0.0, 0.0)), SIDE)
    assert is_closed(mesh)
    # The last voxel is at 15; the cap lies between it and the next.
    assert 15 < mesh.vertices[:, 0].max() < 16


@pytest.mark.parametrize("side", [SIDE, 16])
@pytest.mark.parametrize("field", [ball() + 99, 0 * ball()])
def test_nothing_inside_is_an_empty_mesh(field, side):
    mesh = mesh_of(field, side)
    assert mesh.vertices.shape == mesh.faces.shape == mesh.normals.shape == (0, 3)


def test_what_vanishes_from_a_coarser_field_is_looked_at_as_it_is():
    field = np.ones((SIDE, SIDE, SIDE))
    field[10, 10, 10] = -1.0
    assert len(mesh_of(field, 8).faces) == len(mesh_of(field, SIDE).faces) == 8


def test_large_sheets_have_coarser_meshes_within_bounds():
    assert mesh_side(9, 96, PAGE_TRIANGLES) == 96
    assert mesh_side(109, 64, PAGE_TRIANGLES) == 64
    sides = [mesh_side(109, side, PAGE_TRIANGLES) for side in range(60, 200)]
    assert sides == sorted(sides)  # a finer grid never makes a coarser mesh
    assert 60 < sides[-1] < 70


def test_the_picture_shows_what_faces_the_viewer_nearest_last():
    class Axes:
        def tripcolor(self, x, y, faces, light, **options):
            self.points, self.faces, self.light = np.stack([x, y], 1), faces, light

    mesh = mesh_of(ball(), SIDE)
    surfaces._draw(axes := Axes(), mesh, (0.2, 0.4, 0.8))
    a, b, c = (axes.points[axes.faces[:, i]] for i in range(3))
    (u, v), (s, t) = (b - a).T, (c - a).T
    assert (u * t > v * s).all()
    assert 0.4 < len(axes.faces) / len(mesh.faces) < 0.6
    toward = (mesh.vertices @ surfaces._VIEW[2])[axes.faces].sum(1)
    assert (np.diff(toward) >= 0).all()
    assert toward[-1] / 3 == pytest.approx(9.0, rel=0.05)
    # Lit from the upper left, in its own shade at the lower right.
    brightest, darkest = axes.points[axes.light.argmax()], axes.points[axes.light.argmin()]
    assert brightest[0] < 0 < brightest[1]
    assert darkest[0] > brightest[0]
    assert axes.light.min() == pytest.approx(0.3)


def test_up_is_up_and_the_view_mirrors_nothing():
    view = surfaces._VIEW
    np.testing.assert_allclose(view @ view.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(view) == pytest.approx(1.0)
    right, up, toward = view @ np.array([0.0, 0.0, 1.0])
    assert right == 0
    assert up > 0.8
    assert toward > 0


def test_the_sheet_is_a_picture_with_a_colour_for_each_group():
    solids = [
        Surface(Tile(group, group, ("ball",)), mesh_of(ball(), SIDE), group) for group in ("a", "b")
    ]
    solids.append(Surface(Tile("c", "c", ("none",)), mesh_of(ball() + 99, SIDE), "c"))
    tiles = [solid.tile for solid in solids]
    png = surfaces.surfaces_png(solids, tiles, "title", side=SIDE)
    pixels = imread(io.BytesIO(png), format="png")[..., :3].reshape(-1, 3)
    for number in range(2):
        colour = np.array(surfaces.group_colour(number))
        shades = [0.3 * colour, colour, 0.6 * colour + 0.4]
        seen = [(np.abs(pixels - shade).max(1) < 0.02).any() for shade in shades]
        assert seen[1], number
    assert np.abs(pixels - surfaces.group_colour(2)).max(1).min() > 0.1
