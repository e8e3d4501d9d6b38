"""Weights in foreign names and files: both directions, every mismatch, nothing executed."""

import dataclasses
import json
import pickle
import struct

import network_goldens as g
import numpy as np
import pytest
from fdif_jax.models import Classifier
from flax import nnx

from fdif_jax.errors import EnvironmentFault, InputError
from fdif_jax.interop import (
    export_file,
    files,
    import_file,
    inspect_file,
    load_monai_state_dict,
    load_pretrained,
    load_state_dict,
    read_tensors,
    to_monai_state_dict,
    to_state_dict,
    write_safetensors,
)
from fdif_jax.interop import formats as f
from fdif_jax.model_io import set_weights, weights_of

SMALL = {
    "vnet": lambda **o: g.vnet(width=4, **o),
    "unetr": lambda **o: g.unetr(**o),
    "swin": lambda **o: g.swin(**o),
    "swin-v2": lambda **o: g.swin(use_v2=True, **o),
    "resenc": lambda **o: g.resenc(**o),
    "resenc-aniso": lambda **o: g.resenc(aniso=True, **o),
    "primus": lambda **o: g.primus(**o),
}


@pytest.fixture(scope="module", params=SMALL)
def model(request):
    return SMALL[request.param]()


def zeroed(model):
    """The same structure without its values, so that a round trip must bring them all."""
    copy = nnx.clone(model)
    set_weights(copy, {name: np.zeros_like(value) for name, value in g.arrays(model).items()})
    return copy


def test_round_trip_is_exact(model):
    copy = zeroed(model)
    assert not g.same_weights(model, copy)
    load_state_dict(copy, to_state_dict(model))
    assert g.same_weights(model, copy)


def test_every_weight_has_exactly_one_name(model):
    paths = [e.path for e in f.entries_of(model)]
    keys = [e.key for e in f.entries_of(model)]
    assert sorted(paths) == sorted(weights_of(model))
    assert len(set(keys)) == len(keys)


def test_all_mismatches_in_one_error(model):
    tensors = to_state_dict(model)
    keys = [e.key for e in f.entries_of(model)]
    del tensors[keys[0]]
    tensors[keys[1]] = tensors[keys[1]][:1]
    tensors["stray.weight"] = np.zeros(3, np.float32)
    wrong = tensors[keys[1]].shape != to_state_dict(model)[keys[1]].shape
    with pytest.raises(InputError) as info:
        load_state_dict(zeroed(model), tensors)
    assert len(info.value.problems) == 2 + wrong
    assert f"missing {keys[0]}" in str(info.value)
    assert "unexpected stray.weight" in str(info.value)
    if wrong:
        assert f"{keys[1]} is" in str(info.value)


def test_a_refused_file_changes_nothing():
    model = g.unetr()
    before = g.arrays(model)
    tensors = to_state_dict(g.with_golden_weights(g.unetr()))
    tensors.pop("vit.norm.bias")
    with pytest.raises(InputError):
        load_monai_state_dict(model, tensors)
    assert all((before[k] == v).all() for k, v in g.arrays(model).items())


def test_weights_of_another_network_are_refused():
    with pytest.raises(InputError, match="does not fit"):
        load_monai_state_dict(g.unetr(), to_state_dict(g.swin()))


def test_unused_parameters_of_unetr_are_written_and_ignored():
    model = g.unetr()
    tensors = to_monai_state_dict(model)
    assert (tensors["vit.blocks.0.norm_cross_attn.weight"] == 1).all()
    assert sum(a.size for a in tensors.values()) == 1_061_899  # the original's count
    tensors["vit.blocks.3.cross_attn.to_q.weight"] = np.zeros((48, 48), np.float32)  # MONAI 1.4
    load_monai_state_dict(zeroed(model), tensors)


def test_files_round_trip_and_are_recognised(model, tmp_path):
    path = tmp_path / "weights.safetensors"
    export_file(model, path, to="safetensors")
    loaded, missing = import_file(path)
    assert missing == []
    # Our own files also say what no tensor does: patch, heads, merging.
    drop_path = getattr(model.config, "drop_path", None)
    options = {} if drop_path is None else {"drop_path": drop_path}
    assert dataclasses.replace(loaded.config, **options) == model.config
    assert g.same_weights(model, loaded)
    lines = inspect_file(path)
    assert "complete" in lines[-1]
    assert not any(line.startswith("assumed") for line in lines)


def test_wrappers_and_aliases_are_understood():
    model = g.resenc()
    full, shared = f.with_aliases(to_state_dict(model))
    assert len(full) == 280  # as PyTorch counts this network's state dict
    assert len(full) - len(shared) == 85
    copy = zeroed(model)
    load_state_dict(copy, {f"module.{k}": v for k, v in full.items()})
    assert g.same_weights(model, copy)


def test_self_supervised_swin_both_ways():
    model = g.swin()
    tensors = f.to_swinvit(to_state_dict(model))
    assert "module.layers1.0.blocks.0.mlp.fc1.weight" in tensors
    copy = g.swin()
    before = g.arrays(copy)["decoder1.up.kernel"]
    kept = load_state_dict(copy, tensors, allow=lambda k: not k.startswith("swinViT."))
    assert all(not k.startswith("swinViT") for k in kept)
    after = g.arrays(copy)
    for name, value in g.arrays(model).items():
        if name.startswith("swin."):
            assert (after[name] == value).all()
    assert (after["decoder1.up.kernel"] == before).all()
    tensors.pop("module.layers1.0.blocks.0.mlp.fc1.weight")
    with pytest.raises(InputError, match=r"missing swinViT\.layers1"):
        load_state_dict(copy, tensors, allow=lambda k: not k.startswith("swinViT."))


@pytest.mark.parametrize("build", SMALL.values(), ids=SMALL)
def test_another_head_is_replaced_and_named(build):
    model, other = build(), build(out_channels=5)
    tensors = to_state_dict(model)
    replaced = load_pretrained(other, tensors)
    assert replaced
    assert all(f.is_head(model, key) for key in replaced)
    tensors.pop(f.entries_of(model)[0].key)
    with pytest.raises(InputError, match="missing"):
        load_pretrained(other, tensors)


def test_truncated_and_foreign_files_are_refused(tmp_path):
    whole = tmp_path / "a.safetensors"
    write_safetensors(whole, {"x": np.arange(6, dtype=np.float32).reshape(2, 3)})
    assert (read_tensors(whole)["x"] == np.arange(6).reshape(2, 3)).all()
    data = whole.read_bytes()
    for cut in (0, 4, 20, len(data) - 1):
        part = tmp_path / "b.safetensors"
        part.write_bytes(data[:cut])
        with pytest.raises(InputError, match="truncated"):
            read_tensors(part)
    with pytest.raises(InputError, match="no such file"):
        read_tensors(tmp_path / "none.safetensors")
    (tmp_path / "c.txt").write_text("x")
    with pytest.raises(InputError, match="weights are read from"):
        read_tensors(tmp_path / "c.txt")
    assert "unknown" in inspect_file(whole)[-1]


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2**32, 2**32], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]},
        {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]},
        [],
    ],
)
def test_lying_headers_are_refused(tmp_path, entry):
    text = json.dumps({"x": entry}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 8)
    with pytest.raises(InputError, match="truncated, or not"):
        read_tensors(path)


class Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_pickle_is_never_executed(tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"x": Runs(str(marker))}))
    with pytest.raises((InputError, EnvironmentFault)):
        read_tensors(path)
    assert not marker.exists()


def test_pth_without_torch_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(EnvironmentFault, match=r"fdif-jax\[torch\]"):
        files.write_pickle(tmp_path / "x.pth", {})


def test_targets_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(InputError, match="is for resenc, primus"):
        export_file(g.unetr(), tmp_path / "x.pth", to="nnunet")
    with pytest.raises(InputError, match="did you mean 'monai'"):
        export_file(g.unetr(), tmp_path / "x.pth", to="monay")
    with pytest.raises(InputError, match=r"writes \.pth"):
        export_file(g.resenc(), tmp_path / "x.safetensors", to="nnunet")


def test_multi_task_exports_one_task(tmp_path):
    model = g.unetr(out_channels=(("shape", 4), ("mapper", 3)))
    with pytest.raises(InputError, match="shape, mapper"):
        to_state_dict(model)
    assert to_state_dict(model, "mapper")["out.conv.conv.bias"].shape == (3,)


def test_classifier_keeps_the_encoder():
    encoder = g.primus()
    tokens = g.arrays(encoder)["blocks.0.attn.q.kernel"]
    classifier = Classifier(encoder, 2, rngs=nnx.Rngs(0))
    assert (g.arrays(classifier)["encoder.blocks.0.attn.q.kernel"] == tokens).all()
    assert not any("head" in name for name in weights_of(classifier))
