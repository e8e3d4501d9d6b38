"""World coordinates of samples."""

import jax.numpy as jnp
import numpy as np
import pytest

from fdif_jax.errors import InputError
from fdif_jax.grid import Grid


def test_voxels_run_from_minus_half_to_half_less_one():
    x, y, z = Grid.voxels((8, 10, 13)).points()
    assert (x.shape, y.shape, z.shape) == ((1, 1, 13), (1, 10, 1), (8, 1, 1))
    np.testing.assert_array_equal(x.ravel(), np.arange(13) - 6.5)
    np.testing.assert_array_equal(y.ravel(), np.arange(10) - 5)
    np.testing.assert_array_equal(z.ravel(), np.arange(8) - 4)
    assert Grid.voxels((8, 10, 13)).largest == (3, 4, 5.5)


def test_centred_is_a_scaled_linspace_with_both_ends():
    x, y, z = Grid.centred((8, 10, 13), 0.4).points()
    for axis, size in ((x, 13), (y, 10), (z, 8)):
        expected = np.linspace(-size / 2 * 0.4, size / 2 * 0.4, size)
        np.testing.assert_allclose(axis.ravel(), expected, atol=1e-6)


@pytest.mark.parametrize("grid", [Grid.voxels((8, 10, 13)), Grid.centred((8, 10, 13), 0.4)])
def test_a_box_of_samples_is_a_part_of_the_whole(grid):
    whole, box = grid.points(), grid.points((2, jnp.int32(3), 5), (4, 2, 7))
    np.testing.assert_array_equal(box.z, whole.z[2:6])
    np.testing.assert_array_equal(box.y, whole.y[:, 3:5])
    np.testing.assert_array_equal(box.x, whole.x[:, :, 5:12])


def test_refuses_an_axis_that_is_too_short():
    with pytest.raises(InputError, match="W is 4"):
        Grid.voxels((8, 8, 4))
