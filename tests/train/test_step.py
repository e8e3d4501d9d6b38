"""One update: AdamW's formula, accumulation, freezing, several devices."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fdif_jax.models.dropout import Dropout
from fdif_jax.models.layers import Linear
from flax import nnx
from tiny_runs import PATCH

from fdif_jax.train import losses, schedules, step
from fdif_jax.train.devices import make_mesh

BETAS, EPSILON, DECAY = (0.9, 0.999), 1e-8, 1e-5


class Network(nnx.Module):
    """An encoder and a head that see one voxel: what an update does does not depend on more."""

    decoder_parts = ("head",)

    def __init__(self, dropout=0.0, tasks=()):
        rngs = nnx.Rngs(0)
        self.encoder = Linear(1, 6, rngs=rngs)
        self.dropout = Dropout(dropout, rngs=rngs)
        heads = nnx.Dict({task: Linear(6, 3, rngs=rngs) for task in tasks})
        self.head = heads if tasks else Linear(6, 3, rngs=rngs)

    def __call__(self, x):
        features = self.dropout(jax.nn.relu(self.encoder(x)))
        if isinstance(self.head, nnx.Dict):
            return {task: head(features) for task, head in self.head.items()}
        return self.head(features)


network = Network


def batch(count=2, accumulation=1, tasks=(), seed=0):
    rng = np.random.default_rng(seed)
    shape = (accumulation, count, *PATCH)
    images = jnp.asarray(rng.random((*shape, 1), np.float32))
    return images, jnp.asarray(rng.integers(0, 3, (*shape, *tasks)).astype(np.uint8))


def run(model, recipe, *batches, devices=1):
    """State and metrics after the batches."""
    mesh = make_mesh(devices)
    parts, state = step.take_apart(model, recipe, mesh)
    update = step.make_step(parts, recipe, mesh)
    for images, labels in batches:
        state, metrics = update(state, images, labels)
    return parts, state, metrics


def flat(params):
    return {
        ".".join(map(str, path)): np.asarray(v[...], np.float64)
        for path, v in nnx.to_flat_state(params)
    }


def recipe(**changes):
    return step.Recipe(**{"learning_rate": 1e-3, "max_iterations": 20, "augment": False, **changes})


def test_updates_follow_the_formula_of_adamw():
    """Two updates in numpy, from gradients that jax takes of the loss directly."""
    settings, data = recipe(), [batch(seed=0), batch(seed=1)]
    model = network()
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    @jax.jit
    def gradients(params, images, labels):
        def loss(params):
            logits = nnx.merge(graph, params, rest, copy=True)(images[0])
            return losses.dice_ce(logits, labels[0]).total.mean()

        return jax.value_and_grad(loss)(params)

    rate = schedules.warmup_cosine(settings.learning_rate, settings.max_iterations)
    weights = flat(params)
    m = v = dict.fromkeys(weights, 0.0)
    for count, (images, labels) in enumerate(data):
        current = nnx.map_state(
            lambda path, p: p.replace(jnp.asarray(weights[".".join(map(str, path))], jnp.float32)),
            params,
        )
        loss, found = gradients(current, images, labels)
        g = flat(found)
        m = {k: BETAS[0] * m[k] + (1 - BETAS[0]) * g[k] for k in g}
        v = {k: BETAS[1] * v[k] + (1 - BETAS[1]) * g[k] ** 2 for k in g}
        n = count + 1
        for k in weights:
            ahead = m[k] / (1 - BETAS[0] ** n) / (np.sqrt(v[k] / (1 - BETAS[1] ** n)) + EPSILON)
            weights[k] = weights[k] - float(rate(count)) * (ahead + DECAY * weights[k])
    start = flat(params)
    _, state, metrics = run(model, settings, *data)
    np.testing.assert_allclose(metrics.loss, loss, rtol=1e-5)
    moved = 0.0
    for name, expected in flat(state.params).items():
        np.testing.assert_allclose(expected, weights[name], atol=2e-6, err_msg=name)
        moved = max(moved, abs(expected - start[name]).max())
    assert moved > 5e-4  # the first update has rate 0, the second all of it
    assert int(state.update) == 2


def test_accumulated_batches_are_one_large_batch():
    images, labels = batch(count=2, accumulation=3)
    together = (a.reshape(1, 6, *a.shape[2:]) for a in (images, labels))
    warm = (images, labels)
    _, one, of_one = run(network(), recipe(), tuple(together))
    _, three, of_three = run(network(), recipe(accumulation=3), warm)
    np.testing.assert_allclose(of_three.loss, of_one.loss, rtol=1e-6)
    np.testing.assert_allclose(of_three.gradient_norm, of_one.gradient_norm, rtol=1e-5)
    np.testing.assert_allclose(of_three.by_crop.ravel(), of_one.by_crop.ravel(), rtol=1e-6)
    m1, m3 = (jax.tree.leaves(s.optimizer[0].mu) for s in (one, three))
    for a, b in zip(m1, m3, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_a_frozen_encoder_stays_and_the_rest_learns():
    model = network()
    before = flat(nnx.state(model, nnx.Param))
    parts, state, _ = run(model, recipe(frozen=True), batch(), batch(seed=1))
    assert parts.encoder == {"encoder"}
    after = flat(state.params)
    for name, value in after.items():
        frozen = name.split(".")[0] in parts.encoder
        assert np.array_equal(value, before[name]) == frozen, name
    assert any(name.split(".")[0] not in parts.encoder for name in after)


def test_augmentation_and_dropout_change_from_update_to_update_and_with_the_seed():
    images, labels = batch(count=8)

    def loss_of(settings, updates):
        return float(run(network(), settings, *[(images, labels)] * updates)[2].loss)

    plain = recipe(learning_rate=1e-30)
    moving = recipe(learning_rate=1e-30, augment=True)
    assert loss_of(plain, 1) == loss_of(plain, 2)
    assert loss_of(moving, 1) != loss_of(moving, 2)
    assert loss_of(moving, 1) == loss_of(moving, 1)
    assert loss_of(moving, 1) != loss_of(recipe(learning_rate=1e-30, augment=True, seed=1), 1)
    one, two = (run(network(0.5), plain, *[(images, labels)] * n)[2].loss for n in (1, 2))
    assert float(one) != float(two)


def test_tasks_have_a_head_each():
    model = network(tasks=("shape", "texture"))
    images, labels = batch(tasks=(2,))
    _, _, metrics = run(model, recipe(tasks=("shape", "texture")), (images, labels))
    _, _, swapped = run(
        network(tasks=("shape", "texture")),
        recipe(tasks=("texture", "shape")),
        (images, labels[..., ::-1]),
    )
    np.testing.assert_allclose(metrics.loss, swapped.loss, rtol=1e-6)
    assert float(metrics.loss) > 2.5  # of two tasks


def test_stored_volumes_go_through_the_window():
    images = jnp.array([0, 75, 128, 255], jnp.uint8)
    expected = np.clip((np.array([0, 75, 128, 255]) + 175.0) / 425.0, 0, 1)
    np.testing.assert_allclose(step.to_float(images), expected, rtol=1e-6)
    assert step.to_float(jnp.float32([300.0]))[0] == 300.0


_DEVICES = """
import sys
import numpy as np, jax
from flax import nnx
from fdif_jax.models.registry import build, model_config
from fdif_jax.train import step
from fdif_jax.train.devices import make_mesh

name, size, options = {
    "primus": ("primus_s", (8, 8, 16), dict(hidden_size=12, depth=2, heads=1, drop_path=0.5)),
    "vnet": ("vnet", (16, 16, 16), dict(width=2)),
}[sys.argv[1]]
results = []
for devices in map(int, sys.argv[2:]):
    model = build(model_config(name, image_size=size, out_channels=3, **options), rngs=nnx.Rngs(0))
    mesh = make_mesh(devices)
    recipe = step.Recipe(1e-4, 100)
    parts, state = step.take_apart(model, recipe, mesh)
    update = step.make_step(parts, recipe, mesh)
    rng = np.random.default_rng(0)
    for _ in range(3):
        images = rng.random((1, 4, *size, 1), np.float32)
        labels = rng.integers(0, 3, (1, 4, *size)).astype(np.uint8)
        batch = jax.device_put((images, labels), step.spread(mesh))
        state, metrics = update(state, *batch)
    leaves = jax.tree.leaves(jax.device_get((state.params, state.stats)))
    results.append((leaves, jax.device_get(metrics)))
for leaves, metrics in results[1:]:
    apart = max(abs(a - b).max() for a, b in zip(leaves, results[0][0]))
    np.testing.assert_allclose(metrics.by_crop, results[0][1].by_crop, rtol=1e-4)
    print(apart)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["primus", "vnet"])
def test_two_and_four_devices_equal_one(name):
    """With dropout, batch statistics, augmentation: draws follow the crop, not the device."""
    flags = "--xla_force_host_platform_device_count=4"
    found = subprocess.run(
        [sys.executable, "-c", _DEVICES, name, "1", "2", "4"],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    apart = [float(line) for line in found.stdout.split()]
    assert len(apart) == 2
    assert max(apart) < 1e-5
