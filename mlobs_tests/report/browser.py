"""A real headless Chromium for the tests of pages; fails with the mend when the browser is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def _program(*names: str) -> str:
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    pytest.fail(
        f"pages are tested in a real browser, and {names[0]} is not installed; on Debian: apt-get install chromium"
        " chromium-driver",
        pytrace=False,
    )


@contextmanager
def browser(
    folder: Path, *, width: int = 1280, height: int = 1000, scheme: str = "light", touch: bool = False
) -> Iterator[webdriver.Chrome]:
    """A fresh browser of that size and colour scheme; its profile lives in `folder`."""
    options = Options()
    options.binary_location = _program("chromium", "chromium-browser", "google-chrome")
    for flag in (*FLAGS, f"--user-data-dir={folder}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(_program("chromedriver")))
    try:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        if touch:
            driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
        preferred = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", preferred)
        yield driver
    finally:
        driver.quit()


def complaints(driver: webdriver.Chrome) -> list[str]:
    """Warnings and errors of the console since it was last read."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def requested(driver: webdriver.Chrome) -> list[str]:
    """Every address the page asked for since the log was last read, inline data aside."""
    import json

    found = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            if not url.startswith(("data:", "chrome:", "chrome-untrusted:")):
                found.append(url)
    return found


INSIDE = """
    const inside = (root) => [...root.querySelectorAll('*')]
        .flatMap(e => [e, ...(e.shadowRoot ? inside(e.shadowRoot) : [])]);
"""
"""JavaScript: `inside(root)` lists all elements below a root, shadow trees included."""


def draw_all(driver: webdriver.Chrome) -> None:
    """Opens every field and brings every plot into view until it is drawn."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.execute_script("document.querySelectorAll('details.field').forEach(d => d.open = true)")
    for plot in driver.find_elements("css selector", "[data-plot]"):
        driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", plot)
        drawn = WebDriverWait(driver, 20, poll_frequency=0.05)
        name = plot.get_attribute("data-plot")
        drawn.until(lambda _, e=plot: e.get_attribute("data-drawn"), f"plot {name} was not drawn")
    driver.execute_script("window.scrollTo({top: 0, behavior: 'instant'})")
