"""Model folders of classifiers: what is saved comes back; another input follows the rules."""

import network_goldens as g
import numpy as np
import pytest
from click.testing import CliRunner
from fdif_jax.models import Classifier
from flax import nnx

from fdif_jax.cli.export import command as export
from fdif_jax.cli.inspect import command as inspect
from fdif_jax.errors import InputError
from fdif_jax.model_io import ModelInfo, adapt, is_head, load_info, load_model, save_model

LABELS = {"organ": 4, "side": 2}


def classifier(outputs=3):
    return Classifier(g.primus(), outputs, dropout=0.25, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("outputs", [3, LABELS], ids=["one label", "two labels"])
def test_folder_gives_back_the_classifier(outputs, tmp_path):
    model = classifier(outputs)
    names = {"0": "normal", "1": "mass", "2": "cyst"}
    save_model(tmp_path / "best", model, ModelInfo(model.config, (32, 32, 32), class_names=names))
    loaded, info = load_model(tmp_path / "best"), load_info(tmp_path / "best")
    assert loaded.config == model.config == info.config
    assert loaded.dropout.deterministic
    assert g.same_weights(model, loaded)
    assert info.class_names == names


def test_other_classes_and_channels_keep_the_encoder():
    before = g.arrays(classifier())
    model, notes = adapt(classifier(), out_channels=LABELS, in_channels=2)
    after = g.arrays(model)
    assert [note.split(":")[0] for note in notes] == ["input channels", "head"]
    assert {name.split(".")[1] for name in after if is_head(name)} == set(LABELS)
    kept = [n for n in after if not is_head(n) and n != "encoder.patches.kernel"]
    assert len(kept) > 20
    for name in kept:
        np.testing.assert_array_equal(before[name], after[name])
    assert (model.config.in_channels, dict(model.config.out_channels)) == (2, LABELS)


def test_a_classifier_is_not_exported(tmp_path):
    save_model(tmp_path / "best", classifier())
    words = ["--model", str(tmp_path / "best"), "--to", "safetensors", "--out", "x.safetensors"]
    found = CliRunner().invoke(export, words)
    assert isinstance(found.exception, InputError)
    assert "is a classifier; fdif export writes segmentation networks" in str(found.exception)


def test_inspect_says_what_it_is(tmp_path):
    save_model(tmp_path / "best", classifier(LABELS))
    found = CliRunner().invoke(inspect, [str(tmp_path / "best")])
    assert found.exit_code == 0, found.output
    assert "model folder, classifier" in found.output
    assert "'organ', 4" in found.output
