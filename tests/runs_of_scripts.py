"""Scripts that go a whole way on real images, called as a person calls them."""

import os
import subprocess

from pages import ROOT


def run(name: str, *words, **env: str) -> subprocess.CompletedProcess[str]:
    """``scripts/NAME WORDS…`` with these variables besides."""
    line = [str(ROOT / "scripts" / name), *map(str, words)]
    return subprocess.run(line, env=os.environ | env, capture_output=True, text=True, check=False)


def assert_refused(name: str, words: str, part: str) -> None:
    """One sentence that holds ``part``, where there are no images; nothing is done."""
    found = run(name, *words.split(), FDIF_DATA_DIR="/nowhere")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.count("\n") == 1
    assert part in found.stderr
