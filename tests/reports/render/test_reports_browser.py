"""The page in a real browser: nothing fetched, no script error, links open details, it fits a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from synthetic_run_folder import healthy
from waiting import HANG_LIMIT_S

from reports.build import summarize, write_all
from reports.slo.slo_file import load_slo

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="needs the chromium package"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = healthy(calls=150, messages=50, failing_cells=5).write(tmp_path_factory.mktemp("run"))
    write_all(run, summarize(run, load_slo("smoke")))
    return run / "report.html"


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=HANG_LIMIT_S * 1000
        )
        yield browser
        browser.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_the_page_stands_alone_at_every_width(
    browser: Browser, report: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
    page = context.new_page()
    page.set_default_timeout(HANG_LIMIT_S * 1000)
    requests: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(report.as_uri())
    assert requests == [report.as_uri()]
    assert errors == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(20, 23, 27)") == (scheme == "dark")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != paper
    context.close()


def _open(browser: Browser, report: Path) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(HANG_LIMIT_S * 1000)
    page.goto(report.as_uri())
    return page


def test_a_cell_of_the_grid_opens_its_details(browser: Browser, report: Path) -> None:
    page = _open(browser, report)
    link = page.locator("table.grid a.cell.s-passed").last
    target = page.locator(str(link.get_attribute("href")))
    assert target.get_attribute("open") is None
    link.click()
    page.wait_for_function("id => document.querySelector(id).open", arg=link.get_attribute("href"))
    assert target.locator("pre").inner_text().startswith("pytest device_matrix")
    page.close()


def test_a_chart_tells_its_figures_under_the_pointer(browser: Browser, report: Path) -> None:
    page = _open(browser, report)
    column = page.locator("svg.chart").first.locator("rect.hit").nth(30)
    column.scroll_into_view_if_needed()
    # A scroll hides the tooltip, and its event comes with the next frame.
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    column.hover()
    page.wait_for_selector("#tip.on", timeout=HANG_LIMIT_S * 1000)
    assert "with media both ways" in page.locator("#tip").inner_text()
    page.close()
