"""The site that `scripts/docs` builds: whole, without a warning, and without a network."""

import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import chromium
import click
import pytest
from pages import ROOT

from fdif_jax.cli import COMMANDS, cli
from fdif_jax.synth.table import ALIASES, CATEGORIES, PRIMITIVES

pytestmark = pytest.mark.slow
FOLLOWED = {"a"}
"""Tags whose address a reader follows; those of all others are loaded."""
LOADING_LINKS = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch"}


class Page(HTMLParser):
    """What a page loads, links to and can be linked at."""

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.loaded, self.links, self.ids = path, [], [], set()
        self.text: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link":
            if LOADING_LINKS & set(values.get("rel", "").split()):
                self.loaded.append(values["href"])
        else:
            names = ("src", "srcset", "href", "data", "poster", "action", "xlink:href")
            self.loaded += [values[name] for name in names if name in values]
        self.loaded += re.findall(r"url\(([^)]*)\)", values.get("style", ""))

    def handle_data(self, data):
        self.text.append(data)


def built(out: Path) -> subprocess.CompletedProcess:
    """The site, made with the words of the script."""
    line = re.search(r"^.*(sphinx-build .*)$", (ROOT / "scripts/docs").read_text(), re.MULTILINE)[1]
    words = shlex.split(line.replace("$repository", str(ROOT)).replace("$site", str(out)))
    command = [sys.executable, "-m", "sphinx", *words[1:]]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = built(out)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def is_outside(address: str) -> bool:
    return bool(re.match(r"\s*['\"]?\s*([a-z]+:)?//", address, re.IGNORECASE))


def test_every_page_of_docs_is_in_the_site(site, pages):
    sources = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    assert len(sources) > 30
    for source in sources:
        assert site / source.with_suffix(".html") in pages


def test_nothing_is_loaded_from_outside(site, pages):
    assert all(page.loaded for page in pages.values())
    for path, page in pages.items():
        assert [address for address in page.loaded if is_outside(address)] == [], path
    for path in site.rglob("*.css"):
        asked = re.findall(r"url\(([^)]*)\)|@import\s+([^;]*)", path.read_text())
        assert [pair for pair in asked if any(map(is_outside, pair))] == [], path
    for path in site.rglob("*.js"):
        assert not re.search(
            r"(fetch|importScripts|import)\(\s*['\"](https?:)?//", path.read_text()
        )


def test_internal_links_lead_somewhere(pages):
    seen = 0
    for path, page in pages.items():
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].ids, f"{path}: {link}"
            seen += 1
    assert seen > 1000


def test_pages_fit_a_phone_and_ask_nobody(driver, pages):
    browser = chromium.Pages(driver)
    for path in pages:
        browser.open(path.as_uri(), size=(390, 844), phone=True)
        assert browser.script("return document.documentElement.scrollWidth") <= 390, path
        assert browser.asked() <= {"file:", "data:"}, path
        assert browser.complaints() == [], path


def named(command: click.Command, path: str):
    """Every command and sub-command with its options as they are given."""
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    yield path, {name for option in options for name in (*option.opts, *option.secondary_opts)}
    for name, inner in getattr(command, "commands", {}).items():
        yield from named(inner, f"{path} {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_a_page_with_every_option(site, name):
    page = (site / f"reference/commands/{name}.html").read_text()
    command = cli.get_command(click.Context(cli), name)
    for path, options in named(command, f"fdif {name}"):
        prefix = re.escape("cmdoption-" + path.replace(" ", "-"))
        shown = re.findall(rf'<dt[^>]* id="{prefix}-[^"]*">(.*?)</dt>', page, re.DOTALL)
        words = re.findall(r'descname"><span class="pre">([^<]*)', " ".join(shown))
        given = {word for word in words if word.startswith("-")}
        assert options <= given, path
        assert options == given or hasattr(command, "commands"), path


def test_pages_of_commands_are_those_of_the_help(site):
    shown = {path.stem for path in (site / "reference/commands").glob("*.html")}
    assert shown == set(COMMANDS)


def test_options_have_two_hyphens(pages):
    for path, page in pages.items():
        found = re.search(r"(^|[\s(])\N{EN DASH}\w.*", " ".join(page.text))
        assert found is None, f"{path}: {found[0]}"


def test_all_primitives_are_in_the_table(site):
    page = (site / "reference/primitives.html").read_text()
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", page, re.DOTALL)
    cells = [re.findall(r"<td>(.*?)</td>", row, re.DOTALL) for row in rows]
    plain = [[re.sub("<[^>]+>", "", cell).strip() for cell in row] for row in cells if row]
    wanted = [[str(i), row.name, row.display_name] for i, row in enumerate(PRIMITIVES, start=1)]
    assert [row[:3] for row in plain] == wanted
    assert set(ALIASES) <= {old for row in plain for old in row[-1].split(", ")}
    headings = re.findall(r"<h2>([a-z_]+)<", page)
    assert headings == list(CATEGORIES)
