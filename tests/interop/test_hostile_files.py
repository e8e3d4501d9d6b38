"""Files, folders and options that ``fdif import``, ``inspect`` and ``export`` must refuse."""

import json
import math
import shutil
import struct
import types
import zipfile

import ml_dtypes
import numpy as np
import pytest
from command_line import done, fdif, refused
from flax import nnx
from small_networks import BUILDERS, primus, resenc, same_weights, swin, vnet

from fdif_jax.errors import InputError
from fdif_jax.interop import (
    export_file,
    formats,
    import_file,
    load_pretrained,
    load_state_dict,
    read_network,
    to_state_dict,
    write_safetensors,
)
from fdif_jax.model_io import load_info, load_model, save_model


@pytest.fixture(scope="module")
def networks():
    return {name: build() for name, build in BUILDERS.items()}


@pytest.fixture
def tensors(networks):
    return to_state_dict(networks["resenc"])


def header_only(path, header):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 8)


def write_nothing(path):
    path.touch()


def write_text(path):
    path.write_text("weights")


def write_folder(path):
    path.mkdir()


def write_zip(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(10**6))


def write_truncated(path):
    write_safetensors(path, to_state_dict(vnet()))
    path.write_bytes(path.read_bytes()[:-100])


def write_deep_json(path):
    text = b"[" * 100_000
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def write_huge_claim(path):
    header_only(path, {"x": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}})


def write_long_number(path):
    path.write_bytes(struct.pack("<Q", 6000) + b'{"x": ' + b"9" * 5993 + b"}")


def write_strange_numbers(path):
    header_only(path, {"x": {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]}})


def write_other_tensors(path):
    write_safetensors(path, {"layer.weight": np.ones((2, 2), np.float32)})


FILES = [
    (write_nothing, "it is empty"),
    (write_text, "truncated, or not a safetensors file"),
    (write_folder, "is a folder; name a weight file"),
    (write_zip, "truncated, or not"),
    (write_truncated, "truncated, or not"),
    (write_deep_json, "truncated, or not"),
    (write_huge_claim, "truncated, or not"),
    (write_long_number, "truncated, or not"),
    (write_strange_numbers, "x is F8_E4M3; weights are read as F64, F32"),
    (write_other_tensors, "for none of vnet, unetr, swin_unetr, resenc, primus", "layer.weight"),
]


@pytest.mark.parametrize("case", FILES, ids=lambda case: case[0].__name__)
def test_import_refuses_the_file(tmp_path, case):
    write, *says = case
    path, out = tmp_path / "w.safetensors", tmp_path / "model"
    write(path)
    refused("import", path, "--out_dir", out, says=[path.name, *says][1:], writes=out)
    if write not in (write_folder, write_other_tensors):
        refused("inspect", path, says=says)


def test_missing_files_and_other_suffixes(tmp_path):
    out = tmp_path / "model"
    says = ["none.pth: no such file"]
    refused("import", tmp_path / "none.pth", "--out_dir", out, says=says, writes=out)
    (tmp_path / "w.h5").touch()
    says = ["read from .safetensors, .pth"]
    refused("import", tmp_path / "w.h5", "--out_dir", out, says=says, writes=out)
    refused("inspect", tmp_path / "none", says=["no such file"])


# what a person or a broken program does to the tensors of a ResEnc, and what must be said
def drop(t):
    del t["encoder.stages.1.blocks.0.conv1.conv.bias"]


def add(t):
    t["stray.weight"] = np.zeros(3, np.float32)


def reshape(t):
    t["decoder.seg_layers.1.weight"] = t["decoder.seg_layers.1.weight"][..., 0]


def poison(t):
    t["encoder.stem.convs.0.norm.weight"] = np.full(4, np.nan, np.float32)


def overflow(t):
    t["encoder.stem.convs.0.norm.bias"] = np.full(4, 1e300)


def quantize(t):
    t["encoder.stem.convs.0.conv.bias"] = np.zeros(4, np.int8)


def contradict(t):
    t["decoder.encoder.stem.convs.0.conv.bias"] = np.full(4, 7, np.float32)


def flatten(t):
    t["encoder.stem.convs.0.conv.weight"] = t["encoder.stem.convs.0.conv.weight"].ravel()


def empty(t):
    t["decoder.seg_layers.1.bias"] = np.zeros(0, np.float32)


def behead_stages(t):
    for key in [key for key in t if key.startswith("encoder.stages.")]:
        del t[key]


def half_a_decoder(t):
    del t["decoder.transpconvs.0.weight"]


def twice(t):
    found = dict(t)
    t.clear()
    t |= {f"a.{k}": v for k, v in found.items()} | {f"b.{k}": v for k, v in found.items()}


TENSORS = [
    (drop, "missing encoder.stages.1.blocks.0.conv1.conv.bias (8,)"),
    (add, "unexpected stray.weight"),
    (reshape, "decoder.seg_layers.1.weight is (3, 4, 1, 1), wanted (3, 4, 1, 1, 1)"),
    (poison, "encoder.stem.convs.0.norm.weight holds NaN or infinite values"),
    (overflow, "encoder.stem.convs.0.norm.bias holds NaN or infinite values"),
    (quantize, "encoder.stem.convs.0.conv.bias holds int8, wanted floating-point numbers"),
    (contradict, "are two names of one tensor, but differ"),
    (flatten, "encoder.stem.convs.0.conv.weight has shape (36,); 5 axes"),
    (empty, "decoder.seg_layers.1.bias has shape (0,)"),
    (behead_stages, "a ResEnc needs features, kernels, strides and blocks"),
    (half_a_decoder, "decoder.transpconvs.0.weight is missing"),
    (twice, "holds the network under 'a.' and 'b.'"),
]


@pytest.mark.parametrize("case", TENSORS, ids=lambda case: case[0].__name__)
def test_import_refuses_the_tensors(tmp_path, tensors, case):
    change, *says = case
    change(tensors)
    path, out = tmp_path / "w.safetensors", tmp_path / "model"
    write_safetensors(path, tensors)
    refused("import", path, "--out_dir", out, says=says, writes=out)
    assert any(part in done("inspect", path) for part in says)  # it shows, and does not fail


def test_all_that_is_wrong_stands_in_one_message(tmp_path, tensors):
    for change in (drop, add, reshape, poison, quantize):
        change(tensors)
    write_safetensors(tmp_path / "w.safetensors", tensors)
    words = ["import", tmp_path / "w.safetensors", "--out_dir", tmp_path / "model"]
    line = refused(*words, says=["(5 mismatches)", "`fdif inspect FILE` shows"])
    assert all(case[1] in line for case in TENSORS if case[0] in (drop, add, reshape, poison))


def test_a_small_file_cannot_ask_for_a_large_network(tmp_path, networks):
    """Its first tensor says 2**12 channels; nothing of that size is built before it is refused."""
    tensors = to_state_dict(networks["vnet"])
    tensors["in_tr.conv_block.conv.weight"] = np.zeros((2**12, 1, 1, 1, 1), np.float32)
    write_safetensors(tmp_path / "w.safetensors", tensors)
    out = tmp_path / "model"
    words = ["import", tmp_path / "w.safetensors", "--out_dir", out]
    refused(*words, says=["does not fit"], writes=out)


WRAPPERS = ["module.", "_orig_mod.", "module._orig_mod.", "net.model."]


def wrapped_networks():
    """Every wrapper around every network; in the fast tier each of them once at least."""
    for wrapper in WRAPPERS:
        for name in BUILDERS:
            seen = name == "resenc" or wrapper == "module._orig_mod."
            marks = () if seen else pytest.mark.slow
            yield pytest.param(wrapper, name, marks=marks, id=f"{wrapper}-{name}")


@pytest.mark.parametrize(("wrapper", "name"), list(wrapped_networks()))
def test_wrappers_come_off(wrapper, name, networks, tmp_path):
    model = networks[name]
    size = getattr(model.config, "image_size", None)
    tensors = to_state_dict(model)
    if name == "resenc":
        tensors, _ = formats.with_aliases(tensors)
    tensors = {wrapper + key: value for key, value in tensors.items()}
    write_safetensors(tmp_path / "w.safetensors", tensors)
    heads = getattr(model.config, "heads", None) if name in ("unetr", "primus") else None
    loaded, _ = import_file(tmp_path / "w.safetensors", image_size=size, heads=heads)
    assert same_weights(loaded, model)


def test_what_stands_beside_the_network_is_passed_over_and_named(networks, tmp_path):
    """A teacher of self-distillation: the backbone, and heads that are none of ours."""
    tensors = {f"backbone.{k}": v for k, v in to_state_dict(networks["vnet"]).items()}
    tensors["head.mlp.weight"] = np.zeros((4, 4), np.float32)
    path = tmp_path / "w.safetensors"
    write_safetensors(path, tensors)
    assert "1 tensors passed over: head.mlp.weight" in done(
        "import", path, "--out_dir", tmp_path / "model"
    )
    assert same_weights(load_model(tmp_path / "model"), networks["vnet"])
    text = done("inspect", path)
    assert "names: without 'backbone.' before each" in text
    assert "passed over: 1 tensors, head.mlp.weight" in text


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16])
def test_other_precisions_are_read(dtype, networks, tmp_path):
    model = networks["vnet"]
    tensors = {k: v.astype(dtype) for k, v in to_state_dict(model).items() if v.dtype.kind == "f"}
    write_safetensors(tmp_path / "w.safetensors", tensors)
    loaded = to_state_dict(import_file(tmp_path / "w.safetensors")[0])
    for key, value in tensors.items():
        assert loaded[key].dtype == np.float32
        np.testing.assert_array_equal(loaded[key], value.astype(np.float32), err_msg=key)


OPTIONS = [
    ("unetr", "--merging legacy", "--merging is for swin_unetr; the file is of unetr"),
    ("swin_unetr", "--merging newest", "unknown merging 'newest'"),
    ("resenc", "--heads 4", "--heads is for unetr and primus; the file is of resenc"),
    ("unetr", "--heads 5", "hidden_size as a multiple of heads"),
    ("unetr", "--heads 0", "--heads is 0; allowed: 1 or more"),
    ("primus", "--heads 5 --grid_size 16 16 24", "must be a multiple of 6"),
    ("unetr", "--grid_size 32 32 64", "has 8 positions", "32x32x64 has 16", "--grid_size"),
    ("unetr", "--grid_size 40 32 32", "one for each 16x16x16 voxels"),
    ("unetr", "--grid_size 0 32 32", "--grid_size is 0 32 32; allowed"),
    ("vnet", "--grid_size 24 32 32", "multiples of 16", "the nearest is"),
    ("vnet", "--from nnunet", "is of vnet; --from nnunet is for resenc, primus"),
    ("resenc", "--from monai", "is of resenc; --from monai is for vnet"),
    ("vnet", "--from mona", "unknown source 'mona'; did you mean 'monai'?"),
    ("vnet", "--plans plans.json", "--plans is for resenc; the file is of vnet"),
    ("resenc", "--plans none.json", "none.json cannot be read (No such file"),
    ("resenc", "--plans text.json", "text.json is not JSON"),
    ("resenc", "--plans list.json", "list.json holds no configurations"),
    ("resenc", "--plans plans.json", "no configuration '3d_fullres'"),
    ("resenc", "--plans damaged.json", "the plans are damaged (KeyError: 'n_stages')"),
    ("resenc", "--plans plain.json", "the plans ask for a.PlainConvUNet"),
]
PLANS = {
    "text.json": "plans",
    "list.json": "[]",
    "plans.json": '{"configurations": {}}',
    "plain.json": json.dumps(
        {
            "configurations": {
                "3d_fullres": {"architecture": {"network_class_name": "a.PlainConvUNet"}}
            }
        }
    ),
    "damaged.json": json.dumps(
        {
            "configurations": {
                "3d_fullres": {
                    "architecture": {
                        "network_class_name": "a.ResidualEncoderUNet",
                        "arch_kwargs": {
                            "conv_op": "torch.nn.Conv3d",
                            "norm_op": "torch.nn.InstanceNorm3d",
                            "nonlin": "torch.nn.LeakyReLU",
                        },
                    }
                }
            }
        }
    ),
}


@pytest.mark.parametrize("case", OPTIONS, ids=lambda case: f"{case[0]} {case[1]}")
def test_options_that_do_not_go_with_the_file(case, networks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in PLANS.items():
        (tmp_path / name).write_text(text)
    name, options, *says = case
    write_safetensors(tmp_path / "w.safetensors", to_state_dict(networks[name]))
    out = tmp_path / "model"
    words = ["import", "w.safetensors", "--out_dir", out, *options.split()]
    refused(*words, says=says, writes=out)


def plans_of(config, patch):
    """A plans.json with the network of a config, as nnU-Net writes it."""
    kwargs = {
        "n_stages": len(config.features),
        "features_per_stage": config.features,
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": config.kernels,
        "strides": config.strides,
        "n_blocks_per_stage": config.blocks,
        "n_conv_per_stage_decoder": config.decoder_convs,
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "nonlin": "torch.nn.LeakyReLU",
    }
    name = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
    architecture = {"network_class_name": name, "arch_kwargs": kwargs}
    entry = {"patch_size": patch, "architecture": architecture}
    return {"configurations": {"3d_fullres": entry}}


def test_plans_give_network_and_patch(networks, tmp_path):
    model = networks["resenc"]
    plans = tmp_path / "plans.json"
    plans.write_text(json.dumps(plans_of(model.config, [8, 16, 16])))
    write_safetensors(tmp_path / "w.safetensors", to_state_dict(model))
    words = ["import", tmp_path / "w.safetensors", "--plans", plans]
    done(*words, "--out_dir", tmp_path / "model")
    assert load_model(tmp_path / "model").config == model.config
    assert load_info(tmp_path / "model").patch == (8, 16, 16)
    # An encoder alone does not say its strides: without plans they are assumed, and that is said.
    encoder = {k: v for k, v in to_state_dict(model).items() if k.startswith("encoder.")}
    write_safetensors(tmp_path / "w.safetensors", encoder)
    done(*words, "--out_dir", tmp_path / "encoder")
    assert load_model(tmp_path / "encoder").config.strides == model.config.strides
    text = done(*words[:2], "--out_dir", tmp_path / "guessed")
    assert "strides of 2 at every stage but the first" in text
    # Plans of another network: every difference, and nothing is written.
    plans.write_text(json.dumps(plans_of(resenc(features=(4, 8, 8)).config, [8, 16, 16])))
    write_safetensors(tmp_path / "w.safetensors", to_state_dict(model))
    out = tmp_path / "other"
    refused(*words, "--out_dir", out, says=["encoder.stages.2.blocks.0.conv1"], writes=out)


CUBE = "a patch of 32 voxels in every axis (--grid_size)"
ASSUMED = {
    "unetr": ("1 attention heads, 48 features each (--heads)", CUBE),
    "primus": ("1 attention heads, 72 features each (--heads)", CUBE),
    "swin_unetr": ("patches merged as in MONAI 1.5 and later (--merging legacy for 1.4)",),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n == "unetr" else n for n in ASSUMED],
)
def test_what_the_file_does_not_say_is_said(name, networks, tmp_path):
    model = networks[name] if name != "primus" else primus(image_size=(32, 32, 32))
    path = tmp_path / "w.safetensors"
    write_safetensors(path, to_state_dict(model))
    sentences = set(ASSUMED[name])
    shown = {line.removeprefix("assumed: ") for line in done("inspect", path).splitlines()}
    assert sentences <= shown
    text = done("import", path, "--out_dir", tmp_path / "model")
    start = "assumed, for the file does not say: "
    assert sentences <= {line.removeprefix(start) for line in text.splitlines()}
    assert set(load_info(tmp_path / "model").provenance["assumed"]) == sentences
    assert f"assumed: {ASSUMED[name][0]}" in done("inspect", tmp_path / "model")
    c = model.config
    given = ["--merging", "legacy"]
    if name != "swin_unetr":
        given = ["--heads", c.heads, "--grid_size", *c.image_size]
    assert "assumed" not in done("inspect", path, *given)
    assert "assumed" not in done("import", path, "--out_dir", tmp_path / "again", *given)
    loaded = load_info(tmp_path / "again").config
    assert loaded.heads == c.heads
    assert getattr(loaded, "merging", "legacy") == "legacy"
    assert getattr(loaded, "image_size", None) == getattr(c, "image_size", None)


def test_a_patch_that_is_no_cube_must_be_said(tmp_path):
    model = primus()
    path, out = tmp_path / "w.safetensors", tmp_path / "model"
    write_safetensors(path, to_state_dict(model))
    says = ["12 positions", "no cube", "--grid_size"]
    refused("import", path, "--out_dir", out, says=says, writes=out)
    done("import", path, "--out_dir", out, "--grid_size", 16, 16, 24, "--heads", 2)
    loaded = load_model(out)
    assert loaded.config.image_size == (16, 16, 24)
    assert loaded.config == model.config


@pytest.mark.parametrize("name", ["swin_unetr", "resenc", "primus"])
def test_an_encoder_alone_starts_a_fresh_decoder(name, networks, tmp_path):
    model = networks[name]
    decoder = {"swin_unetr": ("encoder", "decoder", "out."), "primus": ("up_projection.",)}
    starts = decoder.get(name, ("decoder.",))
    tensors = {k: v for k, v in to_state_dict(model).items() if not k.startswith(starts)}
    path = tmp_path / "w.safetensors"
    write_safetensors(path, tensors)
    given = ["--grid_size", 16, 16, 24, "--heads", 2] if name == "primus" else []
    text = done("inspect", path, *given)
    assert "tensors that would start afresh" in text
    assert "14 outputs, as the file has no head" in text
    assert "started afresh" in done("import", path, "--out_dir", tmp_path / "m", *given)
    loaded = to_state_dict(load_model(tmp_path / "m"))
    for key, value in tensors.items():
        np.testing.assert_array_equal(loaded[key], value, err_msg=key)


def test_where_import_may_write(tmp_path, networks):
    path = tmp_path / "w.safetensors"
    write_safetensors(path, to_state_dict(networks["vnet"]))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").touch()
    says = ["exists and is not a model folder; choose another name"]
    for place in (tmp_path / "folder", path):
        refused("import", path, "--out_dir", place, "--overwrite", says=says)
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["mine.txt"]
    for place in (path / "model", "/proc/none/model"):
        refused("import", path, "--out_dir", place, says=["cannot be written (", "another place"])
    done("import", path, "--out_dir", tmp_path / "model")
    save_model(tmp_path / "model", vnet(out_channels=5))
    refused("import", path, "--out_dir", tmp_path / "model", says=["pass --overwrite"])
    assert load_model(tmp_path / "model").config.out_channels == 5
    done("import", path, "--out_dir", tmp_path / "model", "--overwrite")
    assert load_model(tmp_path / "model").config.out_channels == 3


EXPORTS = [
    ("vnet", "nnunet", "w.pth", "is for resenc, primus; this network is vnet: use monai, safet"),
    ("vnet", "monay", "w.pth", "unknown export target 'monay'; did you mean 'monai'?"),
    ("vnet", "safetensors", "w.pth", "--to safetensors writes .safetensors, got w.pth"),
    ("vnet", "safetensors", "there.safetensors", "exists; choose another name, or pass --over"),
    ("vnet", "safetensors", "/proc/none/w.safetensors", "cannot be written ("),
    ("vnet", "safetensors", "there.safetensors/w.safetensors", "cannot be written ("),
    ("vnet", "safetensors", "w.safetensors --task liver", "tasks are: none, it has a single head"),
    ("resenc", "ssl3d", "w.pth", "needs the patch", "--grid_size"),
    ("resenc", "ssl3d", "w.pth --grid_size 8 16 16", "ResEnc of six stages", "other features"),
    ("resenc", "ssl3d", "w.pth --grid_size 7 16 16", "multiples of 2x4x4"),
    ("primus", "ssl3d", "w.pth", "primus_l; this one has hidden_size, depth and heads (72, 2, 2)"),
    ("primus", "ssl3d", "w.pth --spacing 1 0 1", "--spacing is 1.0 0.0 1.0; allowed"),
]


@pytest.mark.parametrize("case", EXPORTS, ids=lambda case: " ".join(case[:3]))
def test_export_refuses(case, networks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, target, out, *says = case
    (tmp_path / "there.safetensors").write_text("mine")
    save_model(tmp_path / "model", networks[name])
    refused("export", "--model", "model", "--to", target, "--out", *out.split(), says=says)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "there.safetensors"]
    assert (tmp_path / "there.safetensors").read_text() == "mine"


def test_export_into_new_folders_and_over_a_file(tmp_path, networks):
    save_model(tmp_path / "model", networks["vnet"])
    out = tmp_path / "a" / "b" / "w.safetensors"
    words = ["export", "--model", tmp_path / "model", "--to", "monai", "--out", out]
    done(*words)
    done(*words, "--overwrite")
    assert same_weights(import_file(out)[0], networks["vnet"])
    (tmp_path / "f.safetensors").mkdir()
    words[-1] = tmp_path / "f.safetensors"
    refused(*words, "--overwrite", says=["is a folder; name a file"])


def test_a_full_disk_leaves_nothing(tmp_path, networks, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    fake = types.SimpleNamespace(pack=full)
    monkeypatch.setattr("fdif_jax.interop.tensor_files.struct", fake)
    save_model(tmp_path / "model", networks["vnet"])
    out = tmp_path / "w.safetensors"
    words = ["export", "--model", tmp_path / "model", "--to", "monai", "--out", out]
    refused(*words, says=["cannot be written (No space left on device)"], writes=out)


@pytest.mark.parametrize("given", BUILDERS)
@pytest.mark.parametrize("wanted", BUILDERS)
def test_the_wrong_network_is_named(given, wanted, networks):
    if given == wanted:
        return
    with pytest.raises(InputError, match=f"file of {given} for a {wanted} does not fit") as info:
        load_state_dict(networks[wanted], to_state_dict(networks[given]))
    assert len(info.value.problems) > 8
    with pytest.raises(InputError, match="does not fit"):
        load_pretrained(networks[wanted], to_state_dict(networks[given]))


def test_our_own_files_say_what_no_tensor_does(tmp_path):
    model = swin(merging="legacy")
    export_file(model, tmp_path / "w.safetensors", to="monai")
    imported = read_network(tmp_path / "w.safetensors")
    assert (imported.model.config.merging, imported.assumed) == ("legacy", ())
    # A record that was tampered with is passed over or refused, never trusted.
    data = (tmp_path / "w.safetensors").read_bytes()
    for old, new in ((b"legacy", b"random"), (b'{\\"merging', b'[\\"merging')):
        assert data.count(old) == 1
        (tmp_path / "x.safetensors").write_bytes(data.replace(old, new))
        assert read_network(tmp_path / "x.safetensors").model.config.merging == "merging"


def test_export_of_several_heads_asks_for_one(tmp_path):
    model = primus()
    model.replace_head({"shape": 4, "mapper": 2}, rngs=nnx.Rngs(1))
    save_model(tmp_path / "model", model)
    out = tmp_path / "w.safetensors"
    words = ["export", "--model", tmp_path / "model", "--to", "safetensors", "--out", out]
    refused(*words, says=["has several heads (shape, mapper); choose with --task"], writes=out)


@pytest.mark.slow
def test_damaged_model_folders(tmp_path, networks):
    save_model(tmp_path / "whole", networks["vnet"])

    def fresh():
        shutil.rmtree(tmp_path / "m", ignore_errors=True)
        shutil.copytree(tmp_path / "whole", tmp_path / "m")
        return tmp_path / "m" / "config.json"

    def edited(change):
        file = fresh()
        values = json.loads(file.read_text())
        change(values)
        file.write_text(json.dumps(values))

    out = tmp_path / "w.safetensors"
    words = ["export", "--model", tmp_path / "m", "--to", "monai", "--out", out]
    refused(*words, says=["not a model folder (no config.json in it)"], writes=out)
    for data, says in (
        (b"", "not the config of a model folder, or damaged"),
        (b"\xff\xfe", "damaged"),
        (b"[" * 100_000, "damaged"),
        (b"[1]", "damaged"),
    ):
        fresh().write_bytes(data)
        refused(*words, says=[says, "save or import the model again"], writes=out)
    for change, says in (
        (lambda v: v.update(format=99), "format 99 is newer than this program's 1; update"),
        (lambda v: v.update(format="1"), "damaged"),
        (lambda v: v.update(patch=5), "damaged"),
        (lambda v: v.update(patch=["a"]), "damaged"),
        (lambda v: v.update(intensities=[1]), "damaged"),
        (lambda v: v.update(weights="../other"), "damaged"),
        (lambda v: v.update(network={"family": "vnot", "options": {}}), "did you mean 'vnet'?"),
        (lambda v: v["network"]["options"].update(widht=1), "did you mean 'width'?"),
        (lambda v: v["network"]["options"].update(width="2"), "no network can be built"),
        (lambda v: v["network"]["options"].update(width={}), "damaged"),
        (lambda v: v["network"]["options"].update(width=0), "config.json"),
        (lambda v: v["network"]["options"].update(width=10**6), "do not fit the network"),
        (lambda v: v["network"]["options"].update(out_channels=7), "(7 mismatches): head."),
    ):
        edited(change)
        refused("inspect", tmp_path / "m", says=[says])
    fresh()
    shutil.rmtree(tmp_path / "m" / "weights")
    says = ["the folder is incomplete or damaged", "save or import the model again"]
    refused(*words, says=says, writes=out)
    refused("inspect", tmp_path / "m", says=says)
    fresh()
    for file in (tmp_path / "m" / "weights").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[: math.ceil(file.stat().st_size / 2)])
    refused(*words, says=says, writes=out)
    assert fdif("inspect", tmp_path / "m").exit_code == 2
