"""The command line in an empty folder, with a cheap recipe where one is wanted."""

import pytest
from click.testing import CliRunner
from fake_recipe import FakeRecipe

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


@pytest.fixture
def fdif(tmp_path, monkeypatch):
    """Runs `fdif ARGS` in an empty folder; returns click's result."""
    monkeypatch.chdir(tmp_path)

    def run(args, *more):
        words = [*args.split(), *map(str, more)]
        return CliRunner().invoke(cli, words)

    return run
