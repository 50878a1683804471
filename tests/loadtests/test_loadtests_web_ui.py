"""Locust's web UI in a real browser: start from the form, watch the Calls tab, stop, be refused a wrong plan."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from swarm_process import Swarm, free_port, swarm_in, write_plan

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
CHROMIUM = "/usr/bin/chromium"


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1250})
        page.set_default_timeout(20_000)
        yield page
        browser.close()


def open_ui(swarm: Swarm, page: Page, plan: Path) -> None:
    port = free_port()
    swarm.start("--web-port", str(port), "--plan", str(plan), "--run-folder", str(swarm.run))
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
            break
        except OSError:
            time.sleep(0.1)
    page.goto(f"http://127.0.0.1:{port}/")
    page.get_by_text("Custom parameters").click()


def figure(page: Page, name: str) -> str:
    """The load's value in one row of the Calls tab."""
    return page.locator("tr", has=page.get_by_role("cell", name=name, exact=True)).locator("td").nth(1).inner_text()


def test_calls_tab_shows_the_run(tmp_path: Path, page: Page) -> None:
    with swarm_in(tmp_path) as swarm:
        open_ui(swarm, page, write_plan(tmp_path, people=20, calls=4, probes=1))
        page.get_by_role("button", name="Start").click()
        page.get_by_role("tab", name="Calls").click()
        row = page.locator("tr", has=page.get_by_role("cell", name="Outcome: completed", exact=True))
        expect(row.locator("td").nth(1)).to_have_text(re.compile(r"[1-9]\d*"), timeout=40_000)
        assert figure(page, "People online") == "22"
        assert figure(page, "Completion").startswith("100.0% (")
        assert float(figure(page, "Set-up p95, ms")) > 0
        assert 1 <= float(figure(page, "MOS-LQ p50")) <= 5
        assert figure(page, "Datagrams dropped") == "0"
        titles = page.locator("table tr td:first-child").all_inner_texts()
        assert titles[:2] == ["In progress", "Started"]
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="New").wait_for()
        end = swarm.wait_for(lambda second: second["event"] == "end")
        assert end["interrupted"] is True
        assert json.loads((swarm.run / "manifest.json").read_text())["interrupted"] is True
        assert len([leg for leg in swarm.legs() if leg["side"] == "caller"]) == end["started"]


def test_a_wrong_plan_is_refused_in_the_form(tmp_path: Path, page: Page) -> None:
    with swarm_in(tmp_path) as swarm:
        open_ui(swarm, page, write_plan(tmp_path))
        page.locator("input[name=plan]").fill("defualt")
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_text("did you mean 'default'?")).to_be_visible()
        assert not swarm.run.exists()
