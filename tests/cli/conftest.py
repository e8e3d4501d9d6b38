"""The command line with a cheap recipe, for tests in which what is rendered does not matter."""

import types

import numpy as np
import pytest
from click.testing import CliRunner

from fdif_jax.cli import cli
from fdif_jax.synth.labels import class_table


class FakeRecipe:
    """Real classes; voxels that are a function of (seed, split, index) and cost nothing."""

    def __init__(self, config, seed, catalog):
        self.config, self.seed = config, seed
        self.classes = class_table(config, catalog, seed)

    def produce(self, split, index):
        rng = np.random.default_rng([self.seed, int(split == "validation"), index])
        tasks = self.classes.tasks
        label = rng.integers(0, 2, self.config.grid)
        if tasks:
            label = np.stack([label] * len(tasks), axis=-1)
        return types.SimpleNamespace(
            image=rng.integers(0, 129, self.config.grid, dtype=np.uint8),
            label=label.astype(self.classes.dtype),
            scene=lambda: {"grid": list(self.config.grid), "objects": []},
        )


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


def assert_one_sentence(result, *parts):
    """Exit code 2, one line behind ``Error:``, no traceback."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    lines = result.output.splitlines()
    assert len(lines) == 1, result.output
    assert lines[0].startswith("Error: ")
    assert lines[0][-1] in ".?)", lines[0]
    assert "Traceback" not in result.output
    for part in parts:
        assert part in lines[0], lines[0]
