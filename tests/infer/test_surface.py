"""Surface scores of masks whose distances are known."""

import numpy as np
import pytest

from fdif_jax.infer.surface import hausdorff95, surface, surface_dice, surface_distances

SPACING = (2.0, 0.5, 3.0)


def box(low, high, shape=(20, 30, 16)):
    mask = np.zeros(shape, bool)
    mask[tuple(map(slice, low, high))] = True
    return mask


def ball(radius, spacing, centre=(20.0, 20.0, 20.0), size=40.0):
    axes = np.meshgrid(*(np.arange(0, size, step) for step in spacing), indexing="ij")
    return sum((x - c) ** 2 for x, c in zip(axes, centre, strict=True)) <= radius**2


def test_surface_of_a_box_is_its_shell_also_at_the_edge_of_the_volume():
    assert surface(box((2, 2, 2), (7, 7, 7))).sum() == 5**3 - 3**3
    whole = np.ones((4, 5, 6), bool)
    assert surface(whole).sum() == 4 * 5 * 6 - 2 * 3 * 4


def test_a_mask_and_itself():
    mask = ball(9, (1, 1, 1))
    distances = surface_distances(mask, mask, (1, 1, 1))
    assert hausdorff95(distances) == 0
    assert surface_dice(distances, 0) == 1


@pytest.mark.parametrize(("axis", "voxels"), [(0, 3), (1, 4), (2, 2)])
def test_a_sheet_that_is_shifted_lies_as_far_as_it_was_shifted(axis, voxels):
    """All distances are equal: every percentile is the shift, in mm of that axis."""
    low = [5, 5, 5]
    high = [10, 10, 10]
    high[axis] = 6
    moved = [[v + voxels * (i == axis) for i, v in enumerate(end)] for end in (low, high)]
    distances = surface_distances(box(low, high), box(*moved), SPACING)
    shift = voxels * SPACING[axis]
    assert hausdorff95(distances) == pytest.approx(shift)
    assert surface_dice(distances, shift) == 1
    assert surface_dice(distances, shift - 1e-6) == 0


def test_boxes_of_one_line_voxel_by_voxel():
    """Lines of 20 and of 10 voxels: the surplus lies 1 to 10 voxels from the shorter line's end."""
    long, short = box((0, 3, 3), (20, 4, 4)), box((0, 3, 3), (10, 4, 4))
    distances = surface_distances(long, short, SPACING)
    np.testing.assert_allclose(
        distances.from_prediction, [0] * 10 + [2.0 * n for n in range(1, 11)]
    )
    np.testing.assert_allclose(distances.from_reference, 0)
    # rank 0.95 * 19 = 18.05 of 20: between 18 and 20 mm
    assert hausdorff95(distances) == pytest.approx(18.1)
    assert surface_dice(distances, 4.0) == pytest.approx((12 + 10) / 30)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 0.5, 2.0)])
def test_concentric_balls_lie_as_far_as_their_radii(spacing):
    distances = surface_distances(ball(14, spacing), ball(9, spacing), spacing)
    # The surface voxels lie within a voxel's diagonal of the sphere.
    assert hausdorff95(distances) == pytest.approx(5.0, abs=np.linalg.norm(spacing))
    for one_way in distances:
        assert one_way.mean() == pytest.approx(5.0, abs=np.linalg.norm(spacing) / 2)
    assert surface_dice(distances, 5 + 2 * np.linalg.norm(spacing)) == 1
    assert surface_dice(distances, 5 - 2 * np.linalg.norm(spacing)) == 0


def test_both_ways_count():
    """A speck far off moves the distances from the mask that has it only."""
    large = ball(9, (1, 1, 1))
    speck = large.copy()
    speck[38, 38, 38] = True
    one, other = (surface_distances(*pair, (1, 1, 1)) for pair in ((speck, large), (large, speck)))
    assert one.from_prediction.max() == other.from_reference.max() > 20
    assert one.from_reference.max() == other.from_prediction.max() == 0
    assert surface_dice(one, 1) == surface_dice(other, 1) < 1


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(6))
def test_scores_equal_those_of_monai(seed):
    metrics = pytest.importorskip("monai.metrics", reason="the reference tests need MONAI")
    torch = pytest.importorskip("torch", reason="the reference tests need PyTorch")
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    spacing = tuple(rng.uniform(0.4, 3, 3).tolist())
    fields = ndimage.gaussian_filter(rng.standard_normal((2, 24, 30, 20)), (0, 2.5, 2.5, 2.5))
    prediction, reference = (field > 0.02 * seed for field in fields)
    distances = surface_distances(prediction, reference, spacing)
    pair = [torch.from_numpy(mask)[None, None].float() for mask in (prediction, reference)]
    hd95 = metrics.compute_hausdorff_distance(*pair, percentile=95, spacing=spacing)
    assert hausdorff95(distances) == pytest.approx(hd95.item(), rel=1e-5)
    for tolerance in (0.7, 1.0, 2.5):
        nsd = metrics.compute_surface_dice(*pair, [tolerance], spacing=spacing)
        assert surface_dice(distances, tolerance) == pytest.approx(nsd.item(), rel=1e-5)
