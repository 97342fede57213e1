"""The report in a real browser: everything is drawn, nothing is fetched, nothing hostile runs, it fits a phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlobs.report.page import index_html, model_html
from mlobs_tests.report import pages
from mlobs_tests.report.browser import INSIDE, browser, complaints, draw_all, requested

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    page = pages.page(270, 5)
    (folder / "arrival_delay.html").write_text(model_html(page), encoding="utf-8")
    (folder / "index.html").write_text(index_html([page], page.now), encoding="utf-8")
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "touch"), [(1280, False), (390, True)])
def test_all_plots_are_drawn_without_a_complaint_or_a_request(
    written: Path, tmp_path: Path, width: int, scheme: str, touch: bool
) -> None:
    address = (written / "arrival_delay.html").as_uri()
    with browser(tmp_path, width=width, scheme=scheme, touch=touch) as driver:
        driver.get(address)
        draw_all(driver)
        plots = driver.execute_script("return [...document.querySelectorAll('[data-plot]')].map(e => e.dataset.drawn)")
        assert plots == ["yes"] * 18
        script = "return Bokeh.documents.flatMap(d => d.roots()).length"
        assert driver.execute_script(script) == 18
        blank = (
            INSIDE
            + """
            const painted = (c) => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
                                     return d.some((v) => v > 0) };
            const canvases = (e) => inside(e).filter(x => x.tagName === 'CANVAS' && x.width && x.height);
            const plots = [...document.querySelectorAll('[data-plot]')];
            return plots.filter(e => !canvases(e).some(painted)).map(e => e.dataset.plot)"""
        )
        assert driver.execute_script(blank) == []
        beyond = "const e = document.documentElement; return e.scrollWidth - e.clientWidth"
        assert driver.execute_script(beyond) == 0
        assert complaints(driver) == []
        assert requested(driver) == [address]


def test_hostile_names_stay_text(written: Path, tmp_path: Path) -> None:
    with browser(tmp_path) as driver:
        driver.get((written / "arrival_delay.html").as_uri())
        draw_all(driver)
        titles = driver.execute_script(
            "return [...document.querySelectorAll('#fields .title')].map(e => e.textContent)"
        )
        assert titles[4].startswith(pages.HOSTILE)
        assert driver.execute_script("return document.querySelectorAll('img').length") == 0
        assert driver.execute_script("return document.scripts.length") == 3
        forced = "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)"
        driver.execute_script(forced)
        assert driver.execute_script("return window.ran") is None


def test_a_tooltip_shows_hostile_text_as_text(written: Path, tmp_path: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    with browser(tmp_path) as driver:
        driver.get((written / "arrival_delay.html").as_uri())
        draw_all(driver)
        plot = driver.find_element("css selector", "[data-plot='heat-0']")
        driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", plot)
        low = plot.size["height"] / 2 - 12
        ActionChains(driver).move_to_element_with_offset(plot, 300, int(low)).perform()
        text = (
            INSIDE
            + """
            return inside(document).filter(e => e.classList.contains('bk-tooltip-row-value')).map(e => e.textContent.trim())"""
        )
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(driver, 10).until(lambda d: pages.HOSTILE in d.execute_script(text))
        assert driver.execute_script("return document.querySelectorAll('img').length") == 0
        assert complaints(driver) == []


def test_plots_follow_the_colour_scheme(written: Path, tmp_path: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    with browser(tmp_path) as driver:
        driver.get((written / "arrival_delay.html").as_uri())
        draw_all(driver)
        colours = "return [...new Set(Bokeh.documents.flatMap(d => d.roots().flatMap(r => r.below.concat(r.above)"
        colours += ".map(a => a.major_label_text_color))))]"
        assert driver.execute_script(colours) == ["#5a6472"]
        dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
        WebDriverWait(driver, 30).until(lambda d: d.execute_script(colours) == ["#a2acba"])
        assert driver.execute_script("return Bokeh.documents.flatMap(d => d.roots()).length") == 18
        assert complaints(driver) == []


def test_the_index_links_to_the_model(written: Path, tmp_path: Path) -> None:
    with browser(tmp_path) as driver:
        driver.get((written / "index.html").as_uri())
        driver.find_element("link text", "arrival_delay").click()
        assert driver.title == "arrival_delay · mlobs"
        assert complaints(driver) == []


def test_a_field_named_in_the_address_opens(written: Path, tmp_path: Path) -> None:
    with browser(tmp_path) as driver:
        driver.get((written / "arrival_delay.html").as_uri() + "#field-4")
        assert driver.execute_script("return document.getElementById('field-4').open") is True
