"""Everything measured on the public implementation comes out of ours."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_files import (
    SDF_ABSOLUTE,
    arrays,
    as_scene,
    assert_field,
    assert_image,
    assert_inside,
    assert_label,
    records,
)

from fdif_jax.grid import Grid
from fdif_jax.synth import render
from fdif_jax.synth.catalog import Catalog
from fdif_jax.synth.renderer import jit, make_renderer

CATALOG = Catalog.default()

# A sum of up to 20 float32 intensities, each up to 128, of distances that may differ by 2e-3;
# inverse_cube changes by at most 1.8 * 128 a voxel outside. Steps of mappers are not counted.
INTENSITY = 0.5
INTENSITY_SHARE = 0.999

# The measured cosine was taken of a float32 phase of up to 200, which rounds it by 1.5e-3.
MAPPER_ABSOLUTE = 2e-3


@functools.cache
def fields(size):
    """Distances of one object over a whole grid; one program for all classes."""
    grid = Grid.voxels(size)
    return jax.jit(lambda scene: render.distances_dense(CATALOG, grid, scene)[0])


def _each(name):
    for i, record in enumerate(records(f"{name}.json")):
        title = record.get("class_name") or f"union{i}"
        yield pytest.param(name, i, id=f"{name}-{i}-{title}")


@pytest.mark.parametrize(
    ("name", "i"), [*_each("primitives_48"), *_each("primitives_96"), *_each("unions")]
)
def test_solid_equals_the_measured_field(name, i):
    golden, record = _arrays(f"{name}.npz"), records(f"{name}.json")[i]
    field = np.asarray(fields(tuple(golden["grid"].tolist()))(as_scene([record])))
    assert_field(field.ravel()[golden["index"][i]], golden["sdf"][i])
    assert_inside(int(np.sum(field <= 0)), record["inside"])


_arrays = functools.cache(arrays)


def test_the_goldens_hold_every_class_three_times():
    ids = [r["class_id"] for name in (48, 96) for r in records(f"primitives_{name}.json")]
    assert len(ids) == 327
    assert sorted(ids) == sorted(3 * list(range(1, 110)))


# The last two scenes ask for programs of grids that no other test has; they take long to compile.
_SCENES = [0, 1, *(pytest.param(i, marks=pytest.mark.slow) for i in (2, 3))]


@pytest.mark.parametrize("path", ["dense", "blocks"])
@pytest.mark.parametrize("number", _SCENES)
def test_scene_equals_the_measured_volume(number, path):
    golden = arrays(f"scene_{number}.npz")
    size = tuple(golden["grid"].tolist())
    out = _renderer(size, path)(as_scene(records(f"scene_{number}.json"), slots=20))
    image, label = render.to_image(out.intensity), out.label[0]
    assert image.dtype == label.dtype == np.uint8
    assert_image(np.asarray(image), golden["image"])
    assert_label(np.asarray(label), golden["label"])
    near = np.abs(np.asarray(out.intensity) - golden["intensity"]) <= INTENSITY
    assert near.mean() >= INTENSITY_SHARE, near.mean()


@functools.cache
def _renderer(size, path):
    return jit(make_renderer(CATALOG, Grid.voxels(size), np.dtype(np.uint8), path=path))


@pytest.mark.parametrize("number", _SCENES)
def test_objects_of_a_scene_fill_the_measured_number_of_voxels(number):
    objects = records(f"scene_{number}.json")
    size = {0: 48, 1: 48, 2: 32, 3: 64}[number]
    for record in objects:
        field = fields((size,) * 3)(as_scene([record]))
        assert_inside(int(jnp.sum(field <= 0)), record["inside"])


@pytest.mark.parametrize("name", list(CATALOG.mappers))
def test_mapper_equals_the_measured_values(name):
    golden = arrays("mappers.npz")
    index = list(CATALOG.mappers).index(name)
    got = render.map_intensity(CATALOG, jnp.int32(index), jnp.asarray(golden["distance"]))
    np.testing.assert_allclose(got, golden[name], rtol=0, atol=MAPPER_ABSOLUTE)


@pytest.mark.parametrize("size", [(96, 96, 96), (32, 48, 40)])
@pytest.mark.parametrize("name", list(CATALOG.displacements))
def test_displacement_equals_the_measured_values(name, size):
    golden, key = arrays("displacements.npz"), f"{name}_{'x'.join(map(str, size))}"
    index = golden[f"index_{'x'.join(map(str, size))}"]
    field = np.asarray(_displacement(size)(list(CATALOG.displacements).index(name)))
    assert_field(field.ravel()[index], golden[key])
    np.testing.assert_allclose(
        [field.min(), field.max()], golden[f"{key}_range"], rtol=0, atol=SDF_ABSOLUTE
    )


@functools.cache
def _displacement(size):
    grid, flat = Grid.voxels(size), jnp.zeros(size)
    return jax.jit(lambda index: render.displace(CATALOG, grid, index, grid.points(), flat))
