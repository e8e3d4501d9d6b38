"""`fdif visualize`: the original's command lines, what is written, what is refused."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from matplotlib.image import imread
from one_sentence import assert_one_sentence

from fdif_jax import Catalog
from fdif_jax.cli import visualize
from fdif_jax.viz import gallery

SMALL = "visualize --grid 16"
PLUGIN = """
import jax.numpy as jnp
from fdif_jax import Catalog

def slab(x, y, z, *, thick):
    return jnp.abs(z) - thick{fault}

catalog = (
    Catalog.default()
    .with_primitive("slab", slab, ranges={{"thick": (0.1, 0.2)}})
    .with_mapper("step", lambda d: jnp.where(d <= 0, 128.0, 0.0))
)
"""


@pytest.fixture
def plugin(fdif, tmp_path):
    def write(fault=""):
        (tmp_path / "slabs.py").write_text(PLUGIN.format(fault=fault))

    yield write
    sys.modules.pop("slabs", None)


def written(folder="visualizations") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_displaced_surfaces_of_two_primitives(fdif):
    result = fdif(
        f"{SMALL} --displaced --3d --displaced_primitives Sphere Cylinder "
        "--displacement_functions perlin_fine turbulence"
    )
    assert result.exit_code == 0, result.output
    assert written() == ["displaced_3d.html", "displaced_3d.png"]
    page = Path("visualizations/displaced_3d.html").read_text()
    groups = ('"name": "Sphere", "first": 0', '"name": "Cylinder", "first": 3', "turbulence")
    assert all(text in page for text in groups)
    last = r"wrote .*/displaced_3d.html: 6 solids, 16³ voxels, seed 0 \(\d+\.\d MiB\)"
    assert re.fullmatch(last, result.output.splitlines()[-1])


def test_variations_of_one_primitive(fdif):
    line = f"{SMALL} --variations --variation_primitive Cylinder --num_variations 9 --quiet"
    result = fdif(line)
    assert (result.exit_code, result.output) == (0, "")
    picture = Path("visualizations/variations_cylinder.png")
    assert written() == [picture.name]
    assert imread(picture).shape[1] > 3 * 2 * 128  # three tiles of two panels in a row
    first = picture.read_bytes()
    assert_one_sentence(fdif(line), "variations_cylinder.png exists", "--overwrite")
    assert fdif(f"{line} --overwrite").exit_code == 0
    assert picture.read_bytes() == first
    assert fdif(f"{line} --output_dir other --seed 1").exit_code == 0
    assert Path("other", picture.name).read_bytes() != first


def test_displacements_are_listed(fdif):
    result = fdif("visualize --list_displacements")
    assert result.exit_code == 0
    assert result.output == fdif("list displacements").output
    assert not Path("visualizations").exists()


@pytest.mark.slow  # another catalog is another program
def test_a_plugin_s_primitives_and_mappers_are_shown(fdif, plugin):
    plugin()
    line = f"{SMALL} --plugin slabs:catalog --primitives slab --sdf_mappers step"
    result = fdif(f"{line} --out-dir here")
    assert result.exit_code == 0, result.output
    assert imread("here/primitives.png")[..., :3].max() == 1


def test_a_plugin_that_does_not_run_is_one_sentence(fdif, plugin, tmp_path):
    plugin(fault=" + jnp.zeros(5)")
    result = fdif(f"{SMALL} --plugin slabs:catalog --primitives slab --quiet")
    assert_one_sentence(result, "plugin 'slabs:catalog' cannot be rendered")
    assert not Path("visualizations").exists()


@pytest.mark.parametrize("line", ["import none_such", "exit(3)", "1 / 0"])
def test_a_plugin_that_cannot_be_imported_is_one_sentence(fdif, tmp_path, line):
    (tmp_path / "odd.py").write_text(line)
    result = fdif("visualize --plugin odd:catalog")
    assert_one_sentence(result, "plugin module 'odd' cannot be imported")


def test_a_folder_in_the_place_of_a_file_is_kept(fdif, tmp_path):
    (tmp_path / "out/primitives_3d.html").mkdir(parents=True)
    result = fdif(f"{SMALL} --primitives sphere --3d --output_dir out --overwrite")
    assert_one_sentence(result, "out/primitives_3d.html is a folder")
    assert written("out") == ["primitives_3d.html"]


def test_a_folder_that_is_not_writable_is_told_before_all_is_drawn(fdif, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert_one_sentence(fdif(f"{SMALL} --primitives sphere"), "is not writable; choose another")


def test_names_of_a_plugin_are_no_folders(fdif, monkeypatch):
    catalog = Catalog.default().with_primitive("../a b/c", None, ranges={})
    monkeypatch.setattr(visualize, "load_catalog", lambda plugin: (catalog, None))
    monkeypatch.setattr(gallery, "draw", lambda gallery, progress: {".png": b""})
    line = "visualize --variations --num_variations 2 --output_dir out --quiet"
    result = fdif(line, "--variation_primitive", "../a b/c")
    assert result.exit_code == 0, result.output
    assert written("out") == ["variations_.._a_b_c.png"]


@pytest.mark.slow
@pytest.mark.parametrize("options", ["", "--3d"])
def test_all_primitives_and_their_unions(fdif, options):
    assert fdif(f"{SMALL} --quiet {options}").exit_code == 0
    result = fdif(
        f"{SMALL} --quiet {options} --unions sphere cone Torus hexagonprism --primitives sphere "
        "--output_dir unions"
    )
    assert result.exit_code == 0, result.output
    endings = ["_3d.html", "_3d.png"] if options else [".png"]
    assert written() == written("unions") == [f"primitives{ending}" for ending in endings]


BAD = [
    ("--primitives sphear", "unknown primitive 'sphear'", "did you mean 'sphere'?"),
    ("--displaced --displaced_primitives Spheres", "did you mean 'sphere'?"),
    ("--variations --variation_primitive cylindre", "did you mean 'cylinder'?"),
    ("--variations --variation_primitive=", "unknown primitive ''"),
    ("--displaced --displacement_functions perlin", "unknown displacement", "perlin_fine"),
    ("--sdf_mappers cube", "unknown mapper 'cube'", "inverse_cube"),
    ("--categories basics", "did you mean 'basic'?"),
    ("--unions sphere", "unions holds 1 name, an odd number; give pairs"),
    ("--planes coronel", "unknown plane 'coronel'; did you mean 'coronal'?"),
    ("--grid 7", "grid is 7; allowed: 8 or more"),
    ("--grid 30000", "30000x30000x30000", "choose a smaller --grid"),
    ("--seed -1", "seed is -1"),
    ("--variations --num_variations 0", "num_variations is 0; allowed: 1 or more"),
    ("--variations --num_variations 5000", "5000 solids; at most 2000"),
    ("--displaced --variations", "--displaced does not go with --variations"),
    ("--displaced_primitives sphere", "is for --displaced; add --displaced, or drop"),
    ("--displacement_functions ridge", "is for --displaced"),
    ("--num_variations 3", "is for --variations"),
    ("--num_variations 0", "is for --variations"),
    ("--primitives sphere --output_dir /dev/null/a", "is a file, or below one; choose a folder"),
    ("--output_dir ~nobody_of_that_name/a", "a path leads nowhere"),
    ("--displaced --primitives sphere", "--displaced_primitives"),
    ("--variations --categories basic", "--variation_primitive"),
    ("--3d --sdf_mappers modular_5", "surfaces have no intensities"),
    ("--3d --planes axial", "surfaces are not cut"),
    ("--plugin nocolon", "give module:catalog"),
    ("--primitives", "at least one value"),
    ("--displacd", "No such option"),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case[0])
def test_visualize_refuses(fdif, tmp_path, case):
    options, *parts = case
    assert_one_sentence(fdif(f"visualize {options}"), *parts)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_folder_s_place_is_refused(fdif, tmp_path):
    (tmp_path / "out").touch()
    assert_one_sentence(fdif("visualize --output_dir out"), "out is a file, or below one")


@pytest.mark.parametrize(
    ("missing", "options"), [("matplotlib", ""), ("plotly", "--3d"), ("skimage", "--3d")]
)
def test_without_a_package_the_message_names_the_extra(fdif, monkeypatch, missing, options):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == missing else found(n))
    result = fdif(f"{SMALL} --primitives sphere {options}")
    assert_one_sentence(result, missing, "pip install 'fdif-jax[viz]'")
