"""Laws that hold for every network, and the refusals of each."""

import jax
import jax.numpy as jnp
import network_goldens as g
import numpy as np
import pytest
from fdif_jax.models import Classifier
from fdif_jax.models.norms import BatchNorm, InstanceNorm, standardize
from fdif_jax.models.registry import config_from, family_of, training_bytes
from flax import nnx

from fdif_jax.errors import InputError

# Name, builder, a size that it takes.
OUTPUT = 1e-4  # float32, as against the goldens
NETWORKS = {
    "vnet": (lambda **o: g.vnet(width=4, **o), (16, 16, 32)),
    "unetr": (lambda **o: g.unetr((16, 16, 32), **o), (16, 16, 32)),
    "swin": (lambda **o: g.swin(**o), (32, 32, 64)),
    "resenc": (lambda **o: g.resenc(**o), (8, 8, 16)),
    "primus": (lambda **o: g.primus(image_size=(16, 16, 24), drop_path=0.5, **o), (16, 16, 24)),
}
every = pytest.mark.parametrize(("build", "size"), NETWORKS.values(), ids=NETWORKS)


def fast_for(*names):
    """Every network, in the slow tier all but these: what compiles takes the others too long."""
    cases = [
        pytest.param(*case, id=name, marks=() if name in names else pytest.mark.slow)
        for name, case in NETWORKS.items()
    ]
    return pytest.mark.parametrize(("build", "size"), cases)


def image(size, batch=1, channels=1):
    x = np.random.default_rng(0).random((batch, *size, channels), np.float32)
    return jnp.asarray(x)


@fast_for("unetr", "primus")
def test_batches_and_samples_agree_under_jit(build, size):
    model = g.with_golden_weights(build())
    model.eval()
    run = nnx.jit(lambda m, x: m(x))
    x = image(size, batch=2)
    both = run(model, x)
    assert both.shape == (2, *size, 3)
    assert both.dtype == jnp.float32
    np.testing.assert_allclose(both[1:], run(model, x[1:]), atol=OUTPUT)


@fast_for("primus")
def test_bfloat16_decides_alike(build, size):
    full, half = (g.with_golden_weights(build(dtype=d)) for d in ("float32", "bfloat16"))
    run = nnx.jit(lambda m, x: m(x))
    full.eval(), half.eval()
    a, b = (run(m, image(size)) for m in (full, half))
    assert b.dtype == jnp.float32
    assert bool(jnp.isfinite(b).all())
    assert float((a.argmax(-1) == b.argmax(-1)).mean()) >= 0.97


@fast_for()
def test_recomputation_changes_no_gradient(build, size, monkeypatch):
    """Nor the loss, nor what dropout draws, nor the running statistics."""
    # A map of few voxels is normalised to values around the activation's kink; of which side one
    # is, rounding decides anew in the second computation, and 3 % of a gradient hang on it.
    monkeypatch.setattr("fdif_jax.models.norms.LEAKY_SLOPE", 1.0)
    labels = jnp.zeros((1, *size), jnp.int32)
    plain, again = (
        g.gradients(g.with_golden_weights(build(remat=r)), image(size), labels)
        for r in (False, True)
    )
    assert plain[0] == pytest.approx(again[0], rel=1e-6)
    wanted, found = g.arrays(plain[1]), g.arrays(again[1])
    total = np.sqrt(sum(np.square(a, dtype=np.float64).sum() for a in wanted.values()))
    for name, a in wanted.items():
        # Biases in front of a norm have no gradient but rounding: 1e-8 of the total.
        assert np.linalg.norm(a - found[name]) <= 1e-3 * np.linalg.norm(a) + 1e-7 * total, name
    statistics = [nnx.state(side[2], nnx.BatchStat) for side in (plain, again)]
    for a, b in zip(*map(jax.tree.leaves, statistics), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@every
def test_one_head_per_task(build, size):
    model = build()
    model.replace_head({"shape": 4, "mapper": 2}, rngs=nnx.Rngs(1))
    model.eval()
    out = nnx.eval_shape(lambda m, x: m(x), model, image(size))
    assert {task: y.shape[-1] for task, y in out.items()} == {"shape": 4, "mapper": 2}
    assert model.config.out_channels == (("shape", 4), ("mapper", 2))
    model.replace_head(7, rngs=nnx.Rngs(1))
    model.eval()
    assert nnx.eval_shape(lambda m, x: m(x), model, image(size)).shape[-1] == 7


@fast_for("primus")
def test_a_new_head_leaves_the_features_alone(build, size):
    """The head of one task among several sees what the only head saw."""
    model = g.with_golden_weights(build())
    model.eval()
    run = nnx.jit(lambda m, x: m(x))
    alone, old = run(model, image(size)), model.head
    model.replace_head({"shape": 3, "mapper": 2}, rngs=nnx.Rngs(1))
    model.head["shape"] = old
    model.eval()
    np.testing.assert_allclose(run(model, image(size))["shape"], alone, atol=1e-5)


@every
def test_classifier_on_every_encoder(build, size):
    model = Classifier(build(), 5, dropout=0.1, rngs=nnx.Rngs(0))
    model.eval()
    out = nnx.eval_shape(lambda m, x: m(x), model, image(size, 2))
    assert (out.shape, out.dtype) == ((2, 5), jnp.float32)
    gone = [name for name in model.encoder.decoder_parts if hasattr(model.encoder, name)]
    assert gone == []


@fast_for("primus")
def test_classifier_is_linear_in_the_mean_of_the_encoder(build, size):
    whole = g.with_golden_weights(build())
    whole.eval()
    features = nnx.jit(lambda m, x: m.encode(x))(whole, image(size))
    model = Classifier(g.with_golden_weights(build()), 5, dropout=0.5, rngs=nnx.Rngs(0))
    model.eval()
    mean = np.asarray(features).reshape(-1, features.shape[-1]).mean(0)
    wanted = mean @ np.asarray(model.linear.kernel[...]) + np.asarray(model.linear.bias[...])
    found = nnx.jit(lambda m, x: m(x))(model, image(size))
    np.testing.assert_allclose(found[0], wanted, atol=1e-4)


def test_classifier_drops_averaged_features_in_training_alone():
    class Ones(nnx.Module):
        encoded_features = 64
        drop_decoder = staticmethod(lambda: None)

        def encode(self, x):
            return jnp.ones((1, 2, 2, 2, 64))

    model = Classifier(Ones(), 1, dropout=0.5, rngs=nnx.Rngs(0))
    first, second = (np.asarray(model(None)) for _ in range(2))
    assert not np.allclose(first, second)
    model.eval()
    np.testing.assert_array_equal(model(None), model(None))


def test_a_classifier_without_classes_is_refused():
    with pytest.raises(InputError, match="num_classes must be at least 1, got 0"):
        Classifier(g.primus(), 0, rngs=nnx.Rngs(0))


@every
def test_config_survives_json(build, size):
    import dataclasses
    import json

    config = build(remat=True).config
    values = json.loads(json.dumps(dataclasses.asdict(config)))
    assert config_from(family_of(config), values) == config


@fast_for("primus", "resenc")
def test_recomputation_keeps_less(build, size):
    configs = [build(remat=r).config for r in (False, True)]
    kept = [training_bytes(c, size) for c in configs]
    assert kept[1] < kept[0]


@pytest.mark.parametrize(
    ("build", "size", "message"),
    [
        (lambda: g.vnet(width=4), (16, 24, 16), "multiples of 16, got 16x24x16; the nearest is"),
        (lambda: g.vnet(width=4), (16, 16, 16), "single voxel"),
        (g.unetr, (48, 48, 48), r"built for 32x32x32 voxels, got 48x48x48; call resize_position"),
        (g.swin, (64, 64, 48), "multiples of 32"),
        (g.swin, (32, 32, 32), "single voxel"),
        (g.resenc, (8, 8, 12), "multiples of 8"),
        (lambda: g.resenc(aniso=True), (8, 8, 12), "multiples of 4x8x8"),
        (g.resenc, (8, 8, 8), "single voxel"),
        # As many tokens as 32x32x48: computes in the original, with wrong positions.
        (g.primus, (32, 48, 32), "built for 32x32x48"),
    ],
)
def test_sizes_are_refused_with_a_remedy(build, size, message):
    model = build()
    with pytest.raises(InputError, match=message):
        model(image(size))


@every
def test_channels_and_axes_are_refused(build, size):
    with pytest.raises(InputError, match=r"built for 1 input channel\(s\), got 2"):
        build()(image(size, channels=2))
    with pytest.raises(InputError, match="takes \\(batch, D, H, W, channels\\)"):
        build()(image(size)[0])


@pytest.mark.parametrize("activation", ["none", "leaky_relu", "elu"])
@pytest.mark.parametrize("affine", [False, True])
def test_standardize_has_the_gradient_of_its_formula(activation, affine):
    keys = jax.random.split(jax.random.key(0), 4)
    x, weights = (jax.random.normal(k, (2, 3, 4, 5, 6)) for k in keys[:2])
    scale, bias = (jax.random.normal(k, (6,)) if affine else None for k in keys[2:])
    act = {
        "none": lambda z: z,
        "elu": jax.nn.elu,
        "leaky_relu": lambda z: jax.nn.leaky_relu(z, 0.01),
    }[activation]

    def plain(x, scale, bias):
        y = (x - x.mean((1, 2, 3), keepdims=True)) * jax.lax.rsqrt(
            x.var((1, 2, 3), keepdims=True) + 1e-5
        )
        return (act(y * scale + bias if affine else y) * weights).sum()

    def ours(x, scale, bias):
        return (standardize(x, scale, bias, (1, 2, 3), activation)[0] * weights).sum()

    args = (0, 1, 2) if affine else (0,)
    for a, b in zip(
        jax.grad(ours, args)(x, scale, bias), jax.grad(plain, args)(x, scale, bias), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_batch_norm_statistics_follow_pytorch():
    """Running variance takes the unbiased one, with weight 0.1; evaluation uses them."""
    norm, x = BatchNorm(3), 2.0 + 3.0 * image((2, 2, 2), 2, 3)
    norm(x)
    flat = np.asarray(x).reshape(-1, 3)
    np.testing.assert_allclose(norm.mean[...], 0.1 * flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(norm.var[...], 0.9 + 0.1 * flat.var(0, ddof=1), rtol=1e-5)
    norm.eval()
    wanted = (flat - np.asarray(norm.mean[...])) / np.sqrt(np.asarray(norm.var[...]) + 1e-5)
    np.testing.assert_allclose(np.asarray(norm(x)).reshape(-1, 3), wanted, atol=1e-5)


def test_half_precision_keeps_norms_in_float32():
    """1000 + noise in bfloat16 has no variance left if the mean is taken in bfloat16."""
    x = (100.0 + image((8, 8, 8))).astype(jnp.bfloat16)
    y = InstanceNorm(1)(x)
    assert y.dtype == jnp.bfloat16
    assert float(jnp.abs(y.astype(jnp.float32).mean())) < 0.02


def test_vnet_dropout_zeroes_whole_channels():
    model = g.vnet(width=4)
    x = jnp.ones((1, 2, 2, 2, 64))
    y = np.asarray(model.downs[3].dropout(x))[0].reshape(8, 64)
    assert ((y == 0).all(0) | (y == 2).all(0)).all()
    assert 0 < (y == 0).all(0).mean() < 1


def test_resenc_blocks_start_as_their_skip():
    model = g.resenc()
    block = model.stages[1].parts[1]
    x = jnp.abs(image((4, 4, 4), channels=16))
    np.testing.assert_allclose(block(x), x, atol=1e-6)


def test_resized_positions_keep_what_they_had():
    model = g.unetr((32, 32, 32))
    model.positions[...] = jnp.broadcast_to(jnp.arange(48.0), (1, 8, 48))
    model.resize_position_embeddings((64, 48, 32))
    assert model.positions.shape == (1, 4 * 3 * 2, 48)
    np.testing.assert_allclose(
        model.positions[0], np.broadcast_to(np.arange(48.0), (24, 48)), atol=1e-5
    )
