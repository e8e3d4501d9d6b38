"""The pages whose commands and snippets are run, and how to take them out.

``PAGES`` is README.md and all of docs/: a new page's commands are run without being listed here.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
}
GUIDES = {
    name: page
    for name, page in PAGES.items()
    if name == "docs/tutorial.md" or name.startswith("docs/how-to/")
}
"""Each is worked through from top to bottom; the commands of other pages are run one by one."""
OTHERS = {name: page for name, page in PAGES.items() if name not in GUIDES}
README = PAGES["README.md"]
NETWORKS = PAGES["docs/networks.md"]
TRAINING = PAGES["docs/training.md"]


def blocks(language: str, page: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def commands(*pages: str) -> list[str]:
    """The lines of all shell blocks, each once."""
    found = (line for p in pages for b in blocks("(?:ba)?sh", p) for line in shell_lines(b))
    return list(dict.fromkeys(found))


def shell_lines(block: str) -> list[str]:
    """Its commands, without comments and what starts a cluster job."""
    text = block.replace("\\\n", " ")
    lines = (line.split("  #")[0].strip().removeprefix("srun ") for line in text.splitlines())
    return [line for line in lines if line and line[0] != "#"]


def is_of_training(line: str) -> bool:
    """Whether tests/train/test_training_pages.py runs it."""
    return line.startswith(("fdif train", "fdif predict", "fdif evaluate"))


def is_of_classes(line: str) -> bool:
    """Whether tests/train/test_classification_page.py runs it."""
    return is_of_training(line) and "cls_" in line


def printed(code: str) -> list[str]:
    """What a snippet prints, line by line."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
