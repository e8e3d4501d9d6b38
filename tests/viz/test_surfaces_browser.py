"""The page of `fdif visualize --3d` in a real browser: turned, light, dark and on a phone."""

import chromium
import numpy as np
import pytest
from click.testing import CliRunner

from fdif_jax.cli import cli

pytestmark = pytest.mark.slow

LOOKS = {
    "light": {},
    "dark": {"dark": True},
    "phone": {"size": (390, 844), "phone": True},
    "phone, dark": {"size": (390, 844), "phone": True, "dark": True},
}
CONTRAST = 4.5  # of WCAG 2, level AA
DRAWN = "document.querySelectorAll('#sheet canvas').length"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Two groups, of eight solids and of fewer."""
    out = tmp_path_factory.mktemp("sheet")
    line = "visualize --3d --categories basic star_torus --grid 32 --quiet --output_dir"
    result = CliRunner().invoke(cli, [*line.split(), str(out)])
    assert result.exit_code == 0, result.output
    return out / "primitives_3d.html"


@pytest.fixture
def pages(driver):
    return chromium.Pages(driver)


def ground(pixels):
    """The colour that most of a picture has."""
    colours, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    return colours[counts.argmax()]


@pytest.mark.parametrize("look", LOOKS)
def test_the_page_opens_from_the_disk_and_asks_for_nothing_else(pages, page, look):
    pages.open(page, **LOOKS[look])
    pages.wait(DRAWN)
    shown = pages.pixels("sheet")
    assert (np.abs(shown - ground(shown)).max(-1) > 60).mean() > 0.03  # solids and words
    assert (ground(shown).sum() < 200) == ("dark" in look)
    own = pages.script("return [document.documentElement.scrollWidth, innerWidth]")
    assert own[0] <= own[1]
    assert [told for told in pages.contrasts() if told[0] < CONTRAST] == []
    assert pages.complaints() == []
    assert pages.asked() <= {"file:", "data:", "blob:"}


def test_the_page_may_not_ask_anybody(pages, page):
    pages.open(page)
    told = pages.driver.execute_async_script(
        "const tell = arguments[0];"
        "fetch('https://a.example/').then(() => tell('answered'), () => tell('refused'))"
    )
    assert told == "refused"
    assert any("Content Security Policy" in text for text in pages.complaints())


def test_a_solid_is_turned_and_the_others_are_not(pages, page):
    from selenium.webdriver.common.action_chains import ActionChains

    pages.open(page)
    pages.wait(DRAWN)
    before = pages.pixels("sheet")
    sheet = pages.at("sheet")
    width, height = sheet.size["width"], sheet.size["height"]
    drag = ActionChains(pages.driver).move_to_element_with_offset(sheet, -width // 8, -height // 4)
    drag.click_and_hold().move_by_offset(40, 70).move_by_offset(20, 20).release().perform()
    moved = np.abs(pages.pixels("sheet") - before).max(-1)[: height // 2 - 30] > 16
    quarters = [part[60:].mean() for part in np.array_split(moved, 4, axis=1)]
    assert quarters[1] > 0.02  # the second of the row, which is a cylinder
    assert max(quarters[0], *quarters[2:]) < 0.002


def test_another_group_is_chosen_by_key(pages, page):
    from selenium.webdriver.common.keys import Keys

    pages.open(page)
    pages.wait(DRAWN)
    assert ("group", True) in pages.tabbed()
    pages.at("group").send_keys(Keys.ARROW_DOWN)
    pages.wait("document.getElementById('sheet').textContent.includes('FiveStarTorus')")
    assert "Octahedron" not in pages.text("sheet")
    assert pages.complaints() == []
