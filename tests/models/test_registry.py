"""Networks by name: presets, options, nnU-Net's plans, parameters and memory."""

import network_goldens as g
import pytest
from fdif_jax.models import PRESETS, create_model, model_config
from fdif_jax.models.registry import config_from, count_parameters, family_of, training_bytes
from fdif_jax.models.resenc_plan import plan_stages, resenc_config_from_plans
from fdif_jax.models.vnet import VNetConfig
from flax import nnx
from nnunet_plans import plans

from fdif_jax.cli.models import MEMORY, PARAMETERS, model_records
from fdif_jax.errors import InputError


@pytest.mark.parametrize(
    ("name", "classes", "count"),
    [
        ("vnet", 14, 45_646_126),
        ("vnet", 110, 46_042_318),
        ("vnet", 3, 45_601_906),
        ("unetr", 14, 92_784_046),
        ("unetr", 110, 92_785_678),
        ("swin_unetr", 14, 62_187_296),
        ("swin_unetr", 110, 62_192_000),
        ("resenc_l", 14, 102_359_430),
        ("resenc_l", 110, 102_436_710),
        ("resenc_l", 3, 102_350_575),
        pytest.param("primus_m", 14, 147_661_030, marks=pytest.mark.slow),
        pytest.param("primus_m", 110, 151_141_238, marks=pytest.mark.slow),
    ],
)
def test_parameter_counts_at_the_papers_sizes(name, classes, count):
    assert count_parameters(model_config(name, out_channels=classes)) == count


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"image_size": (128, 128, 128)}, 149_706_982),
        ({"image_size": (160, 160, 160)}, 153_080_038),
    ],
)
def test_primus_counts_follow_the_patch(options, count):
    assert count_parameters(model_config("primus_m", **options)) == count


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: g.vnet(3), "must divide 16"),
        (lambda: g.unetr((40, 32, 32)), "multiples of 16"),
        (lambda: g.unetr(heads=5), "multiple of heads"),
        (lambda: g.swin(feature_size=20), "multiple of 12"),
        (lambda: g.swin(merging="old"), "unknown merging 'old'"),
        (lambda: g.primus(heads=5), "multiple of 6"),
        (lambda: create_model("unet", rngs=nnx.Rngs(0)), "did you mean 'unetr'"),
        (lambda: model_config("vnet", widht=8), "did you mean 'width'"),
        (lambda: model_config("vnet", dtype="float16"), "float32 or bfloat16"),
        (lambda: model_config("vnet", out_channels=0), "at least 1"),
        (lambda: model_config("vnet", out_channels={}), "at least one task"),
        (lambda: model_config("vnet", out_channels={"shape": 0}), "at least one channel"),
        (lambda: g.unetr(depth=9), "depth of at least 10"),
        (lambda: g.resenc(features=(8, 16, 32)), "for each stage"),
        (lambda: config_from("vnett", {}), "did you mean 'vnet'"),
        (lambda: config_from("vnet", {"widht": 4}), "did you mean 'width'"),
        (lambda: model_config("vnet", plans={}), "describe a ResEnc"),
        (lambda: create_model("swin_unetr", image_size=(96, 96, 90), rngs=nnx.Rngs(0)), "96x96x96"),
    ],
)
def test_wrong_options_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("patch", "spacing", "strides", "first_kernel"),
    [
        ((160, 192, 160), (1, 1, 1), [(2, 2, 2)] * 5, (3, 3, 3)),
        ((192, 192, 192), (1.5, 1.5, 1.5), [(2, 2, 2)] * 5, (3, 3, 3)),
        ((80, 256, 256), (3, 0.76, 0.76), [(1, 2, 2), *[(2, 2, 2)] * 4, (1, 2, 2)], (1, 3, 3)),
        ((96, 224, 224), (2, 0.71, 0.71), [(1, 2, 2), *[(2, 2, 2)] * 4], (1, 3, 3)),
        ((96, 96, 96), (1, 1, 1), [(2, 2, 2)] * 4, (3, 3, 3)),
    ],
)
def test_stages_as_nnunet_plans_them(patch, spacing, strides, first_kernel):
    kernels, found = plan_stages(patch, spacing)
    assert found == ((1, 1, 1), *strides)
    assert kernels[0] == first_kernel


def test_resenc_from_a_plans_file():
    config = model_config("resenc_l", plans=plans(), out_channels=14)
    assert count_parameters(config) == 141_411_028
    assert resenc_config_from_plans(plans(), "3d_cascade") == resenc_config_from_plans(plans())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"norm_op": "torch.nn.BatchNorm3d"}, "norm_op"),
        ({"dropout_op": "torch.nn.Dropout3d"}, "dropout_op"),
        ({"conv_op": "torch.nn.Conv2d"}, "only Conv3d"),
        ({"conv_bias": False}, "conv_bias"),
    ],
)
def test_plans_that_cannot_be_built_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        resenc_config_from_plans(plans(**change))


def test_plans_without_the_configuration_are_refused():
    with pytest.raises(InputError, match="there are: 3d_fullres"):
        resenc_config_from_plans(plans(), "3d_lowres")


def test_presets_are_named_once():
    names = [p.name for p in PRESETS]
    assert len(set(names)) == len(names)
    assert all(family_of(p.config) == p.family for p in PRESETS)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda p: p.name)
def test_presets_have_their_patch(preset):
    config = model_config(preset.name)
    if preset.family == "resenc":  # the patch shows in the number of stages
        assert (config.kernels, config.strides) == plan_stages(preset.image_size)
    else:
        assert getattr(config, "image_size", preset.image_size) == preset.image_size


def test_a_network_is_made_by_name_in_training_mode():
    options = {"width": 4, "in_channels": 2, "out_channels": {"shape": 3, "mapper": 2}}
    model = create_model("vnet", image_size=(32, 32, 32), rngs=nnx.Rngs(0), **options)
    assert model.config == VNetConfig(2, (("shape", 3), ("mapper", 2)), 4)
    assert not model.downs[3].dropout.deterministic
    other = create_model("vnet", rngs=nnx.Rngs(1), **options)
    assert not g.same_weights(model, other)
    assert g.same_weights(model, create_model("vnet", rngs=nnx.Rngs(0), **options))


@pytest.mark.slow
def test_the_memory_of_a_step_is_weights_and_an_equal_share_for_each_sample():
    """Four float32 numbers for each parameter, and what one volume keeps times the batch."""
    size = (16, 16, 24)
    config = g.primus(image_size=size).config
    one, two, three = (training_bytes(config, size, batch=n) for n in (1, 2, 3))
    share = two - one
    assert three - two == share
    # At least the output of each of 3 blocks is kept: 12 tokens, 144 wide, float32.
    assert share > 3 * 12 * 144 * 4
    assert one - share == pytest.approx(16 * count_parameters(config), rel=0.05)


def test_listed_numbers_cover_every_preset():
    assert [record["name"] for record in model_records()] == [p.name for p in PRESETS]
    assert PARAMETERS.keys() == MEMORY.keys() == {p.name for p in PRESETS}


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS, ids=lambda p: p.name)
def test_listed_numbers_are_the_computed_ones(preset):
    assert count_parameters(model_config(preset.name)) == PARAMETERS[preset.name]
    patched = preset.family == "resenc" or hasattr(preset.config, "image_size")
    options = {"image_size": (96, 96, 96)} if patched else {}
    for remat, listed in zip((False, True), MEMORY[preset.name], strict=True):
        config = model_config(preset.name, remat=remat, **options)
        assert training_bytes(config, (96, 96, 96)) / 2**30 == pytest.approx(listed, abs=0.051)
