"""The command line in an empty folder, with a cheap recipe where one is wanted."""

import shutil

import pytest
from click.testing import CliRunner
from fake_recipe import FakeRecipe
from one_sentence import assert_one_sentence
from tiny_runs import write_set

from fdif_jax.cli import cli


@pytest.fixture
def fake_recipe(monkeypatch):
    monkeypatch.setattr("fdif_jax.synth.recipes.make_recipe", FakeRecipe)


@pytest.fixture(params=["stand-in", pytest.param("rendered", marks=pytest.mark.slow)])
def voxels(request, monkeypatch):
    """Runs a test with stand-in voxels in the fast tier, and rendered ones in the slow tier.

    Each configuration is compiled anew, which takes ten seconds.
    """
    if request.param == "stand-in":
        monkeypatch.setattr("fdif_jax.synth.recipes.make_recipe", FakeRecipe)


@pytest.fixture(scope="session")
def _small_set(tmp_path_factory):
    root = tmp_path_factory.mktemp("small")
    write_set(root / "d", training=2, validation=1)
    return root


@pytest.fixture
def listed(_small_set, fdif, tmp_path):
    """The folder ``d`` with a data list of three cases, to read, where `fdif` runs."""
    (tmp_path / "d").symlink_to(_small_set / "d")


@pytest.fixture
def small_set(_small_set, fdif, tmp_path):
    """The same, to be changed."""
    shutil.copytree(_small_set, tmp_path, dirs_exist_ok=True)
    return tmp_path / "d"


@pytest.fixture
def refuses(fdif, tmp_path, monkeypatch):
    """Runs `fdif train`; it must end in one sentence, with nothing compiled and nothing written."""

    def compiled(*args, **kwargs):
        raise AssertionError("compiled")

    monkeypatch.setattr("fdif_jax.train.loop.compile_update", compiled)

    def run(line, *parts):
        before = sorted(tmp_path.rglob("*"))
        assert_one_sentence(fdif(f"train --quiet --out_dir out {line}"), *parts)
        assert sorted(tmp_path.rglob("*")) == before

    return run


@pytest.fixture
def fdif(tmp_path, monkeypatch):
    """Runs `fdif ARGS` in an empty folder; returns click's result."""
    monkeypatch.chdir(tmp_path)

    def run(args, *more):
        words = [*args.split(), *map(str, more)]
        return CliRunner().invoke(cli, words)

    return run
