"""Training classifiers, tiny: what a run leaves, where it starts from, how it goes on."""

import json

import jax
import nibabel
import numpy as np
import pytest
from class_sets import write_archive, write_folder, write_table
from click.testing import CliRunner
from fdif_jax.models import create_model
from flax import nnx
from tiny_classes import class_config, class_trainer
from tiny_runs import LOG_ALL, config, train, write_set

from fdif_jax import load_model
from fdif_jax.cli import cli
from fdif_jax.errors import InputError
from fdif_jax.io import metrics
from fdif_jax.model_io import ModelInfo, load_info, save_model, weights_of
from fdif_jax.train.class_start import first_classifier
from fdif_jax.train.config import RunOptions
from fdif_jax.train.jobs import plan_of
from fdif_jax.train.step import put_together


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """An undisturbed run."""
    path = tmp_path_factory.mktemp("whole") / "run"
    return path, class_trainer(path, class_config(data)).run()


def weights(path):
    return {name: np.asarray(v) for name, v in weights_of(load_model(path)).items()}


def test_a_run_leaves_scores_and_a_classifier(whole):
    path, result = whole
    rows = metrics.read(path / metrics.FILE)
    assert [set(r) & {"loss", "dice_loss", "ce"} for r in rows if "loss" in r] == [{"loss"}] * 4
    scores = {r["update"]: r["validation"] for r in rows if "validation" in r}
    assert list(scores) == [2, 4]
    named = {"auroc", "accuracy", "balanced_accuracy", "macro_f1", "average_precision"}
    assert named < set(scores[4])
    assert result.score.best == max(s["auroc"] for s in scores.values())
    assert json.loads((path / "summary.json").read_text())["best_auroc"] == result.score.best
    assert "AUROC" in (path / "training_log.txt").read_text()
    assert (path / "curves.png").is_file()
    info = load_info(path / "model_best")
    assert info.class_names == {"0": "0", "1": "1"}
    assert info.intensities["kind"] == "none"
    assert load_model(path / "model_best").config.out_channels == 2


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path, data, whole):
    run = class_trainer(tmp_path / "run", class_config(data), RunOptions(log_every=1))

    def die(done, total, note):
        if done == 3:
            raise MemoryError

    run.progress = die
    with pytest.raises(MemoryError):
        run.run()
    class_trainer(tmp_path / "run", class_config(data)).run()
    one, other = weights(tmp_path / "run/model_last"), weights(whole[0] / "model_last")
    for name in other:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["archive", "table", "labels"])
def test_every_form_trains(tmp_path, form):
    pairs = {f"c{i}": [i % 2, i // 2 % 2, 0] for i in range(8)}
    made = {
        "archive": lambda: write_archive(tmp_path / "a.npz"),
        "table": lambda: write_table(tmp_path / "t.csv"),
        "labels": lambda: write_folder(tmp_path, pairs),
    }[form]()
    more = {"intensity": "zscore"} if form == "table" else {}
    result = class_trainer(tmp_path / "run", class_config(made, **more)).run()
    assert 0 <= result.score.best <= 1
    names = load_info(tmp_path / "run/model_last").class_names
    two = {"0": "0", "1": "1"}
    labels = {"label 0": two, "label 1": two, "label 2": {"0": "0"}}
    assert names == {"archive": two, "table": {"0": "a", "1": "b"}, "labels": labels}[form]


@pytest.mark.slow
def test_a_classifier_starts_from_the_encoder_of_another_model(tmp_path, data, whole):
    segmenting = tmp_path / "segmenting"
    train(segmenting, config(write_set(tmp_path / "set"), max_iterations=2))
    for start in (segmenting / "model_best", whole[0] / "model_best"):
        run = class_trainer(
            tmp_path / f"from_{start.parent.name}", class_config(data, pretrained_model=str(start))
        )
        story = " | ".join(run._notes)
        assert "the encoder of its primus" in story
        assert "random: the head, 26 numbers" in story
        now = weights_of(put_together(run._parts, run._state))
        then = weights_of(load_model(start))
        name = "patches.kernel"
        before = then.get(name, then.get(f"encoder.{name}"))
        np.testing.assert_array_equal(now[f"encoder.{name}"], before)


@pytest.mark.slow
def test_a_frozen_encoder_stays_and_the_head_learns(tmp_path, data):
    run = class_trainer(tmp_path / "run", class_config(data, freeze_encoder=4))
    before = jax.tree.map(np.asarray, weights_of(put_together(run._parts, run._state)))
    run.run()
    after = weights(tmp_path / "run/model_last")
    for name in before:
        same = np.array_equal(before[name], after[name])
        assert same == name.startswith("encoder."), name


def test_segmentation_does_not_start_from_a_classifier(tmp_path, whole):
    listed = write_set(tmp_path / "set")
    start = str(whole[0] / "model_best")
    with pytest.raises(InputError, match="is a classifier; fdif train starts from segmentation"):
        train(tmp_path / "run", config(listed, pretrained_model=start))


def test_smoothing_is_usual_for_the_form_or_as_asked(tmp_path, data):
    archive = write_archive(tmp_path / "a.npz")
    for where, given, wanted in ((data, None, 0.2), (archive, None, 0.0), (data, 0.1, 0.1)):
        plan = plan_of(class_config(where, label_smoothing=given), LOG_ALL)
        assert plan.smoothing == wanted


def test_files_of_a_table_need_a_rule_and_prepared_ones_take_none(tmp_path, data):
    table = write_table(tmp_path / "t.csv")
    with pytest.raises(InputError, match="not those of CT; give --intensity"):
        plan_of(class_config(table), LOG_ALL)
    given = plan_of(class_config(table, intensity="zscore"), LOG_ALL)
    assert given.preprocessing.intensity.kind == "zscore"
    image = tmp_path / "i0.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.full((8, 8, 16), -1000.0, np.float32), np.eye(4)), image)
    assert plan_of(class_config(table), LOG_ALL).preprocessing.intensity.kind == "ct"
    with pytest.raises(InputError, match="leave them out"):
        plan_of(class_config(data, intensity="zscore"), LOG_ALL)


RESENC = {
    "features": (4, 8),
    "blocks": (1, 1),
    "strides": ((1, 1, 1), (2, 2, 2)),
    "kernels": ((3, 3, 3),) * 2,
    "decoder_convs": (1,),
}
ENCODERS = {
    "vnet": ((16, 16, 16), {"width": 2}),
    "unetr": ((16, 16, 16), {"hidden_size": 12, "heads": 2, "feature_size": 4, "mlp_size": 12}),
    "swin_unetr": ((32, 32, 64), {"feature_size": 12, "depths": (1, 1, 1, 1)}),
    "resenc_m": ((8, 8, 16), RESENC),
    "primus_s": ((8, 8, 16), {"hidden_size": 12, "depth": 1, "heads": 1}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_trains_on_from_its_segmentation_network(tmp_path, data, name):
    patch, options = ENCODERS[name]
    network = create_model(name, rngs=nnx.Rngs(0), image_size=patch, out_channels=3, **options)
    save_model(tmp_path / "model", network, ModelInfo(network.config, patch))
    settings = class_config(
        data,
        model_name=name,
        patch=patch,
        model_options=tuple(sorted(options.items())),
        batch_size=2,
        max_iterations=2,
        pretrained_model=str(tmp_path / "model"),
    )
    run = class_trainer(tmp_path / "run", settings)
    before, loaded = weights_of(network), weights_of(put_together(run._parts, run._state))
    encoder = {
        name.removeprefix("encoder."): np.array(value)
        for name, value in loaded.items()
        if name.startswith("encoder.")
    }
    assert len(encoder) > 3
    for key, value in encoder.items():
        np.testing.assert_array_equal(value, before[key], err_msg=key)
    assert 0 <= run.run().score.best <= 1
    after = weights(tmp_path / "run/model_last")
    assert all(np.isfinite(value).all() for value in after.values())
    moved = [key for key, value in encoder.items() if np.any(after[f"encoder.{key}"] != value)]
    assert len(moved) > len(encoder) / 2


def test_a_resenc_has_the_stages_of_its_pretrained_model(tmp_path, data):
    network = create_model("resenc_m", rngs=nnx.Rngs(0), out_channels=3, **RESENC)
    save_model(tmp_path / "model", network, ModelInfo(network.config, (8, 8, 8)))
    wanted = {"model_name": "resenc_m", "patch": (32, 32, 32), "model_options": ()}
    alone = plan_of(class_config(data, **wanted), LOG_ALL).network.encoder
    assert alone.features == (32, 64, 128, 256)
    wanted["pretrained_model"] = str(tmp_path / "model")
    plan = plan_of(class_config(data, **wanted), LOG_ALL)
    assert plan.network.encoder.features == (4, 8)
    assert "the encoder of its resenc" in first_classifier(plan).notes[0]
    wanted["model_options"] = (("features", (4, 6)),)
    plan = plan_of(class_config(data, **wanted), LOG_ALL)
    with pytest.raises(
        InputError, match=r"\(1 mismatches\): features is \(4, 8\), wanted \(4, 6\)"
    ):
        first_classifier(plan)


@pytest.mark.slow
def test_an_encoder_comes_out_of_another_tools_file(tmp_path, data):
    network = create_model("vnet", rngs=nnx.Rngs(0), width=2, out_channels=3)
    save_model(tmp_path / "model", network, ModelInfo(network.config, (16, 16, 16)))
    file = tmp_path / "vnet.safetensors"
    words = ["export", "--model", str(tmp_path / "model"), "--to", "monai", "--out", str(file)]
    assert CliRunner().invoke(cli, words).exit_code == 0
    settings = class_config(
        data,
        model_name="vnet",
        patch=(16, 16, 16),
        model_options=(("width", 2),),
        pretrained_model=str(file),
    )
    found = first_classifier(plan_of(settings, LOG_ALL))
    assert "the encoder of its vnet" in found.notes[0]
    before = weights_of(network)
    for name, value in weights_of(found.model).items():
        if name.startswith("encoder."):
            np.testing.assert_array_equal(value, before[name.removeprefix("encoder.")])
