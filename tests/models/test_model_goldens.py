"""Every network equals its original: outputs, intermediates, gradients, running statistics."""

import jax
import network_goldens as g
import numpy as np
import pytest
from fdif_jax.models.primus import rotary_table
from flax import nnx

from fdif_jax.interop import state

# float32 noise of the originals against float64 is 3e-6 to 1.5e-5; the mistakes tried (another
# epsilon, order, padding, GELU) show at 1e-4 or more.
OUTPUT = 1e-4
# Primus' epsilons only show in the normalised tokens: wrong 1.1e-4, noise 3e-6.
TOKENS = 2e-5
GRADIENT = 1e-3  # relative, above the floor
FLOOR = 1e-5  # of the total norm: gradients that are zero but for rounding

SWIN = {f"layers{i}": f"stage{i}" for i in (1, 2, 3, 4)} | {"encoder10": "encoder10"}
RESENC = {"skip2": "encoder2", "bottleneck": "encoder3", "dec0": "decoder2", "dec1": "decoder1"}
slow = pytest.mark.slow

EVAL = [
    pytest.param(
        "vnet_eval_32",
        g.vnet,
        {"in_tr": "input", "down_tr128": "down3", "up_tr128": "up2"},
        id="vnet",
        marks=slow,
    ),
    pytest.param("vnet_eval_in2_16x32x48", lambda: g.vnet(2), {}, id="vnet-two-channels"),
    pytest.param(
        "unetr_eval_32",
        g.unetr,
        {
            "patch_embedding": "tokens",
            "vit_block3": "block3",
            "vit": "encoded",
            "encoder2": "encoder2",
            "encoder4": "encoder4",
            "decoder4": "decoder4",
        },
        id="unetr",
    ),
    pytest.param(
        "unetr_eval_48x32x64",
        lambda: g.unetr((48, 32, 64)),
        {"vit": "encoded", "encoder4": "encoder4"},
        id="unetr-oblong-batch-2",
        marks=slow,
    ),
    pytest.param("swin_eval_64", g.swin, SWIN | {"decoder4": "decoder4"}, id="swin"),
    pytest.param(
        "swin_eval_96",
        g.swin,
        {k: SWIN[k] for k in ("layers3", "layers4", "encoder10")},
        id="swin-96",
        marks=slow,
    ),
    pytest.param("swin_eval_96x64x32", g.swin, SWIN, id="swin-oblong", marks=slow),
    pytest.param(
        "swin_eval_64_legacymerging",
        lambda: g.swin(merging="legacy"),
        {"layers4": "stage4"},
        id="swin-legacy",
        marks=slow,
    ),
    pytest.param(
        "swin_eval_64_mergingv2",
        lambda: g.swin(merging="mergingv2"),
        {"layers4": "stage4"},
        id="swin-mergingv2",
        marks=slow,
    ),
    pytest.param(
        "swin_eval_64_usev2",
        lambda: g.swin(use_v2=True),
        {"layers4": "stage4"},
        id="swin-v2",
        marks=slow,
    ),
    pytest.param("resenc_eval", g.resenc, RESENC, id="resenc"),
    pytest.param("resenc_eval_aniso", lambda: g.resenc(aniso=True), RESENC, id="resenc-aniso"),
    pytest.param(
        "primus_eval",
        g.primus,
        {"tokens": "tokens", "block0": "block0", "norm": "encoded"},
        id="primus",
    ),
]

# What the original counts and ours does not have: UNETR's unused norms.
UNUSED = {"unetr": 12 * 2 * 48}


@nnx.jit
def forward(model, x):
    return model(x), model.feature_maps(x)


@pytest.mark.parametrize(("name", "build", "features"), EVAL)
def test_output_and_intermediates(name, build, features):
    z = g.golden(name)
    model = g.with_golden_weights(build())
    model.eval()
    parameters = sum(p.size for p in jax.tree.leaves(nnx.state(model, nnx.Param)))
    assert parameters + UNUSED.get(name.split("_")[0], 0) == int(z["n_params"])
    y, maps = forward(model, g.input_of(z))
    k = int(z["y_stride"])
    np.testing.assert_allclose(g.to_golden(y)[:, :, ::k, ::k, ::k], z["y"], rtol=0, atol=OUTPUT)
    for theirs, ours in features.items():
        found, step = g.to_golden(maps[ours]), int(z[f"featstride_{theirs}"])
        if found.ndim == 5:
            found = found[:, :, ::step, ::step, ::step]
        tolerance = TOKENS if name == "primus_eval" else OUTPUT
        np.testing.assert_allclose(
            found, z[f"feat_{theirs}"], rtol=0, atol=tolerance, err_msg=theirs
        )


def test_swin_blocks_one_by_one():
    z, whole = g.golden("swin_blocks_64"), g.golden("swin_eval_64")
    swin = g.with_golden_weights(g.swin()).swin
    x = swin.patches(g.input_of(whole))
    thin = (slice(None), *(slice(None, None, 2),) * 3)
    np.testing.assert_allclose(
        np.asarray(x)[thin], np.moveaxis(z["patch_embed_every2"], 1, -1), rtol=0, atol=OUTPUT
    )
    for i, block in enumerate(swin.stages[0].blocks):
        x = nnx.jit(lambda m, y: m(y))(block, x)
        np.testing.assert_allclose(
            np.asarray(x)[thin], z[f"block{i}_cl_every2"], rtol=0, atol=OUTPUT
        )


def test_primus_branches_positions_and_decoder():
    z = g.golden("primus_eval")
    model = g.with_golden_weights(g.primus())
    model.eval()
    sine, cosine = rotary_table((4, 4, 6), 72)
    np.testing.assert_allclose(np.concatenate([sine, cosine], -1), z["rope_sincos"], atol=1e-6)
    _, maps = forward(model, g.input_of(z))
    block = model.blocks[0]
    attention = block.attn(block.norm1(maps["tokens"]), (4, 4, 6))
    np.testing.assert_allclose(attention, z["feat_attn0"], rtol=0, atol=TOKENS)
    x = maps["tokens"] + attention * block.scale1[...]
    np.testing.assert_allclose(block.mlp(block.norm2(x)), z["feat_mlp0"], rtol=0, atol=TOKENS)
    decoder = model.head
    first = decoder.norms[0](decoder.ups[0](maps["encoded"].reshape(1, 4, 4, 6, -1)))
    found = jax.nn.gelu(first, approximate=False)
    np.testing.assert_allclose(g.to_golden(found), z["feat_dec0"], rtol=0, atol=OUTPUT)


def test_resenc_deep_supervision():
    z, single = g.golden("resenc_ds"), g.golden("resenc_eval")
    model = g.with_golden_weights(g.resenc())
    run = nnx.jit(lambda m, x: m(x, deep_supervision=True))
    levels = run(model, g.input_of(single))
    assert len(levels) == int(z["n_outputs"])
    for i, y in enumerate(levels):
        np.testing.assert_allclose(g.to_golden(y), z[f"y{i}"], rtol=0, atol=OUTPUT)


TRAIN = [
    pytest.param("vnet_train_32_b2", lambda: g.vnet(dropout=False), 0, id="vnet", marks=slow),
    pytest.param("unetr_train_32", g.unetr, 8, id="unetr", marks=slow),
    pytest.param("swin_train_64", g.swin, 8, id="swin", marks=slow),
    pytest.param("resenc_train", g.resenc, 0, id="resenc", marks=slow),
    pytest.param(
        "resenc_train_aniso", lambda: g.resenc(aniso=True), 0, id="resenc-aniso", marks=slow
    ),
    pytest.param("primus_train", g.primus, 0, id="primus"),
]


@pytest.mark.parametrize(("name", "build", "roundings"), TRAIN)
def test_loss_gradients_and_statistics(name, build, roundings):
    """Of an input, or of one that differs in the last bit where the golden lies on a kink."""
    z = g.golden(name)
    model = g.with_golden_weights(build())
    table = {e.key: e for e in g.entries(model)}
    for x in g.last_bits(g.input_of(z), roundings):
        loss, grads, after = g.gradients(model, x, g.labels_of(z))
        assert loss == pytest.approx(float(z["loss"]), abs=2e-6)
        wrong = wrong_gradients(z, table, grads)
        if not wrong:
            break
    assert wrong == []
    # The file holds the running statistics from before the step, so they say that the step began
    # alike; how a step moves them is held by test_batch_norm_statistics_follow_pytorch.
    for buffer in [k for k in z if k.startswith("buf_")]:
        path = table[buffer.removeprefix("buf_")].path
        before = np.asarray(state.variable_at(model, path)[...])
        np.testing.assert_allclose(before, z[buffer], rtol=1e-5, atol=1e-6, err_msg=buffer)
        assert np.abs(np.asarray(state.variable_at(after, path)[...]) - before).max() > 1e-3, buffer


def wrong_gradients(z, table, grads):
    """Keys whose gradient differs from the golden's in norm or projection."""
    norms = dict(zip(z["keys"].tolist(), z["grad_norm"], strict=True))
    projections = dict(zip(z["keys"].tolist(), z["grad_proj"], strict=True))
    floor = FLOOR * float(np.sqrt(np.nansum(z["grad_norm"] ** 2)))
    learnt = {k for k in table if "running" not in k}
    assert learnt == {k for k in norms if "norm_cross_attn" not in k}
    wrong = []
    for key in sorted(learnt):
        found = table[key].to_torch(np.asarray(state.variable_at(grads, table[key].path)[...]))
        norm = float(np.linalg.norm(found.astype(np.float64)))
        if np.isnan(norms[key]):  # unused by the original
            assert norm == 0, key
            continue
        # A projection on [-1, 1) is a sum with cancellation: its error is that of the norm.
        error = GRADIENT * max(norms[key], floor / GRADIENT)
        if norm != pytest.approx(norms[key], rel=GRADIENT, abs=floor):
            wrong.append((key, norm, norms[key]))
        elif g.projection(key, found) != pytest.approx(projections[key], abs=error):
            wrong.append((key, g.projection(key, found), projections[key]))
    return wrong
