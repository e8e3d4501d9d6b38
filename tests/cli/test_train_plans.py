"""What says for `fdif train` which network: nnU-Net's plans, and recipes on rendered volumes."""

import dataclasses
import json
import shlex
from pathlib import Path

import pytest
from fdif_jax.models.resenc_plan import resenc_config_from_plans
from nnunet_plans import plans

from fdif_jax.cli.train import command, configs
from fdif_jax.train.plan import make_plan

ON_THE_FLY = "--on_the_fly --preset small"


@pytest.fixture(autouse=True)
def plans_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("plans.json").write_text(json.dumps(plans()))


def planned(line: str):
    with command.make_context("train", shlex.split(line)) as context:
        return make_plan(*configs(context.params))


def test_the_network_and_the_patch_are_those_of_the_plans():
    plan = planned(f"{ON_THE_FLY} --plans plans.json --preset paper")
    assert plan.config.patch == plan.config.generation.grid == (32, 192, 192)
    wanted = dataclasses.replace(resenc_config_from_plans(plans()), out_channels=110)
    assert plan.network == wanted


def test_another_patch_leaves_the_network_as_it_is():
    plan = planned(f"{ON_THE_FLY} --plans plans.json --grid_size 16 128 128")
    assert plan.config.patch == (16, 128, 128)
    assert plan.network.strides == resenc_config_from_plans(plans()).strides


def test_a_recipe_says_of_rendered_volumes_what_it_says_of_the_network():
    plan = planned(f"{ON_THE_FLY} --recipe small_mr")
    assert plan.network.features == (16, 32, 64, 128)
    assert plan.config.generation.grid == plan.config.patch == (32, 48, 32)
    assert not plan.config.resample


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ("--plans nowhere.json", ("nowhere.json cannot be read (No such file",)),
        ("--plans text.json", ("text.json is not JSON",)),
        ("--plans empty.json", ("no configuration '3d_fullres'", "there are: none")),
        ("--plans flat.json", ("no patch of three sizes for 3d_fullres",)),
        ("--plans plans.json --model_name vnet", ("describe a ResEnc, not vnet",)),
        ("--plans plans.json --feature_size 12", ("drop --model_option and --feature_size",)),
        ("--plans plans.json --model_option blocks=[1]", ("drop --model_option",)),
        ("--plans plans.json --grid_size 33 32 32", ("multiples of",)),
    ],
)
def test_plans_that_do_not_fit_are_refused(refuses, options, parts):
    Path("text.json").write_text("plans")
    Path("empty.json").write_text('{"configurations": {}}')
    Path("flat.json").write_text(json.dumps(plans(patch=(192, 192))))
    refuses(f"{ON_THE_FLY} {options}", *parts)
