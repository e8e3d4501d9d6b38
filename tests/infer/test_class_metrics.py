"""Scores of classifiers, and their loss, by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from fdif_jax.infer.class_metrics import class_scores
from fdif_jax.train.class_losses import class_cross_entropy


def test_two_classes_by_hand():
    p = np.array([0.9, 0.4, 0.6, 0.2])
    found = class_scores(np.stack([1 - p, p], 1), np.array([1, 1, 0, 0]))
    assert found["accuracy"] == found["balanced_accuracy"] == found["macro_f1"] == 0.5
    assert found["auroc"] == 0.75
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)


def test_balanced_accuracy_weighs_classes_not_images():
    found = class_scores(np.tile([0.9, 0.1], (4, 1)), np.array([0, 0, 0, 1]))
    assert (found["accuracy"], found["balanced_accuracy"], found["auroc"]) == (0.75, 0.5, 0.5)


def test_a_class_that_is_not_there_has_no_rank():
    p = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]])
    assert class_scores(p, np.array([0, 1]))["auroc"] == 1.0
    assert np.isnan(class_scores(p, np.array([0, 0]))["auroc"])


def test_smoothing_spreads_a_share_of_the_label():
    logits = jnp.log(jnp.array([[0.7, 0.2, 0.1]]))
    plain = class_cross_entropy(logits, jnp.array([0]))
    smooth = class_cross_entropy(logits, jnp.array([0]), smoothing=0.3)
    np.testing.assert_allclose(plain.total, -np.log([0.7]), rtol=1e-6)
    wanted = -(0.8 * np.log(0.7) + 0.1 * np.log(0.2) + 0.1 * np.log(0.1))
    np.testing.assert_allclose(smooth.total, [wanted], rtol=1e-6)
