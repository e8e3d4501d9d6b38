"""Model folders: what is saved comes back; another head, input or patch follows the rules."""

import json

import jax.numpy as jnp
import network_goldens as g
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx

from fdif_jax.cli.export import command as export
from fdif_jax.cli.import_ import command as import_
from fdif_jax.cli.inspect import command as inspect
from fdif_jax.errors import InputError
from fdif_jax.model_io import (
    ModelInfo,
    adapt,
    is_head,
    load_info,
    load_model,
    save_model,
)

BUILDERS = {
    "vnet": lambda: g.vnet(width=4),
    "unetr": g.unetr,
    "swin": lambda: g.swin(merging="legacy"),
    "resenc": lambda: g.resenc(aniso=True),
    "primus": g.primus,
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_folder_gives_back_the_network(build, tmp_path):
    model, info = build(), None
    info = ModelInfo(model.config, (32, 32, 32), {"kind": "ct"}, ["background", "liver", "gut"])
    save_model(tmp_path / "best", model, info)
    loaded = load_model(tmp_path / "best.pth")  # the original's suffix is understood
    assert loaded.config == model.config
    assert g.same_weights(model, loaded)
    again = load_info(tmp_path / "best")
    assert (again.patch, again.intensities, again.class_names) == (
        info.patch,
        info.intensities,
        info.class_names,
    )
    assert not list(tmp_path.glob("*.part"))
    save_model(tmp_path / "best", loaded)  # replaces its own kind


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_another_head_keeps_the_rest(build):
    before = g.arrays(build())
    model, notes = adapt(build(), out_channels={"shape": 5, "mapper": 2})
    after = g.arrays(model)
    assert all((before[k] == after[k]).all() for k in after if not is_head(k))
    assert {k.split(".")[1] for k in after if is_head(k)} == {"shape", "mapper"}
    assert len(notes) == 1
    assert "head" in notes[0]


def test_more_channels_see_the_same_image():
    """A grey image in every channel must look as it did: repeated kernels, divided by n."""
    one = g.unetr()
    x = jnp.asarray(np.random.default_rng(0).random((1, 32, 32, 32, 1), np.float32))
    encode = nnx.jit(lambda m, x: m.encode(x))
    wanted = encode(one, x)
    three, _ = adapt(g.unetr(), in_channels=3)
    np.testing.assert_allclose(encode(three, jnp.repeat(x, 3, axis=-1)), wanted, atol=1e-5)
    two, _ = adapt(three, in_channels=2)  # the first two of three equal ones
    np.testing.assert_array_equal(
        g.arrays(two)["patches.kernel"], g.arrays(one)["patches.kernel"].repeat(2, -2) * (1 / 3)
    )
    five, _ = adapt(two, in_channels=5)
    np.testing.assert_allclose(
        five.patches.kernel[...].sum(-2), two.patches.kernel[...].sum(-2) * (2 / 5) * 2.5, rtol=1e-5
    )


@pytest.mark.parametrize("build", [g.unetr, g.primus], ids=["unetr", "primus"])
def test_another_patch_interpolates_positions(build):
    model = build()
    size = tuple(n + 16 for n in model.config.image_size)
    with pytest.raises(InputError, match="resize_position_embeddings"):
        model.check_size(size)
    model, notes = adapt(model, image_size=size)
    assert model.config.image_size == size
    assert "position" in notes[0]
    model.check_size(size)


def test_damaged_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="not a model folder"):
        load_model(tmp_path / "nothing")
    save_model(tmp_path / "m", g.vnet(width=4))
    text = (tmp_path / "m/config.json").read_text()
    values = json.loads(text)
    values["network"]["options"]["width"] = 8
    (tmp_path / "m/config.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match="do not fit the network") as info:
        load_model(tmp_path / "m")
    assert "input.conv.kernel" in str(info.value)
    (tmp_path / "m/config.json").write_text(text[:100])
    with pytest.raises(InputError, match="not the config"):
        load_model(tmp_path / "m")
    for patch in ([8, 8], [0, 8, 8], "abc"):
        (tmp_path / "m/config.json").write_text(json.dumps(json.loads(text) | {"patch": patch}))
        with pytest.raises(InputError, match="not the config"):
            load_model(tmp_path / "m")
    (tmp_path / "m/config.json").write_text(text)
    for file in (tmp_path / "m/weights").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:10])
    with pytest.raises(InputError, match="incomplete or damaged"):
        load_model(tmp_path / "m")
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="not a model folder"):
        save_model(tmp_path / "other", g.vnet(width=4))


def test_commands_carry_a_network_through_a_file(tmp_path):
    model = g.resenc()
    save_model(tmp_path / "a", model)
    run = CliRunner().invoke
    file = str(tmp_path / "w.safetensors")
    result = run(export, ["--model", str(tmp_path / "a"), "--to", "safetensors", "--out", file])
    assert result.exit_code == 0, result.output
    result = run(inspect, [file])
    assert "network: resenc" in result.output
    assert "complete" in result.output
    result = run(import_, [file, "--from", "nnunet", "--out_dir", str(tmp_path / "b")])
    assert result.exit_code == 0, result.output
    assert g.same_weights(load_model(tmp_path / "b"), model)
    assert "model folder, resenc" in run(inspect, [str(tmp_path / "b")]).output


def test_loaded_networks_are_in_evaluation_mode(tmp_path):
    save_model(tmp_path / "a", g.vnet(width=4))
    model = load_model(tmp_path / "a", out_channels=4, rngs=nnx.Rngs(1))
    assert model.input.norm.use_running_average
    assert model.head.unit.norm.use_running_average
    assert model.downs[3].dropout.deterministic
