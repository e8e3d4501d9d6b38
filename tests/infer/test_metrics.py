import network_goldens as g
import numpy as np
import pytest

from fdif_jax.infer.metrics import dice_by_class, mean_dice

CASES = [
    "plain",
    "gt_absent",
    "both_absent",
    "gt_all_bg",
    "perfect",
    "pred_empty",
    "mixed_batch",
]


@pytest.mark.parametrize("case", CASES)
def test_dice_equals_the_golden(case):
    z = g.golden("dice_metric")
    pairs = zip(z[f"{case}_pred"][:, 0], z[f"{case}_gt"][:, 0], strict=True)
    rows = [dice_by_class(prediction, reference, 4) for prediction, reference in pairs]
    np.testing.assert_allclose(rows, z[f"{case}_raw"], rtol=1e-6)
    mean, cases = mean_dice(rows)
    assert mean == pytest.approx(float(z[f"{case}_mean"][0]), rel=1e-6)
    assert cases == z[f"{case}_not_nans"]


def test_labels_above_the_last_class_are_passed_over():
    labels = np.array([[[0, 1, 2, 200]]], np.uint8)
    assert dice_by_class(labels, labels, 2).tolist() == [1.0]
