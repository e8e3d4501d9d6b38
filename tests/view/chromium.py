"""A headless Chromium that tells what it drew, and whom it asked."""

import contextlib
import io
import json
import os
import shutil
import time
import urllib.parse

import numpy as np
import PIL.Image
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    *("--headless=new", "--hide-scrollbars", "--disable-dev-shm-usage"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    # What asks for another machine in spite of everything finds none, and the test says so.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_PATIENCE = 60.0  # seconds; without a graphics card, a busy machine takes long


def start():
    """The driver, or the test is skipped."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    browser = next(filter(None, map(shutil.which, NAMES)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no Chromium with its driver is installed (chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver))


# Of each text that is seen: its contrast as WCAG 2 has it, and itself.
_CONTRASTS = """
const canvas = Object.assign(document.createElement('canvas'), {width: 1, height: 1});
const brush = canvas.getContext('2d', {willReadFrequently: true});
const over = (colours) => {
  brush.clearRect(0, 0, 1, 1);
  for (const colour of colours) { brush.fillStyle = colour; brush.fillRect(0, 0, 1, 1); }
  return [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const light = (rgb) => rgb.map((v) => v / 255)
  .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (e) => getComputedStyle(e).backgroundColor;
const grounds = (e) => (e ? [...grounds(e.parentElement), ground(e)] : []);
const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
return [...document.querySelectorAll('body *')]
  .filter((e) => own(e) && e.checkVisibility() && !e.matches('script, style, noscript'))
  .map((e) => {
    const below = ['white', ...grounds(e)];
    const style = getComputedStyle(e);
    const ink = e.ownerSVGElement ? style.fill : style.color;
    const [a, b] = [light(over(below)), light(over([...below, ink]))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.slice(0, 40)];
  });
"""


def _url(address):
    """Of a page's folder, of a file, or as it is."""
    if "://" in str(address):
        return address
    return (address if address.is_file() else address / "index.html").as_uri()


class Pages:
    """Opens pages, and looks at them as a person would."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, address, *, size=(1280, 860), dark=False, phone=False):
        """Opens a page and waits until a sample is drawn, in space too."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get("about:blank")  # an address that differs in # only would not load anew
        self.forget()
        self.driver.get(_url(address))
        if self.script("return !!document.getElementById('list')"):
            self.wait("document.body.dataset.embodied")
        return self

    def script(self, text, *args):
        return self.driver.execute_script(text, *args)

    def wait(self, condition):
        """Waits until an expression is true; a message on the page ends it."""
        end = time.monotonic() + _PATIENCE
        while not self.script(f"return !!({condition})"):
            message = self.script("return document.getElementById('message')?.textContent")
            assert not message, message
            assert time.monotonic() < end, f"{condition} does not come true"
            time.sleep(0.02)

    @contextlib.contextmanager
    def drawing(self):
        """Waits, after what is done inside, until something was drawn."""
        self.script("delete document.body.dataset.drawn; delete document.body.dataset.embodied")
        yield
        self.wait("document.body.dataset.embodied")

    def at(self, name):
        return self.driver.find_element("id", name)

    def text(self, name):
        return self.script("return document.getElementById(arguments[0]).textContent", name)

    def slide(self, name, value):
        """Moves a slider, as an arrow key would."""
        self.script(
            "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
            "e.dispatchEvent(new Event('input', {bubbles: true}))",
            name,
            value,
        )

    def pixels(self, name):
        """RGB of an element as it is seen, int."""
        with PIL.Image.open(io.BytesIO(self.at(name).screenshot_as_png)) as picture:
            return np.asarray(picture.convert("RGB")).astype(int)

    def axial(self):
        """RGB of the axial plane: without the words in its corner and at its top."""
        planes = self.pixels("planes")
        height, width = planes.shape[:2]
        return planes[int(0.08 * height) : height // 2 - 4, : width // 2 - 4]

    def contrasts(self):
        """Of each text that is seen how far it stands out, 1 to 21, and how it begins."""
        return self.script(_CONTRASTS)

    def tabbed(self):
        """What the Tab key reaches, in its order: id or text, and whether one sees it."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        self.script("document.activeElement.blur()")
        found = []
        for _ in range(100):
            ActionChains(self.driver).send_keys(Keys.TAB).perform()
            told = self.script(
                "const e = document.activeElement;"
                "const seen = e.type === 'radio' ? e.nextElementSibling : e;"
                "const {outlineStyle, outlineWidth} = getComputedStyle(seen);"
                "return e === document.body ? null"
                " : [e.id || e.name || e.className || e.textContent.trim(),"
                " outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1]"
            )
            if told is None:
                break
            found.append(tuple(told))
        return found

    def picture(self, *, whole=False):
        """A PNG of the window, or of the whole page."""
        import base64

        found = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole}
        )
        return base64.b64decode(found["data"])

    def forget(self):
        """Forgets what was asked for so far."""
        for kind in ("performance", "browser"):
            self.driver.get_log(kind)

    def asked(self):
        """The schemes and hosts of all that the page wanted since, whether it got it or not."""
        sent = self._events("Network.requestWillBeSent")
        urls = [urllib.parse.urlsplit(event["request"]["url"]) for event in sent]
        return {f"{url.scheme}:{url.hostname or ''}" for url in urls}

    def refused(self):
        """Why requests since were not even sent: ``csp`` where the page's policy forbade them."""
        return [event.get("blockedReason") for event in self._events("Network.loadingFailed")]

    def _events(self, method):
        entries = self.driver.get_log("performance")
        messages = (json.loads(entry["message"])["message"] for entry in entries)
        return [message["params"] for message in messages if message["method"] == method]

    def complaints(self):
        """What the console says of errors."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]
