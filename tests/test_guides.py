"""docs/tutorial.md and docs/how-to/: each is worked through as its reader would, on small data.

What needs PyTorch is left out here, and done in ``scripts/test --reference``.
"""

import importlib.util
import shlex

import click
import pytest
from guides import work_through
from pages import GUIDES, commands

from fdif_jax.cli import cli

LINES = [line for line in commands(*GUIDES.values()) if line.startswith("fdif ")]
WITH_PYTORCH = [name for name, page in GUIDES.items() if ".pth" in page or "import torch" in page]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.parametrize("line", LINES)
def test_the_options_of_a_command_are_known(line):
    command, words = cli, shlex.split(line)[1:]
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(click.Context(command), words)
    command.make_context(name, words)


@pytest.mark.slow
@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_works_from_top_to_bottom(name):
    left = work_through(GUIDES[name], pytorch=False)
    assert all(".pth" in line for line in left)


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore")  # of the other tools, not ours
@pytest.mark.parametrize("name", WITH_PYTORCH)
def test_a_guide_works_with_the_other_tools(name):
    if not importlib.util.find_spec("torch"):
        pytest.skip("the reference tests need PyTorch")
    assert work_through(GUIDES[name], pytorch=True) == []


def test_there_are_guides():
    assert {"docs/tutorial.md", "docs/how-to/own-data.md"} <= set(GUIDES)
    assert len(GUIDES) == 7
