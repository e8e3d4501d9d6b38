"""The loss: measured values and gradients, its closed-form gradient, its memory."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_goldens import golden, to_golden, to_ours

from fdif_jax.train import losses

CASES = ("all_classes", "absent", "bg_only", "c14", "two")
FLOAT32 = 1e-6  # relative: a few roundings


def mean(loss, logits, labels) -> losses.Loss:
    """Over the crops, as a step takes it."""
    return jax.tree.map(jnp.mean, loss(logits, labels))


dice_ce = jax.jit(partial(mean, losses.dice_ce))


def draw(seed, *, batch=2, size=(4, 5, 6), classes=5, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(seed), 2)
    logits = 2 * jax.random.normal(keys[0], (batch, *size, classes))
    return logits.astype(dtype), jax.random.randint(keys[1], (batch, *size), 0, classes)


def plain(logits, labels) -> losses.CropLoss:
    """The formulas as they are written down, in the dtype of the logits."""
    p, log_p = jax.nn.softmax(logits), jax.nn.log_softmax(logits)
    g = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    space = (1, 2, 3)
    dice = 1 - (2 * (p * g).sum(space) + 1e-5) / (p.sum(space) + g.sum(space) + 1e-5)
    return losses.CropLoss(dice, -(log_p * g).sum(-1).mean(space))


@pytest.mark.parametrize("case", CASES)
def test_measured_loss_and_gradient(case):
    z = golden("dicece_loss")
    logits, labels = to_ours(z[f"{case}_logits"]), jnp.asarray(z[f"{case}_labels"][:, 0])

    @jax.jit
    def run(logits):
        def total(logits):
            found = mean(losses.dice_ce, logits, labels)
            return found.total, found

        return jax.grad(total, has_aux=True)(logits)

    gradient, found = run(logits)
    expected = (z[f"{case}_loss"], z[f"{case}_dice"], z[f"{case}_ce"])
    np.testing.assert_allclose(found, expected, rtol=FLOAT32)
    np.testing.assert_allclose(to_golden(gradient), z[f"{case}_grad"], rtol=1e-5, atol=1e-8)


def test_gradient_of_any_use_of_the_parts():
    """Random weights on all parts of all crops: no term can hide behind a mean."""
    logits, labels = draw(0)
    use = losses.CropLoss(
        *(jax.random.normal(jax.random.key(i), s) for i, s in [(1, (2, 5)), (2, (2,))])
    )

    def gradient(function):
        return jax.jit(lambda x: jax.vjp(lambda x: function(x, labels), x)[1](use)[0])(logits)

    np.testing.assert_allclose(gradient(losses.per_crop), gradient(plain), rtol=1e-4, atol=1e-8)


def test_smoothing_of_an_absent_class_that_is_hardly_predicted():
    """Its probabilities add up to the smoothing: 1 - s / (s + s)."""
    logits, labels = jnp.zeros((1, 4, 5, 6, 2)), jnp.zeros((1, 4, 5, 6), jnp.int32)
    logits = logits.at[..., 1].set(np.log(1e-5 / 120))
    ours, expected = (
        jax.jit(jax.value_and_grad(lambda x, f=f: f(x, labels).dice[0, 1]))(logits)
        for f in (losses.per_crop, plain)
    )
    np.testing.assert_allclose(ours[0], 0.5, rtol=1e-5)
    np.testing.assert_allclose(ours[1], expected[1], rtol=1e-4)


def test_sums_over_a_large_volume_keep_their_digits():
    logits, labels = draw(1, batch=1, size=(96, 96, 96), classes=2)
    with jax.enable_x64(True):
        expected = jax.tree.map(np.asarray, jax.jit(plain)(logits.astype(jnp.float64), labels))
    found = jax.jit(losses.per_crop)(logits, labels)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=FLOAT32), found, expected)


def test_half_precision_logits_lose_nothing_more():
    logits, labels = draw(2, dtype=jnp.bfloat16)
    run = jax.jit(jax.value_and_grad(lambda x: mean(losses.dice_ce, x, labels).total))
    (value, gradient), (exact, wide) = run(logits), run(logits.astype(jnp.float32))
    assert value.dtype == jnp.float32
    assert value == exact
    assert gradient.dtype == jnp.bfloat16
    assert (gradient == wide.astype(jnp.bfloat16)).all()


def test_cross_entropy_leaves_dice_out():
    logits, labels = draw(3)

    @jax.jit
    def run(logits):
        def total(logits):
            found = mean(losses.cross_entropy, logits, labels)
            return found.total, found

        return jax.grad(total, has_aux=True)(logits)

    gradient, found = run(logits)
    both = dice_ce(logits, labels)
    assert found.total == found.ce == both.ce
    assert found.dice_loss == both.dice_loss
    expected = jax.jit(jax.grad(lambda x: plain(x, labels).ce.mean()))(logits)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-9)


def test_every_crop_has_a_loss_of_its_own():
    logits, labels = draw(4, batch=3)
    found = jax.jit(losses.dice_ce)(logits, labels)
    for i in range(3):
        alone = dice_ce(logits[i : i + 1], labels[i : i + 1])
        np.testing.assert_allclose([part[i] for part in found], alone, rtol=FLOAT32)


def test_tasks_add_up_in_the_order_of_the_labels():
    (a, of_a), (b, of_b) = draw(5, classes=3), draw(6, classes=4)
    labels = jnp.stack([of_b, of_a], axis=-1)
    found = jax.jit(lambda logits: losses.multi_task(losses.dice_ce, logits, labels, ("b", "a")))(
        {"a": a, "b": b}
    )
    alone = jax.jit(losses.dice_ce)
    expected = jax.tree.map(jnp.add, alone(a, of_a), alone(b, of_b))
    np.testing.assert_allclose(found, expected, rtol=FLOAT32)


def test_a_label_beyond_the_classes_is_not_silent():
    logits, labels = draw(7)
    assert jnp.isnan(dice_ce(logits, labels.at[0, 0, 0, 0].set(5)).total)


def test_memory_is_that_of_a_plane():
    """No array of classes x voxels besides the logits and their gradient."""
    logits, labels = draw(8, size=(24, 24, 24), classes=64)
    step = jax.jit(jax.value_and_grad(lambda x: mean(losses.dice_ce, x, labels).total))
    used = step.lower(logits).compile().memory_analysis()
    assert used.temp_size_in_bytes < logits.nbytes / 4
