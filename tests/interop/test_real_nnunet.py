"""nnU-Net itself: its planner, its network, its loader, its trainer's checkpoint.

Run by ``scripts/test --reference``, in an environment with nnunetv2.
"""

import json
import os
import sys
import types

import jax
import jax.numpy as jnp
import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from fdif_jax.models import create_model
from flax import nnx

from fdif_jax.cli import cli
from fdif_jax.interop import dynamic, import_file
from fdif_jax.model_io import load_info, load_model, save_model, weights_of

pytestmark = [
    pytest.mark.reference,
    pytest.mark.filterwarnings("ignore"),  # of the originals' dependencies, not ours
]

TOLERANCE = 1e-4  # of the largest logit
CLASSES = 14
torch = pytest.importorskip("torch", reason="the reference tests need PyTorch")

# shape and millimetres per voxel of the images that nnU-Net plans for, (z, y, x); input; patch
CASES = {
    "isotropic": ((200, 240, 200), (1.0, 1.0, 1.0), (64, 64, 96)),
    "anisotropic": ((110, 512, 512), (3.0, 0.76, 0.76), (32, 128, 128)),
}


def fdif(*words):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def plan(root, monkeypatch, shape, spacing):
    """plans.json of nnU-Net's ResEnc-L planner, for a data set of that shape and spacing."""
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(root / name))
    planners = pytest.importorskip(
        "nnunetv2.experiment_planning.experiment_planners.residual_unets"
        ".residual_encoder_unet_planners"
    )
    raw, ready = (root / name / "Dataset123_Test" for name in ("raw", "preprocessed"))
    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir(parents=True)
        name = "case_0000.nii.gz" if folder == "imagesTr" else "case.nii.gz"
        image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4))
        nibabel.save(image, raw / folder / name)
    ready.mkdir(parents=True)
    labels = {"background": 0} | {f"class {i}": i for i in range(1, CLASSES)}
    description = {
        "channel_names": {"0": "synthetic"},
        "labels": labels,
        "numTraining": 1,
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(description))
    statistics = dict.fromkeys(
        ("max", "mean", "median", "min", "percentile_00_5", "percentile_99_5", "std"), 1.0
    )
    fingerprint = {
        "foreground_intensity_properties_per_channel": {"0": statistics},
        "median_relative_size_after_cropping": 1.0,
        "shapes_after_crop": [shape] * 30,
        "spacings": [spacing] * 30,
    }
    (ready / "dataset_fingerprint.json").write_text(json.dumps(fingerprint))
    planners.nnUNetPlannerResEncL("Dataset123_Test").plan_experiment()
    return ready / "nnUNetResEncUNetLPlans.json"


def network_of(plans, classes):
    """As nnU-Net builds it."""
    build = pytest.importorskip("nnunetv2.utilities.get_network_from_plans")
    architecture = plans["configurations"]["3d_fullres"]["architecture"]
    return build.get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        1,
        classes,
        deep_supervision=True,
    ).eval()


def randomized(model):
    """Every weight away from its initial value: blocks start with zero scales."""
    rng = np.random.default_rng(0)
    for _, variable in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        noise = rng.standard_normal(variable.shape, np.float32)
        spread = 0.02 if variable[...].ndim < 2 else 0.3 * float(variable[...].std() + 1e-3)
        variable.set_value(variable[...] + spread * noise)
    return model


@pytest.mark.parametrize("case", CASES)
def test_resenc_goes_to_nnunet_and_back(case, tmp_path, monkeypatch):
    shape, spacing, size = CASES[case]
    file = plan(tmp_path / "nnunet", monkeypatch, shape, spacing)
    plans = json.loads(file.read_text())
    patch = tuple(plans["configurations"]["3d_fullres"]["patch_size"])
    ours = randomized(create_model("resenc_l", plans=plans, out_channels=CLASSES, rngs=nnx.Rngs(0)))
    ours.eval()
    strides = ours.config.strides
    assert (len(strides), strides[1]) == ((6, (2, 2, 2)) if case == "isotropic" else (7, (1, 2, 2)))
    ours.check_size(patch)
    save_model(tmp_path / "model", ours)
    weights = tmp_path / "weights.pth"
    fdif("export", "--model", tmp_path / "model", "--to", "nnunet", "--out", weights)

    loader = pytest.importorskip("nnunetv2.run.load_pretrained_weights")
    theirs = network_of(plans, CLASSES)
    loader.load_pretrained_weights(theirs, str(weights), verbose=False)
    tensors = torch.load(weights, weights_only=True)["network_weights"]
    assert tensors.keys() == theirs.state_dict().keys()
    for key, value in theirs.state_dict().items():
        assert torch.equal(value, tensors[key]) or ".seg_layers." in key, key
    # Another task takes all but the heads too: way A of a fine-tuning.
    loader.load_pretrained_weights(network_of(plans, 3), str(weights))

    aliases_share(tensors, weights)
    same_logits(case, ours, theirs, tensors, size)
    trainer_checkpoint_comes_back(ours, plans, tensors, patch, tmp_path)
    jax.clear_caches()


def aliases_share(tensors, weights):
    """Each tensor is in the file once, whatever its names."""
    storages = {t.untyped_storage().data_ptr() for t in tensors.values()}
    canonical = {dynamic.canonical(key) for key in tensors}
    assert len(storages) == len(canonical) < len(tensors)
    for key, value in tensors.items():
        assert value.data_ptr() == tensors[dynamic.canonical(key)].data_ptr(), key
    plain = weights.with_name("plain.pth")
    torch.save({key: tensors[key] for key in canonical}, plain)
    grown = os.path.getsize(weights) / os.path.getsize(plain) - 1  # noqa: PTH202
    print(  # noqa: T201
        f"{len(tensors)} names, {len(storages)} tensors, file {grown:+.2%} for the aliases"
    )
    assert grown < 0.07


def same_logits(case, ours, theirs, tensors, size):
    """Of every decoder level, with the heads of the file too."""
    theirs.load_state_dict(tensors, strict=True)
    x = np.random.default_rng(0).random((1, 1, *size), np.float32)
    with torch.no_grad():
        wanted = [np.moveaxis(y.numpy(), 1, -1) for y in theirs(torch.from_numpy(x))]
    run = nnx.jit(lambda m, x: m(x, deep_supervision=True))
    found = run(ours, jnp.moveaxis(jnp.asarray(x), 1, -1))
    assert len(found) == len(wanted)
    for level, (y, w) in enumerate(zip(found, wanted, strict=True)):
        error, largest = np.abs(np.asarray(y) - w).max(), np.abs(w).max()
        print(f"{case} level {level}: |Δ| {error:.2e}, max|y| {largest:.2f}, {error / largest:.1e}")  # noqa: T201
        assert error <= TOLERANCE * largest


def trainer_checkpoint_comes_back(ours, plans, tensors, patch, root):
    """A checkpoint of nnU-Net's trainer (optimizer, log, plans) is a network of ours again."""
    trainers = pytest.importorskip("nnunetv2.training.nnUNetTrainer.nnUNetTrainer")
    description = json.loads(next(root.rglob("raw/*/dataset.json")).read_text())
    identifier = plans["configurations"]["3d_fullres"]["data_identifier"]
    ready = root / "nnunet/preprocessed/Dataset123_Test" / identifier
    ready.mkdir()
    (ready / "case.b2nd").touch()
    trainer = trainers.nnUNetTrainer(
        plans | {"continue_training": False},
        "3d_fullres",
        0,
        description,
        device=torch.device("cpu"),
    )
    trainer.initialize()
    trainer.network.load_state_dict(tensors)
    trainer._best_ema = np.float64(0.5)
    trainer.logger.log("mean_fg_dice", np.float64(0.25), 0)
    for parameter in trainer.network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    trainer.optimizer.step()  # gives it a state
    trainer.network.load_state_dict(tensors)
    trainer.save_checkpoint(str(root / "checkpoint_final.pth"))

    lines = fdif("inspect", root / "checkpoint_final.pth").splitlines()
    assert "place: network_weights; beside: optimizer_state, " in "\n".join(lines)
    assert lines[-1].startswith("complete")
    fdif("import", root / "checkpoint_final.pth", "--from", "nnunet", "--out_dir", root / "back")
    back = load_model(root / "back")
    assert load_info(root / "back").patch == patch
    assert back.config == ours.config
    found, wanted = weights_of(back), weights_of(ours)
    assert all((found[name] == wanted[name]).all() for name in wanted)
    # The same with the plans said, and with the plans of another network refused.
    file = next(root.rglob("preprocessed/*/nnUNetResEncUNetLPlans.json"))
    assert import_file(root / "checkpoint_final.pth", plans=plans)[0].config == ours.config
    other = json.loads(file.read_text())
    kwargs = other["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]
    kwargs["features_per_stage"][0] = 16
    file.write_text(json.dumps(other))
    words = ["import", root / "checkpoint_final.pth", "--plans", file, "--out_dir", root / "no"]
    refused = CliRunner().invoke(cli, [str(word) for word in words])
    assert refused.exit_code == 2
    assert "encoder.stem.convs.0.conv.weight is (32, 1, " in refused.output
    assert not (root / "no").exists()


def test_primus_goes_to_nnunets_trainer(tmp_path, monkeypatch):
    pretend_torchvision_loads(monkeypatch)
    trainers = pytest.importorskip("nnunetv2.training.nnUNetTrainer.primus.primus_trainers")
    loader = pytest.importorskip("nnunetv2.run.load_pretrained_weights")
    patch = (64, 96, 64)  # no cube
    configuration = types.SimpleNamespace(patch_size=patch)
    build = trainers.nnUNet_Primus_M_Trainer.build_network_architecture
    theirs = build(None, configuration, 1, CLASSES, False).eval()
    ours = randomized(
        create_model("primus_m", image_size=patch, out_channels=CLASSES, rngs=nnx.Rngs(0))
    )
    ours.eval()
    save_model(tmp_path / "model", ours)
    fdif("export", "--model", tmp_path / "model", "--to", "nnunet", "--out", tmp_path / "w.pth")
    loader.load_pretrained_weights(theirs, str(tmp_path / "w.pth"))
    x = np.random.default_rng(0).random((1, 1, *patch), np.float32)
    with torch.no_grad():
        wanted = np.moveaxis(theirs(torch.from_numpy(x)).numpy(), 1, -1)
    found = np.asarray(nnx.jit(lambda m, x: m(x))(ours, jnp.moveaxis(jnp.asarray(x), 1, -1)))
    error, largest = np.abs(found - wanted).max(), np.abs(wanted).max()
    print(f"primus_m: |Δ| {error:.2e}, max|y| {largest:.2f}, {error / largest:.1e}")  # noqa: T201
    assert error <= TOLERANCE * largest


@pytest.mark.parametrize("name", ["resenc_l", "primus_s", "primus_m"])
def test_adaptation_plan_points_at_what_the_network_says(name, tmp_path, monkeypatch):
    """The encoder and the stem load, strictly, at the places that the network itself names."""
    pretend_torchvision_loads(monkeypatch)
    patch = (160, 160, 160) if name == "resenc_l" else (64, 64, 96)
    # nnssl's heads differ from the target's: an encoder alone must be enough.
    ours = create_model(name, out_channels=1, image_size=patch, rngs=nnx.Rngs(0))
    save_model(tmp_path / "model", ours)
    words = ["--to", "ssl3d", "--out", tmp_path / "w.pth", "--grid_size", *patch]
    fdif("export", "--model", tmp_path / "model", *words)
    content = torch.load(tmp_path / "w.pth", weights_only=True)
    given, tensors = content["nnssl_adaptation_plan"], content["network_weights"]
    trained = given["pretrain_plan"]["configurations"]["onemmiso"]
    assert trained == {"spacing": [1.0, 1.0, 1.0], "patch_size": list(patch)}
    assert given["recommended_downstream_patchsize"] == list(patch)
    assert given["pretrain_num_input_channels"] == 1

    theirs = target_of(name, given["architecture_plans"]["arch_class_name"], patch)
    assert given["key_to_encoder"] == theirs.key_to_encoder
    assert given["key_to_stem"] == theirs.key_to_stem
    assert list(given["keys_to_in_proj"]) == list(theirs.keys_to_in_proj)
    assert given["key_to_lpe"] == theirs.key_to_lpe
    assert given["key_to_stem"] not in tensors  # else the stem is taken for a part of the encoder
    for part in (given["key_to_encoder"], given["key_to_stem"]):
        own = {
            key.removeprefix(f"{part}."): value
            for key, value in tensors.items()
            if key.startswith(part)
        }
        theirs.get_submodule(part).load_state_dict(own, strict=True)
        for key, value in theirs.get_submodule(part).state_dict().items():
            assert torch.equal(value, own[key]), key
    stem = tensors[f"{given['keys_to_in_proj'][0]}.weight"]
    for key in given["keys_to_in_proj"]:
        assert tensors[f"{key}.weight"].data_ptr() == stem.data_ptr()
    # And back: the patch, no cube for Primus, is in the plan.
    fdif("import", tmp_path / "w.pth", "--from", "ssl3d", "--out_dir", tmp_path / "back")
    assert load_info(tmp_path / "back").patch == patch
    found, wanted = weights_of(load_model(tmp_path / "back")), weights_of(ours)
    assert all((found[key] == wanted[key]).all() for key in wanted)


def target_of(name, class_name, patch):
    """The network that SSL3D builds for the class, with another head than the file's."""
    if name == "resenc_l":
        assert class_name == "ResEncL"
        unet = pytest.importorskip("dynamic_network_architectures.architectures.unet")
        return unet.ResidualEncoderUNet(
            input_channels=1,
            n_stages=6,
            features_per_stage=(32, 64, 128, 256, 320, 320),
            conv_op=torch.nn.Conv3d,
            kernel_sizes=3,
            strides=(1, 2, 2, 2, 2, 2),
            n_blocks_per_stage=(1, 3, 4, 6, 6, 6),
            num_classes=CLASSES,
            n_conv_per_stage_decoder=1,
            conv_bias=True,
            norm_op=torch.nn.InstanceNorm3d,
            norm_op_kwargs={"eps": 1e-5, "affine": True},
            nonlin=torch.nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
        )
    primus = pytest.importorskip("dynamic_network_architectures.architectures.primus")
    size = name[-1].upper()
    assert class_name == f"Primus{size}"
    build = getattr(primus, f"Primus{size}")
    return build(1, CLASSES, (8, 8, 8), input_shape=patch)


def pretend_torchvision_loads(monkeypatch):
    """timm imports torchvision, of which nothing is used here; beside a CPU PyTorch it fails."""
    name = "torchvision._meta_registrations"
    if name not in sys.modules:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
