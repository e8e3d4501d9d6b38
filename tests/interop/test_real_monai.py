"""MONAI itself takes the files of ``fdif export``, and ``fdif import`` takes MONAI's.

Run by ``scripts/test --reference``, in an environment with MONAI and safetensors.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command_line import done
from fdif_jax.models import create_model
from flax import nnx

from fdif_jax.interop import read_tensors, to_state_dict
from fdif_jax.model_io import load_info, load_model, save_model

pytestmark = [
    pytest.mark.reference,
    pytest.mark.filterwarnings("ignore"),  # of the originals' dependencies, not ours
]

TOLERANCE = 1e-4  # of the largest logit
SIZE = (64, 64, 64)
torch = pytest.importorskip("torch", reason="the reference tests need PyTorch")


def original(name, classes=14, **options):
    nets = pytest.importorskip("monai.networks.nets")
    if name == "vnet":
        return nets.VNet(spatial_dims=3, in_channels=1, out_channels=classes).eval()
    if name == "unetr":
        return nets.UNETR(in_channels=1, out_channels=classes, img_size=SIZE).eval()
    options = {"feature_size": 24} | options
    return nets.SwinUNETR(in_channels=1, out_channels=classes, **options).eval()


def network(name, **options):
    if name == "swin_unetr":
        options = {"feature_size": 24} | options
    return create_model(name, out_channels=14, image_size=SIZE, rngs=nnx.Rngs(5), **options)


def compare(name, ours, theirs):
    x = np.random.default_rng(0).random((1, 1, *SIZE), np.float32)
    with torch.no_grad():
        wanted = np.moveaxis(theirs(torch.from_numpy(x)).numpy(), 1, -1)
    y = np.asarray(nnx.jit(lambda m, x: m(x))(ours, jnp.moveaxis(jnp.asarray(x), 1, -1)))
    error, largest = np.abs(y - wanted).max(), np.abs(wanted).max()
    print(f"{name}: |Δ| {error:.2e}, max|y| {largest:.2f}, {error / largest:.1e}")  # noqa: T201
    assert error <= TOLERANCE * largest
    jax.clear_caches()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", ["vnet", "unetr", "swin_unetr"])
def test_exported_files_load_strictly(name, suffix, tmp_path):
    save_model(tmp_path / "model", network(name))
    file = tmp_path / f"w{suffix}"
    done("export", "--model", tmp_path / "model", "--to", "monai", "--out", file)
    if suffix == ".pth":
        tensors = torch.load(file, weights_only=True)
    else:
        tensors = pytest.importorskip("safetensors.torch").load_file(file)
    theirs = original(name)
    theirs.load_state_dict(tensors, strict=True)
    ours = load_model(tmp_path / "model")
    if suffix == ".pth":
        compare(name, ours, theirs)
    # Fine-tuning: MONAI's own way of loading all but a head of another task.
    utils = pytest.importorskip("monai.networks.utils")
    other = original(name, classes=5)
    _, changed, unchanged = utils.copy_model_state(other, tensors)
    head = ("out_tr.",) if name == "vnet" else ("out.",)
    assert unchanged
    assert all(key.startswith(head) for key in unchanged)
    assert len(changed) + len(unchanged) == len(tensors)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", ["vnet", "unetr", "swin_unetr"])
def test_files_of_monai_are_imported(name, suffix, tmp_path):
    theirs, file = original(name), tmp_path / f"w{suffix}"
    if suffix == ".pth":
        torch.save(theirs.state_dict(), file)
    else:
        pytest.importorskip("safetensors.torch").save_file(theirs.state_dict(), file)
    done("import", file, "--from", "monai", "--out_dir", tmp_path / "model")
    ours = load_model(tmp_path / "model")
    back = to_state_dict(ours)
    for key, value in theirs.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(back[key], value.numpy(), err_msg=key)
    if suffix == ".pth":
        compare(name, ours, theirs)


def test_self_supervised_weights_both_ways(tmp_path):
    """As SwinUNETR.load_from wants them, and as the published file has them: with other heads."""
    ours = network("swin_unetr")
    save_model(tmp_path / "model", ours)
    file = tmp_path / "ssl.pth"
    done("export", "--model", tmp_path / "model", "--to", "monai-swinvit", "--out", file)
    content = torch.load(file, weights_only=True)
    theirs = original("swin_unetr")
    theirs.load_from(content)
    wanted = to_state_dict(ours)
    for key, value in theirs.state_dict().items():
        if key.startswith("swinViT."):
            np.testing.assert_array_equal(value.numpy(), wanted[key], err_msg=key)
    for head in ("rotation_head", "contrastive_head", "convTrans3d"):
        content["state_dict"][f"module.{head}.weight"] = torch.zeros(3)
    content["epoch"] = 9
    torch.save(content, file)
    text = done("inspect", file)
    assert "network: swin_unetr" in text
    assert "passed over: 3 tensors, module.rotation_head.weight" in text
    text = done("import", file, "--out_dir", tmp_path / "back", "--merging", "legacy")
    assert "started afresh: decoder" in text
    back = load_model(tmp_path / "back")
    assert back.config.merging == "legacy"
    assert all(key.startswith(("encoder", "decoder", "out.")) for key in fresh(tmp_path / "back"))
    for key, value in to_state_dict(back).items():
        if key.startswith("swinViT."):
            np.testing.assert_array_equal(value, wanted[key], err_msg=key)


def fresh(folder):
    return load_info(folder).provenance["fresh"]


def test_our_safetensors_is_read_by_the_formats_own_reader(tmp_path):
    reader = pytest.importorskip("safetensors.numpy")
    save_model(tmp_path / "model", network("vnet"))
    file = tmp_path / "w.safetensors"
    done("export", "--model", tmp_path / "model", "--to", "safetensors", "--out", file)
    ours, theirs = read_tensors(file), reader.load_file(file)
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert ours[key].dtype == value.dtype
        np.testing.assert_array_equal(ours[key], value)
