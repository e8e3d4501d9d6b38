"""Everything that README.md and docs/ show is run, on small grids and networks.

What trains, predicts and evaluates is in tests/train/test_training_pages.py.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import network_goldens as g
import numpy as np
import pytest
import view_sets
from click.testing import CliRunner
from pages import (
    NETWORKS,
    OTHERS,
    PAGES,
    README,
    ROOT,
    blocks,
    commands,
    is_of_training,
    printed,
)
from PIL import Image
from tiny_runs import write_set

from fdif_jax.cli import cli
from fdif_jax.interop import export_file
from fdif_jax.model_io import save_model

SMALL = shlex.split("--D 16 --H 16 --W 16 --num_samples 2 --min_objects 1 --max_objects 3")
FEW = shlex.split("--D 16 --H 16 --W 16 --samples_per_class 1")
TINY = shlex.split(
    "--model_name primus_s --grid_size 8 8 16 --model_option hidden_size=12 depth=1 heads=1 "
    "--updates 1"
)
BY_HAND = {"scripts/quickstart", "scripts/test"}
LISTS = "scripts/make_datalist "
"""Run by other tests, or by what runs the tests."""
WITH_PYTHON = {"README.md", "docs/networks.md", "docs/training.md"}
"""Pages whose snippets a test runs."""


def table_rows() -> list[str]:
    rows = re.findall(r"^\| `(--[^`]*)` \|", README, re.MULTILINE)
    return [f"fdif generate {row} --out_dir table" for row in rows]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plugin = next(code for code in blocks("python", README) if "catalog = (" in code)
    Path("my_shapes.py").write_text(plugin)
    Path("scene.json").write_text(blocks("json", README)[0])
    yield tmp_path
    sys.modules.pop("my_shapes", None)


def small(words: list[str]) -> list[str]:
    """The same command on a small grid; a later value replaces an earlier one."""
    if words[:2] == ["benchmark", "train"]:
        return [*words, *TINY]
    if words[0] == "visualize":
        return [*words, "--grid", "16"]
    if words[0].endswith("-classification") or words[1].endswith("-classification"):
        return [*words, *FEW]
    if words[0] != "generate" and words[:2] != ["benchmark", "generate"]:
        return words
    return [*words, *SMALL, *(["--num_val_samples", "1"] if "--num_val_samples" in words else [])]


def provide_input(line: str) -> None:
    """The folder or file that a command reads: small networks, a small data set."""
    if line.startswith("fdif view "):
        provide_what_is_seen(*shlex.split(line)[2:])
    elif line == "fdif validate cls_dataset":
        made = ["generate-classification", "--out_dir", "cls_dataset", "--quiet", *FEW]
        assert CliRunner().invoke(cli, made).exit_code == 0
    elif model := re.search(r"--model (\S+)", line):
        save_model(model[1], g.unetr())
    elif "unetr.safetensors" in line:
        export_file(g.unetr(), Path("unetr.safetensors"), to="safetensors")


def provide_what_is_seen(path: str, *options: str) -> None:
    """A run, predictions with their references, or a data set."""
    if path.startswith("training_output"):
        view_sets.run(Path(path))
    elif "--reference" in options:
        listed = write_set(Path(options[-1]).parent)
        view_sets.predictions(Path(path), listed)
    else:
        write_set(Path(path))


@pytest.fixture(autouse=True)
def _ctrl_c(monkeypatch):
    """A page that is served is served until then."""

    def pressed(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("socketserver.BaseServer.serve_forever", pressed)


def own_commands() -> list[str]:
    """Those that neither train nor use what was trained."""
    lines = [line for line in commands(*OTHERS.values()) if line.startswith("fdif ")]
    return [line for line in lines if not is_of_training(line)]


def with_tier(line: str):
    """Most of what renders is for the slow tier: each line compiles other programs."""
    renders = line.startswith(("fdif generate", "fdif render", "fdif visualize", "fdif benchmark"))
    slow = renders and line != "fdif generate --preset paper --out_dir pretraining_data --seed 0"
    return pytest.param(line, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(
    "line",
    [line for line in [*commands(*PAGES.values()), *table_rows()] if line.startswith("fdif ")],
)
def test_the_options_of_a_command_are_known(line):
    command, words = cli, shlex.split(line)[1:]
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(click.Context(command), words)
    command.make_context(name, words)


@pytest.mark.parametrize(
    "line",
    [with_tier(line) for line in [*own_commands(), *table_rows()]],
)
def test_command_of_the_pages_runs(folder, line):
    provide_input(line)
    result = CliRunner().invoke(cli, small(shlex.split(line)[1:]))
    assert result.exit_code == 0, result.output
    if line.startswith("fdif view "):
        assert list(Path().rglob("index.html"))
    elif (out := re.search(r"--out(?:put)?_dir (\S+)", line)) and "--dry_run" not in line:
        assert any(path.is_file() for path in Path(out[1]).rglob("*"))


def test_pictures_are_there_shown_and_small():
    files = sorted((ROOT / "docs/pictures").iterdir())
    shown = set(re.findall(r"!\[[^]]+\]\((docs/pictures/[a-z]+\.webp)\)", README))
    assert {str(path.relative_to(ROOT)) for path in files} == shown
    assert sum(path.stat().st_size for path in files) < 1.5e6


def test_other_commands_are_known_scripts():
    lines = commands(*OTHERS.values())
    assert {line for line in lines if not line.startswith(("fdif ", LISTS))} == BY_HAND
    mentioned = set(re.findall(r"`(scripts/[a-z_.]+)", "\n".join(PAGES.values())))
    assert all((ROOT / name).is_file() for name in mentioned)


def test_lists_are_made_as_the_script_says():
    """Its own tests run them."""
    head = (ROOT / "scripts/make_datalist").read_text().split('"""')[1]
    shown = {" ".join(line.split()) for line in commands(f"```bash\n{head}\n```")}
    listed = (line for line in commands(*OTHERS.values()) if line.startswith(LISTS))
    lines = {" ".join(line.split()) for line in listed}
    assert lines
    assert lines <= shown


def test_pages_that_are_named_exist():
    named = re.findall(r"\b(docs/[a-z0-9/-]+\.md|CHANGELOG\.md)", " ".join(PAGES.values()))
    for name in set(named):
        assert (ROOT / name).is_file(), name


@pytest.mark.parametrize("name", PAGES)
def test_links_to_files_lead_somewhere(name):
    """As a code host follows them; tests/test_site.py follows them in the site."""
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", PAGES[name]):
        if "://" not in link:
            assert (ROOT / name).parent.joinpath(link).is_file(), link


@pytest.mark.slow
def test_python_of_the_readme_runs(folder):
    code = next(code for code in blocks("python", README) if "stream(" in code)
    assert printed(code)[0] == "(2, 96, 96, 96) (2, 96, 96, 96)"


def test_every_page_with_python_is_run():
    assert {name for name, page in OTHERS.items() if blocks("python", page)} == WITH_PYTHON


def test_every_snippet_of_the_readme_is_run():
    known = ("stream(", "catalog = (", "create_model(")
    assert [sum(mark in code for mark in known) for code in blocks("python", README)] == [1, 1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("page", [README, NETWORKS], ids=["README.md", "docs/networks.md"])
def test_python_of_the_networks_prints_what_it_says(folder, page):
    snippets = blocks("python", page)
    if page is README:
        snippets = [code for code in snippets if "create_model(" in code]
    code = "\n".join(snippets)
    assert printed(code) == re.findall(r"^print\(.*\)  # (\([^)]*\))", code, re.MULTILINE)


@pytest.mark.slow
def test_quickstart_runs_in_a_fresh_clone(tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    done = subprocess.run(
        ["scripts/quickstart"], cwd=clone, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr
    assert "109 OnionedEightStarConePrism + inverse_cube" in done.stdout
    assert len(list(clone.glob("outputs/quickstart/visualizations/*.png"))) == 4


@pytest.mark.slow
def test_pictures_are_what_the_script_draws(tmp_path):
    """But for the prediction, which needs a trained network."""
    script = [sys.executable, str(ROOT / "scripts/pictures"), "--out", str(tmp_path)]
    done = subprocess.run(script, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "prediction.webp is left as it is: give --model DIR" in done.stdout
    drawn = sorted(tmp_path.iterdir())
    assert len(drawn) == 4
    for path in drawn:
        shown = ROOT / "docs/pictures" / path.name
        once, again = (np.asarray(Image.open(file), float) for file in (shown, path))
        assert once.shape == again.shape
        assert np.abs(once - again).mean() < 1  # grey levels: fonts and codecs may differ
