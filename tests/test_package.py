"""What is built installs and runs from an empty environment."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*words: object, **options) -> str:
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, check=False, timeout=900, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_wheel_and_sdist_install_and_run_from_an_empty_environment(tmp_path):
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", ROOT, clone)
    run(sys.executable, "-m", "build", "--outdir", tmp_path / "dist", clone)
    wheel, sdist = (next((tmp_path / "dist").glob(end)) for end in ("*.whl", "*.tar.gz"))
    names = zipfile.ZipFile(wheel).namelist()
    template = "fdif_jax/io/templates/sdf_classification.py.txt"
    viewer = {"fdif_jax/view/niivue/niivue.umd.js", "fdif_jax/view/niivue/LICENSES.txt"}
    page = {f"fdif_jax/view/page/{name}" for name in ("index.html", "run.html", "main.js")}
    own = {"fdif_jax/models/__init__.py", "fdif_jax/py.typed", template}
    assert own | viewer | page <= set(names)
    assert not [name for name in names if name.startswith(("models/", "tests/", "scripts/"))]
    # The sdist too must give all of it: a wheel is built from it and installed.
    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "again", *unpack(sdist))
    again = next((tmp_path / "again").glob("*.whl"))
    assert set(zipfile.ZipFile(again).namelist()) == set(names)
    venv.create(tmp_path / "empty", with_pip=True)
    bin_folder = tmp_path / "empty" / "bin"
    run(bin_folder / "pip", "install", "--quiet", wheel)
    out = tmp_path / "data"
    small = ["--D", "16", "--H", "16", "--W", "16", "--num_samples", "2", "--seed", "1", "--quiet"]
    run(bin_folder / "fdif", "generate", *small, "--out_dir", out, cwd=tmp_path)
    run(bin_folder / "fdif", "validate", out, cwd=tmp_path)
    assert len(list(out.glob("data/image/*/*.nii.gz"))) == 2


def unpack(sdist: Path) -> list[Path]:
    run("tar", "-xzf", sdist, "-C", sdist.parent)
    return [next(path for path in sdist.parent.iterdir() if path.is_dir())]
