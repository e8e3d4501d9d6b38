""".pth files that people and programs produce: read where they hold weights, never executed.

Run by ``scripts/test --reference``, in an environment with PyTorch.
"""

import argparse
import contextlib
import io
import os
import pickle
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from command_line import done, refused
from small_networks import resenc, same_weights, vnet

from fdif_jax.errors import EnvironmentFault, FdifError, InputError
from fdif_jax.interop import files, formats, import_file, read_tensors, to_state_dict
from fdif_jax.model_io import load_model, save_model

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]

torch = pytest.importorskip("torch", reason="the reference tests need PyTorch")


@pytest.fixture(scope="module")
def model():
    return vnet()


@pytest.fixture
def weights(model):
    return OrderedDict((k, torch.from_numpy(v.copy())) for k, v in to_state_dict(model).items())


def adam_state(weights):
    parameters = [torch.nn.Parameter(w.clone()) for w in weights.values() if w.is_floating_point()]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer = torch.optim.AdamW(parameters)
    optimizer.step()
    return optimizer.state_dict()


NESTED = {
    "bare": lambda w: w,
    "plain dict": dict,
    "parameters": lambda w: {k: torch.nn.Parameter(v) if v.is_floating_point() else v
                             for k, v in w.items()},
    "state_dict": lambda w: {"state_dict": w, "epoch": 3, "best_acc": np.float64(0.5)},
    "old numpy": lambda w: {"state_dict": w, "score": np.float32(0.5), "n": np.int64(3)},
    "network_weights": lambda w: {"network_weights": w, "optimizer_state": adam_state(w)},
    "model in model": lambda w: {"model": {"state_dict": w}, "scheduler": {"last_epoch": 3}},
    "teacher": lambda w: {
        "student": {f"module.backbone.{k}": torch.zeros_like(v) for k, v in w.items()},
        "teacher": {f"module.backbone.{k}": v for k, v in w.items()},
        "optimizer": adam_state(w),
    },
    "unknown place": lambda w: {"my_network": w, "optimizer": adam_state(w)},
    "DataParallel": lambda w: {f"module.{k}": v for k, v in w.items()},
    "torch.compile": lambda w: {"net": {f"_orig_mod.{k}": v for k, v in w.items()}},
    "both": lambda w: {f"_orig_mod.module.{k}": v for k, v in w.items()},
    "half": lambda w: {k: v.half() if v.is_floating_point() else v for k, v in w.items()},
    "bfloat16": lambda w: {k: v.bfloat16() if v.is_floating_point() else v for k, v in w.items()},
    "float64": lambda w: {k: v.double() if v.is_floating_point() else v for k, v in w.items()},
    "strided": lambda w: {k: v.T.contiguous().T if v.ndim > 1 else v for k, v in w.items()},
}  # fmt: skip


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older form"])
@pytest.mark.parametrize("name", NESTED)
def test_checkpoints_are_read(name, zipped, weights, model, tmp_path):
    content = NESTED[name](weights)
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    loaded, fresh = import_file(tmp_path / "w.pth")
    assert fresh == []
    exact = {"half": torch.float16, "bfloat16": torch.bfloat16}.get(name)
    ours = to_state_dict(loaded)
    for key, value in weights.items():
        wanted = value if exact is None else value.to(exact).float()
        np.testing.assert_array_equal(ours[key], wanted.numpy(), err_msg=key)
    assert done("inspect", tmp_path / "w.pth").splitlines()[-1].startswith("complete")


def test_every_file_of_ours_is_a_plain_one(tmp_path):
    """``weights_only=True`` opens it, with nothing added to what that allows."""
    cases = [(vnet(), "monai", "v.pth"), (resenc(), "nnunet", "r.pth")]
    for network, target, name in cases:
        save_model(tmp_path / f"{name} model", network)
        words = ["--model", tmp_path / f"{name} model", "--to", target, "--out", tmp_path / name]
        done("export", *words)
        assert torch.load(tmp_path / name, weights_only=True)
        done("import", tmp_path / name, "--out_dir", tmp_path / f"{name} back")
        assert same_weights(load_model(tmp_path / f"{name} back"), network)


def test_a_resenc_whose_aliases_were_saved_apart_is_read_or_refused(tmp_path):
    network = resenc()
    full, shared = formats.with_aliases(to_state_dict(network))
    apart = {k: torch.from_numpy(v.copy()) for k, v in full.items()}
    torch.save(apart, tmp_path / "w.pth")
    assert same_weights(import_file(tmp_path / "w.pth")[0], network)
    apart[next(iter(shared))] += 1
    torch.save(apart, tmp_path / "w.pth")
    words = ["import", tmp_path / "w.pth", "--out_dir", tmp_path / "m"]
    refused(*words, says=["two names of one tensor, but differ"], writes=tmp_path / "m")


class Runs:
    """A pickle of it opens a file for writing when it is loaded without a check."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


EVIL = {
    "open": lambda path: Runs(open, path, "w"),
    "os.system": lambda path: Runs(os.system, f"touch {path}"),
    "eval": lambda path: Runs(eval, f"open({path!r}, 'w')"),
    "getattr": lambda path: Runs(getattr, path, "upper"),
    "numpy file": lambda path: Runs(np.memmap, path, "uint8", "w+", 0, (4,)),
    "an object": lambda path: Runs(types.SimpleNamespace),
}


@pytest.mark.parametrize("form", ["zip", "older form", "pickle", "new pickle", "beside weights"])
@pytest.mark.parametrize("name", EVIL)
def test_nothing_is_executed(name, form, weights, tmp_path):
    marker, path, out = tmp_path / "ran", tmp_path / "evil.pth", tmp_path / "model"
    content = {"state_dict": EVIL[name](str(marker))}
    if form == "beside weights":
        content = {"state_dict": weights, "args": EVIL[name](str(marker))}
    if "pickle" in form:  # without PyTorch; the newer protocol it does not even begin to read
        path.write_bytes(pickle.dumps(content, protocol=4 if form == "new pickle" else 2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form != "older form")
    says = ["evil.pth: refused", "asks to run", "save the state dict alone, or as .safetensors"]
    if form == "new pickle":
        says = ["evil.pth: truncated, or not a weight file"]
    refused("import", path, "--out_dir", out, says=says, writes=out)
    refused("inspect", path, says=says)
    assert not marker.exists()


def test_objects_of_other_programs_are_named(weights, tmp_path):
    torch.save({"state_dict": weights, "args": argparse.Namespace(a=1)}, tmp_path / "w.pth")
    refused("inspect", tmp_path / "w.pth", says=["(argparse.Namespace)"])
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth")
    refused("inspect", tmp_path / "w.pth", says=["asks to run code or build objects"])


def saved(weights):
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    return buffer.getvalue()


def rezipped(weights, path, compression):
    with zipfile.ZipFile(io.BytesIO(saved(weights))) as old, zipfile.ZipFile(path, "w") as new:
        for record in old.infolist():
            new.writestr(record.filename, old.read(record), compression)


def bomb(weights, path):
    rezipped({k: torch.zeros_like(v) for k, v in weights.items()}, path, zipfile.ZIP_DEFLATED)


def overlapping(weights, path):
    """Every record of the directory points at the same large bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", bytes(100_000))
        first = archive.infolist()[0]
        for i in range(50):
            again = zipfile.ZipInfo(f"a/data/{i}")
            for field in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(again, field, getattr(first, field))
            archive.filelist.append(again)
            archive._didModify = True


def other_zip(weights, path):
    np.savez(path.with_suffix(".npz"), x=np.zeros(3))
    path.with_suffix(".npz").rename(path)


def program(weights, path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


def expanded(weights, path):
    torch.save({"x": torch.zeros(1).expand(10**12)}, path)


def sparse(weights, path):
    torch.save({"x": torch.eye(3).to_sparse()}, path)


def eight_bits(weights, path):
    torch.save({"x": torch.zeros(3).to(torch.float8_e4m3fn)}, path)


def no_tensors(weights, path):
    torch.save({"epoch": 3}, path)


def a_tensor(weights, path):
    torch.save(torch.zeros(3), path)


def a_list(weights, path):
    torch.save([torch.zeros(3)], path)


def two_places(weights, path):
    flat = {f"student.{k}": v for k, v in weights.items()}
    torch.save(flat | {f"teacher.{k}": v for k, v in weights.items()}, path)


def with_nan(weights, path):
    weights["out_tr.conv2.bias"][1] = float("nan")
    torch.save(weights, path)


def nothing(weights, path):
    path.touch()


def folder(weights, path):
    path.mkdir()


REFUSED = [
    (bomb, "compressed or overlap, which PyTorch never writes"),
    (overlapping, "compressed or overlap, which PyTorch never writes"),
    (other_zip, "is a zip archive, but not a weight file: no data.pkl"),
    (program, "is a TorchScript program; save its state_dict() instead"),
    (expanded, "x claims more numbers than the file holds"),
    (sparse, "x is a sparse, quantized or empty tensor; save the weights as dense float32"),
    (eight_bits, "x is torch.float8_e4m3fn; save the weights as dense float32"),
    (no_tensors, "holds no tensors by name; save a network's state dict"),
    (a_tensor, "holds no tensors by name"),
    (a_list, "holds no tensors by name"),
    (two_places, "under 'student.' and 'teacher.'; save one of them alone"),
    (with_nan, "out_tr.conv2.bias holds NaN or infinite values"),
    (nothing, "truncated, it is empty"),
    (folder, "is a folder; name a weight file"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[0].__name__)
def test_refused_in_one_sentence(case, weights, tmp_path):
    write, says = case
    path, out = tmp_path / "w.pth", tmp_path / "model"
    write(weights, path)
    refused("import", path, "--out_dir", out, says=[says], writes=out)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older form"])
def test_truncated_anywhere_and_scrambled(zipped, weights, tmp_path):
    """Cut at 40 places, and with 60 single bytes changed: weights, or one sentence."""
    buffer = io.BytesIO()
    torch.save(weights, buffer, _use_new_zipfile_serialization=zipped)
    data, path = buffer.getvalue(), tmp_path / "w.pth"
    for cut in np.linspace(1, len(data) - 1, 40).astype(int):
        path.write_bytes(data[:cut])
        with pytest.raises(InputError, match=r"truncated|not a weight file"):
            read_tensors(path)
    rng = np.random.default_rng(0)
    start = data.index(b"collections")  # within the pickle, where a change tells
    for _ in range(60):
        place = start + int(rng.integers(2000))
        path.write_bytes(data[:place] + bytes([int(rng.integers(256))]) + data[place + 1 :])
        with contextlib.suppress(FdifError):  # and nothing else
            read_tensors(path)


def test_a_full_disk_leaves_no_pickle(tmp_path, monkeypatch):
    def full(*_):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(EnvironmentFault, match="cannot be written"):
        files.write_pickle(tmp_path / "w.pth", {"x": np.zeros(3)})
    assert not list(tmp_path.iterdir())
