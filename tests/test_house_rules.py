"""Who may import whom, read off the source."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

_NETWORKS_ON_DATA = {
    *("models", "model_io", "model_weights", "interop"),
    *("data", "synth", "io", "config", "compilation"),
}
# A part of the package and the parts it may use, itself besides. Everyone may use errors.
MAY_USE = {
    "errors": set(),
    "calibrate": set(),
    "compilation": set(),
    "config": set(),
    "classification": {"config"},
    "faults": set(),
    "memory": set(),
    "grid": {"config"},
    "sdf": set(),
    "synth": {"sdf", "grid", "config", "classification"},
    "io": {"config", "classification"},
    "data": {"io", "config"},
    "models": set(),
    "model_weights": {"models"},
    "model_io": {"models", "model_weights", "config", "faults"},
    "interop": {"models", "io"},
    "infer": {*_NETWORKS_ON_DATA, "faults"},
    "viz": {"io", "synth", "infer", "data", "config", "grid"},
    "view": {"viz", "infer", "data", "io", "train"},
    "train": {*_NETWORKS_ON_DATA, "infer", "viz", "memory", "faults"},
}
# Parts in which a whole library is out of place.
NO_JAX = {"io", "errors", "config", "classification", "calibrate", "memory", "faults"}
# numpy comes with jax: networks make their static tables with it.
ONLY_JAX_AND = {"sdf": {"jax"}, "models": {"jax", "flax", "numpy"}}
TOP = {"cli", "benchmark", "__init__"}
"""May use everything: the commands, and what measures them."""


def sources():
    for path in sorted((ROOT / "fdif_jax").rglob("*.py")):
        parts = path.relative_to(ROOT / "fdif_jax").with_suffix("").parts
        yield pytest.param(path, parts[0], id=".".join(parts))
    for path in sorted((ROOT / "models").rglob("*.py")):
        yield pytest.param(path, "models", id=f"models.{path.stem}")


def imports(tree: ast.AST, path: Path):
    """Every imported module as a dotted name, with whether it is imported at module level."""
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        at_top = id(node) not in inside
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, at_top
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", at_top
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module"
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.args[0].value, at_top


def part_of(module: str) -> str | None:
    """The part of fdif_jax that a dotted name belongs to; None for other packages."""
    words = module.split(".")
    if words[0] != "fdif_jax":
        return None
    return words[1] if len(words) > 1 else "__init__"


def violations(source: str, part: str, path: Path = ROOT):
    for module, at_top in imports(ast.parse(source), path):
        used, library = part_of(module), module.split(".")[0]
        if library in ("torch", "scripts", "tests", "conftest"):
            if library != "torch" or part != "interop" or at_top:
                yield module
        elif used is not None and part not in TOP:
            if used not in {part, "errors", *MAY_USE.get(part, ())} and used[0] != "_":
                yield module
        elif used is None and (
            (part in NO_JAX and library in ("jax", "flax", "optax", "orbax"))
            or (
                part in ONLY_JAX_AND and library not in ONLY_JAX_AND[part] | sys.stdlib_module_names
            )
        ):
            yield module


@pytest.mark.parametrize(("path", "part"), list(sources()))
def test_imports_follow_the_drawing(path, part):
    assert part in MAY_USE or part in TOP, f"{part} is new: say in MAY_USE what it may import"
    assert list(violations(path.read_text(), part, path)) == []


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("io", "import jax.numpy as jnp"),
        ("io", "from fdif_jax.synth import render"),
        ("sdf", "import numpy"),
        ("sdf", "from fdif_jax import config"),
        ("sdf", "from fdif_jax.grid import Grid"),
        ("models", "from fdif_jax.config import PAPER"),
        ("models", "def f():\n    import optax"),
        ("synth", "def f():\n    from fdif_jax.io import nifti"),
        ("synth", "import importlib\nimportlib.import_module('fdif_jax.cli')"),
        ("train", "from fdif_jax.cli import main"),
        ("interop", "import torch"),
        ("train", "def f():\n    import torch"),
        ("cli", "import torch"),
        ("cli", "import scripts.bench"),
    ],
)
def test_the_rules_see_what_breaks_them(part, source):
    assert list(violations(source, part))


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("interop", "def f():\n    import torch"),
        ("synth", "from fdif_jax.errors import InputError"),
        ("models", "from fdif_jax.models.blocks import Block\nfrom flax import nnx"),
        ("cli", "from fdif_jax.viz import slices"),
    ],
)
def test_the_rules_let_pass_what_keeps_them(part, source):
    assert list(violations(source, part)) == []


def test_modules_beside_tests_are_told_apart_by_their_names():
    """Tests import them by their bare names: each may mean one file only."""
    files = [path for path in (ROOT / "tests").rglob("*.py") if path.stem != "conftest"]
    names = [path.stem for path in files]
    assert sorted(set(names)) == sorted(names)
    assert not set(names) & {path.name for path in (ROOT / "tests").rglob("*") if path.is_dir()}
    for path in files:
        used = [name.split(".")[0] for name, _ in imports(ast.parse(path.read_text()), path)]
        assert "conftest" not in used, path
