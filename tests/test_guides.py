"""docs/tutorial.md and docs/how-to/: each is worked through as its reader would, on small data.

What needs PyTorch is left out here, and done in ``scripts/test --reference``.
"""

import importlib.util

import pytest
from guides import work_through
from pages import GUIDES

WITH_PYTORCH = [name for name, page in GUIDES.items() if ".pth" in page or "import torch" in page]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


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
