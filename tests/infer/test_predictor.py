"""From an image as read to labels on its own grid."""

import json
import os
import subprocess
import sys
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fdif_jax.models import create_model
from flax import nnx
from image_files import AFFINES, AS_IT_IS, TwoHeads, above_half, predictor, volume

from fdif_jax.data.images import Image
from fdif_jax.data.intensities import Intensity
from fdif_jax.data.preprocess import Preprocessing
from fdif_jax.errors import InputError
from fdif_jax.infer.predictor import make_predictor, softmax, split_forward
from fdif_jax.infer.sliding_window import Windows, window_count

SIZE = (16, 16, 16)


def labels_of(predictor, voxels, affine=AFFINES["ras"]):
    return predictor.labels(predictor.prepare(Image(voxels[..., None], affine)))


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize("shape", [(14, 11, 9), (5, 20, 6)])
@pytest.mark.parametrize("blending", ["constant", "gaussian"])
def test_labels_are_on_the_grid_of_the_image(affine, shape, blending):
    voxels = volume(shape)
    labels = labels_of(predictor(blending=blending), voxels, affine)
    np.testing.assert_array_equal(labels, voxels > 0.5)
    assert labels.dtype == np.uint8


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_at_another_spacing_labels_differ_at_the_border_only(affine):
    i, j, k = np.indices((30, 26, 22))
    inside = (i - 14) ** 2 + (j - 12) ** 2 + (k - 9) ** 2 < 60
    plan = Preprocessing(Intensity("none"), spacing=(1.3, 1.3, 1.7))
    labels = labels_of(predictor(plan), inside.astype(np.float32), affine)
    assert labels.shape == inside.shape
    assert 2 * (labels & inside).sum() / (labels.sum() + inside.sum()) > 0.93


def test_probabilities_belong_to_the_labels():
    voxels, plan = volume(), Preprocessing(Intensity("none"), spacing=(1.3, 1.1, 1.7))
    own = predictor(plan)
    prepared = own.prepare(Image(voxels[..., None], AFFINES["lps"]))
    probabilities = own.probabilities(prepared)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(-1), own.labels(prepared))
    assert (probabilities[:2] == (1, 0)).all()  # cut off as background


def test_tasks_lie_on_the_last_axis():
    def both(x):
        return np.concatenate([above_half(x), -above_half(x), 0 * x - 9], axis=-1)

    voxels, own = volume(), predictor(apply=both, classes=(2, 3))
    labels = labels_of(own, voxels)
    np.testing.assert_array_equal(labels[..., 0], voxels > 0.5)
    inner = labels[2:, :-1, :, 1]  # outside the crop is background
    np.testing.assert_array_equal(inner, voxels[2:, :-1] < 0.5)
    each = own.probabilities(own.prepare(Image(voxels[..., None], AFFINES["ras"])))
    for part in (each[..., :2], each[..., 2:]):
        np.testing.assert_allclose(part.sum(-1), 1, atol=1e-5)


def test_memory_does_not_grow_with_classes_times_volume():
    """Probabilities of all classes would be 40 MiB."""
    own = predictor(lambda: None, lambda x: np.repeat(x, 40, axis=-1), (40,), batch=1)
    prepared = predictor().prepare(Image(np.ones((256, 32, 32, 1), np.float32), AFFINES["ras"]))
    tracemalloc.start()
    own.labels(prepared)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_softmax_of_large_logits():
    np.testing.assert_allclose(softmax(np.array([[1e4, 1e4, 0.0]])), [[0.5, 0.5, 0.0]])


def test_windows_are_never_more_than_estimated():
    plan = Preprocessing(Intensity("none"), spacing=(0.7, 1.0, 1.9), pad_to=(20, 1, 1))
    own = predictor(plan)
    for affine in AFFINES.values():
        image = Image(volume()[..., None], affine)
        real = window_count(own.prepare(image).image.shape[:3], own.windows)
        assert real <= own.count(image.voxels.shape[:3], affine)
        whole = Image(np.ones_like(image.voxels), affine)
        real = window_count(own.prepare(whole).image.shape[:3], own.windows)
        assert real == own.count(whole.voxels.shape[:3], affine)


@pytest.fixture
def network():
    return TwoHeads(nnx.Rngs(0))


def test_a_network_in_training_mode_predicts_in_evaluation_mode(network):
    network.train()
    own = make_predictor(network, AS_IT_IS, Windows(SIZE, batch=1))
    assert own.classes == (2, 3)
    x = np.random.default_rng(0).random((*SIZE, 1)).astype(np.float32)
    prepared = own.prepare(Image(x, np.eye(4)))
    labels = own.labels(prepared)
    copy = nnx.clone(network)
    copy.eval()
    logits = copy(jnp.asarray(x)[None])
    for i, task in enumerate("ab"):
        np.testing.assert_array_equal(labels[..., i], logits[task][0].argmax(-1))
    assert not network.norm.use_running_average  # left alone


def test_one_program_serves_changing_weights(network):
    forward, state = split_forward(network)
    program = jax.jit(forward)  # traced once, whatever the weights
    x = jnp.ones((1, *SIZE, 1))
    first = program(state, x)
    second = program(jax.tree.map(lambda w: w if w.dtype != jnp.float32 else w * 1.5, state), x)
    assert first.shape == (1, *SIZE, 5)
    assert not np.allclose(first, second)
    assert program._cache_size() == 1


def test_what_the_network_cannot_do_is_refused(network):
    with pytest.raises(InputError, match="multiples of 16"):
        make_predictor(network, AS_IT_IS, Windows((16, 16, 20)))
    with pytest.raises(InputError, match="devices is 99; allowed: 1 to"):
        make_predictor(network, AS_IT_IS, Windows(SIZE), devices=99)


_ON_TWO_DEVICES = """
import json, sys
import jax, numpy as np
from flax import nnx
from fdif_jax.data.images import Image
from fdif_jax.data.intensities import Intensity
from fdif_jax.data.preprocess import Preprocessing
from fdif_jax.infer.predictor import make_predictor
from fdif_jax.infer.sliding_window import Windows
from fdif_jax.models import create_model
assert len(jax.devices()) == 2
model = create_model("vnet", rngs=nnx.Rngs(0), width=2, out_channels=3)
image = Image(np.random.default_rng(0).random((40, 16, 24, 1)).astype(np.float32), np.eye(4))
found = []
for devices, batch in ((1, 3), (2, 3)):
    windows = Windows((16, 16, 16), batch=batch)
    own = make_predictor(model, Preprocessing(Intensity("none")), windows, devices)
    found.append(own.probabilities(own.prepare(image)))
print(json.dumps([own.windows.batch, float(abs(found[0] - found[1]).max())]))
"""


@pytest.mark.slow
def test_two_devices_agree_with_one():
    env = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = subprocess.run(
        [sys.executable, "-c", _ON_TWO_DEVICES],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    batch, difference = json.loads(done.stdout.splitlines()[-1])
    assert batch == 4
    assert difference < 1e-5


def test_tasks_keep_the_order_in_which_they_were_named():
    """Taking a network apart sorts its heads; their logits must not follow."""
    tasks = {"shape": 4, "displacement": 3, "mapper": 2}
    options = {"hidden_size": 12, "depth": 1, "heads": 1}
    model = create_model(
        "primus_s", image_size=(8, 8, 16), out_channels=tasks, rngs=nnx.Rngs(0), **options
    )
    forward, state = split_forward(model)
    x = jnp.ones((1, 8, 8, 16, 1))
    model.eval()
    logits = model(x)
    expected = np.concatenate([logits[task] for task in tasks], axis=-1)
    np.testing.assert_allclose(forward(state, x), expected, atol=1e-6)
