"""Windows, blending and the moving slab, with networks whose answer is known."""

import tracemalloc

import jax
import jax.numpy as jnp
import network_goldens as g
import numpy as np
import pytest

from fdif_jax.errors import InputError
from fdif_jax.infer.sliding_window import (
    Windows,
    predict_labels,
    predict_planes,
    sliding_window,
    window_count,
    window_starts,
)

ROI = (32, 32, 32)
# The goldens were summed in another order, in float32.
FLOAT32_SUMS = 2e-6
# Up to a thousand windows a voxel.
MANY_FLOAT32_SUMS = 1e-5


def golden_network(x):
    """Channels that depend on the position within the window, periodic rolls; see the goldens."""
    x = x[..., 0]
    ramp = np.linspace(0, 1, 32, dtype=np.float32)[:, None, None]
    channels = (
        x,
        0.5 * np.roll(x, 1, axis=1) + np.roll(x, -1, axis=3),
        np.roll(x, 2, axis=2) * ramp,
    )
    return np.stack(channels, axis=-1)


def plus_one(x):
    return x + 1


def volume(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal((*shape, 1)).astype(np.float32)


@pytest.mark.parametrize("case", ["a", "small", "batch"])
def test_constant_blending_equals_the_golden(case):
    z, windows = g.golden("sliding_window_const"), Windows(ROI)
    shape = np.maximum(z[f"{case}_x"].shape[2:], ROI)
    np.testing.assert_array_equal(window_starts(shape, windows), z[f"{case}_starts"])
    for x, y in zip(z[f"{case}_x"], z[f"{case}_y"], strict=True):
        logits = sliding_window(golden_network, x[0][..., None], windows, 3)
        np.testing.assert_allclose(np.moveaxis(logits, -1, 0), y, atol=FLOAT32_SUMS)


def test_gaussian_blending_equals_the_golden():
    z, windows = g.golden("sliding_window_gauss05"), Windows(ROI, overlap=0.5, blending="gaussian")
    logits = sliding_window(golden_network, z["x"][0, 0][..., None], windows, 3)
    np.testing.assert_allclose(np.moveaxis(logits, -1, 0), z["y"][0], atol=FLOAT32_SUMS)


@pytest.mark.parametrize("shape", [(8, 8, 8), (9, 8, 30), (3, 20, 5), (25, 11, 8), (1, 1, 1)])
@pytest.mark.parametrize("blending", ["constant", "gaussian"])
@pytest.mark.parametrize(("overlap", "mirror"), [(0.0, True), (0.25, False), (0.9, False)])
def test_a_pointwise_network_gives_its_answer_everywhere(shape, blending, overlap, mirror):
    windows = Windows((8, 6, 8), overlap, blending, batch=3, mirror=mirror)
    x = volume(*shape)
    np.testing.assert_allclose(
        sliding_window(plus_one, x, windows, 1), x + 1, atol=MANY_FLOAT32_SUMS
    )


@pytest.mark.parametrize(
    ("size", "overlap", "starts"),
    [
        pytest.param(8, 0.25, [0], id="exact"),
        pytest.param(5, 0.25, [0], id="smaller"),
        pytest.param(14, 0.25, [0, 6], id="ends-with-a-step"),
        pytest.param(15, 0.25, [0, 6, 7], id="last-moved-back"),
        pytest.param(18, 0.3, [0, 5, 10], id="whole-steps-rounded-down"),
        pytest.param(10, 0.99, [0, 1, 2], id="at-least-one-voxel-a-step"),
    ],
)
def test_starts_of_an_axis(size, overlap, starts):
    windows = Windows((8, 8, 8), overlap)
    assert window_starts((size, 8, 8), windows) == [(start, 0, 0) for start in starts]


def test_the_larger_half_of_the_padding_lies_behind():
    def index(x):
        return np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None, None], x.shape)

    logits = sliding_window(index, volume(5, 8, 8), Windows((8, 8, 8)), 1)
    assert logits[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5]


def test_planes_come_in_order_while_windows_are_still_to_come():
    seen, order = [], []

    def network(x):
        seen.append(len(x))
        return x

    for z, planes in predict_planes(network, volume(40, 8, 8), Windows((8, 8, 8), batch=1), 1):
        order += range(z, z + len(planes))
        if z == 0:
            assert len(seen) <= 3
    assert order == list(range(40))
    assert set(seen) == {1}


def test_the_next_batch_starts_before_the_last_one_is_waited_for():
    log = []

    class Running:
        def __init__(self, number, value):
            self.number, self.value = number, value

        def __array__(self, dtype=None, copy=None):
            log.append(f"wait {self.number}")
            return self.value

    def network(x):
        number = sum(entry.startswith("start") for entry in log)
        log.append(f"start {number}")
        return Running(number, x)

    sliding_window(network, volume(20, 8, 8), Windows((8, 8, 8), batch=1), 1)
    assert log == ["start 0", "start 1", "wait 0", "start 2", "wait 1", "wait 2"]


def test_mirror_images_are_averaged_unmirrored():
    """A network that looks one voxel ahead: mirrored, it looks one behind."""

    def ahead(x):
        return np.roll(x, -1, axis=1)

    x = volume(8, 8, 8)
    logits = sliding_window(ahead, x, Windows((8, 8, 8), mirror=True), 1)
    np.testing.assert_allclose(
        logits, (np.roll(x, -1, axis=0) + np.roll(x, 1, axis=0)) / 2, atol=FLOAT32_SUMS
    )


def test_one_program_serves_volumes_of_every_size():
    apply = jax.jit(lambda x: jnp.concatenate([x, -x], axis=-1))
    for shape in [(8, 8, 8), (20, 9, 8), (3, 17, 30)]:
        x = volume(*shape)
        labels = predict_labels(apply, x, Windows((8, 8, 8), batch=4), 2)
        np.testing.assert_array_equal(labels, x[..., 0] < 0)
    assert apply._cache_size() == 1


def test_the_slab_is_no_deeper_than_the_patch():
    """Logits of the whole volume would be 38 MiB, those of one slab are 1.6."""
    depth, side, channels = 384, 32, 25
    x, windows = volume(depth, side, side), Windows((16, 16, 16), batch=1)
    tracemalloc.start()
    predict_labels(lambda w: np.repeat(w, channels, axis=-1), x, windows, channels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    slab = 4 * 16 * side**2 * (channels + 1)
    labels = depth * side**2
    three_windows = 3 * 4 * 16**3 * (channels + 1)
    assert peak < slab + labels + three_windows + 300_000


def test_labels_by_task_are_stacked_and_small():
    x = volume(9, 9, 9)
    two = predict_labels(
        lambda w: np.concatenate([w, -w, -w, w, 0 * w], -1), x, Windows(ROI), (2, 3)
    )
    assert two.shape == (9, 9, 9, 2)
    assert two.dtype == np.uint8
    np.testing.assert_array_equal(two[..., 0], x[..., 0] < 0)
    np.testing.assert_array_equal(two[..., 1], x[..., 0] > 0)
    many = predict_labels(
        lambda w: np.repeat(w, 257, axis=-1), x[:2, :2, :2], Windows((2, 2, 2)), 257
    )
    assert many.dtype == np.uint16


def test_progress_ends_with_all_windows():
    calls, windows = [], Windows((8, 8, 8), batch=2, mirror=True)
    x = volume(9, 8, 8)
    list(predict_planes(plus_one, x, windows, 1, lambda *call: calls.append(call)))
    total = window_count(x.shape[:3], windows)
    assert total == 16
    assert calls == [(i, 16) for i in range(1, 17)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": 1.0}, r"overlap is 1.0; allowed"),
        ({"overlap": -0.1}, "overlap"),
        ({"blending": "gauss"}, "blending is 'gauss'; allowed"),
        ({"batch": 0}, "batch is 0"),
        ({"patch": (0, 8, 8)}, "patch"),
    ],
)
def test_windows_that_cannot_be_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Windows(**{"patch": (8, 8, 8), **options})
