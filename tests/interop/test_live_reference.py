"""The same weights in the original PyTorch network and in ours, at the paper's sizes.

Run by ``scripts/test --reference``, in an environment with PyTorch (CPU), MONAI and
dynamic-network-architectures (with timm < 1.0.23).
"""

import gc
import math
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fdif_jax.models import create_model
from flax import nnx

from fdif_jax.interop import export_file, formats, import_file, load_state_dict, to_state_dict

pytestmark = [
    pytest.mark.reference,
    pytest.mark.filterwarnings("ignore"),  # of the originals' dependencies, not ours
]

TOLERANCE = 1e-4  # of the largest logit
torch = pytest.importorskip("torch", reason="the reference tests need PyTorch")


def monai_network(name, classes, size):
    nets = pytest.importorskip("monai.networks.nets")
    if name == "vnet":
        return nets.VNet(spatial_dims=3, in_channels=1, out_channels=classes)
    if name == "unetr":
        return nets.UNETR(in_channels=1, out_channels=classes, img_size=size)
    return nets.SwinUNETR(in_channels=1, out_channels=classes, feature_size=48)


def dynamic_network(name, classes, size):
    if name == "resenc_l":
        unet = pytest.importorskip("dynamic_network_architectures.architectures.unet")
        return unet.ResidualEncoderUNet(
            input_channels=1,
            n_stages=6,
            features_per_stage=(32, 64, 128, 256, 320, 320),
            conv_op=torch.nn.Conv3d,
            kernel_sizes=3,
            strides=(1, 2, 2, 2, 2, 2),
            n_blocks_per_stage=(1, 3, 4, 6, 6, 6),
            num_classes=classes,
            n_conv_per_stage_decoder=1,
            conv_bias=True,
            norm_op=torch.nn.InstanceNorm3d,
            norm_op_kwargs={"eps": 1e-5, "affine": True},
            nonlin=torch.nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
            deep_supervision=False,
        )
    pretend_torchvision_loads()
    primus = pytest.importorskip("dynamic_network_architectures.architectures.primus")
    return primus.Primus(
        1,
        864,
        (8, 8, 8),
        classes,
        eva_depth=16,
        eva_numheads=12,
        input_shape=size,
        drop_path_rate=0.2,
        scale_attn_inner=True,
        init_values=0.1,
    )


def pretend_torchvision_loads():
    """timm imports torchvision, of which nothing is used here.

    The package index has it for CUDA: beside a CPU PyTorch its operators do not load, and the
    module that describes them fails to import.
    """
    name = "torchvision._meta_registrations"
    sys.modules.setdefault(name, types.ModuleType(name))


def randomized(network):
    """Every float, running statistics too, away from its initial value."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            if not tensor.is_floating_point() or key.endswith("running_var"):
                continue
            spread = 0.02 if tensor.ndim < 2 else 0.3 * float(tensor.std() + 1e-3)
            tensor.add_(spread * torch.randn(tensor.shape, generator=generator))
    return network.eval()


def arrays(network):
    return {k: v.detach().numpy() for k, v in network.state_dict().items()}


CASES = [
    pytest.param("vnet", monai_network, (96, 96, 96), 45_646_126, id="vnet"),
    pytest.param("unetr", monai_network, (96, 96, 96), 92_784_046, id="unetr"),
    pytest.param("swin_unetr", monai_network, (96, 96, 96), 62_187_296, id="swin_unetr"),
    pytest.param("resenc_l", dynamic_network, (64, 64, 96), 102_359_430, id="resenc_l"),
    pytest.param("primus_m", dynamic_network, (96, 96, 96), 147_661_030, id="primus_m"),
]


@pytest.mark.parametrize(("name", "original", "size", "parameters"), CASES)
def test_same_logits_and_both_directions(name, original, size, parameters, tmp_path):
    theirs = randomized(original(name, 14, size))
    # ResEnc's stages follow from its patch; this one has the six of its planned patches.
    options = {"image_size": size} if name != "resenc_l" else {}
    ours = create_model(name, out_channels=14, rngs=nnx.Rngs(0), **options)
    found = sum(p.size for p in jax.tree.leaves(nnx.state(ours, nnx.Param)))
    assert found == parameters
    load_state_dict(ours, arrays(theirs))
    ours.eval()

    back = to_state_dict(ours)
    if name == "resenc_l":
        back, _ = formats.with_aliases(back)
        assert len(back) == len(theirs.state_dict()) == 956
    assert back.keys() == theirs.state_dict().keys()
    skipped = ("norm_cross_attn", "num_batches_tracked", "mask_token")
    for key, value in arrays(theirs).items():
        if not any(s in key for s in skipped):
            np.testing.assert_array_equal(back[key], value, err_msg=key)

    x = np.random.default_rng(0).random((1, 1, *size), np.float32)
    with torch.no_grad():
        wanted = np.moveaxis(theirs(torch.from_numpy(x)).numpy(), 1, -1)
    with jax.default_matmul_precision("highest"):
        y = np.asarray(nnx.jit(lambda m, x: m(x))(ours, jnp.moveaxis(jnp.asarray(x), 1, -1)))
    largest = np.abs(wanted).max()
    error = np.abs(y - wanted).max()
    print(f"{name}: |Δ| {error:.2e}, max|y| {largest:.2f}, ratio {error / largest:.1e}")  # noqa: T201
    assert math.isfinite(largest)
    assert error <= TOLERANCE * largest

    path = tmp_path / "weights.pth"
    export_file(ours, path, to="nnunet" if original is dynamic_network else "monai")
    content = torch.load(path, weights_only=True)
    tensors = content.get("network_weights", content)
    original(name, 14, size).load_state_dict(tensors, strict=True)
    if name == "resenc_l":  # aliases share their storage, so the file holds each tensor once
        storages = {t.untyped_storage().data_ptr() for t in tensors.values()}
        assert len(storages) == 264
    loaded, _ = import_file(path, image_size=size)
    assert type(loaded) is type(ours)
    del theirs, ours, loaded
    jax.clear_caches()
    gc.collect()


def test_self_supervised_file_loads_into_monai(tmp_path):
    nets = pytest.importorskip("monai.networks.nets")
    ours = create_model("swin_unetr", feature_size=12, rngs=nnx.Rngs(3))
    path = tmp_path / "ssl.pth"
    export_file(ours, path, to="monai-swinvit")
    theirs = nets.SwinUNETR(in_channels=1, out_channels=14, feature_size=12)
    theirs.load_from(torch.load(path, weights_only=True))
    wanted = to_state_dict(ours)
    loaded = arrays(theirs)
    for key in loaded:
        if key.startswith("swinViT.") and "index" not in key:
            np.testing.assert_array_equal(loaded[key], wanted[key], err_msg=key)
    model, missing = import_file(path)
    assert missing
    assert all(not key.startswith("swinViT.") for key in missing)
    np.testing.assert_array_equal(
        to_state_dict(model)["swinViT.layers4.0.blocks.1.mlp.linear2.weight"],
        wanted["swinViT.layers4.0.blocks.1.mlp.linear2.weight"],
    )


class Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    from fdif_jax.errors import InputError
    from fdif_jax.interop import read_tensors

    marker, path = tmp_path / "ran", tmp_path / "evil.pth"
    torch.save({"state_dict": Runs(str(marker))}, path)
    with pytest.raises(InputError, match="asks to run code"):
        read_tensors(path)
    assert not marker.exists()
    torch.save({"x": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match="truncated"):
        read_tensors(path)
