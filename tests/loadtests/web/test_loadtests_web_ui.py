"""Locust's web UI in a real browser: start from the form, watch the Calls tab, stop, be refused a wrong plan."""

from __future__ import annotations

import json
import re
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright
from swarm_process import Swarm, free_port, swarm_in, write_plan
from waiting import HANG_LIMIT_S, eventually

pytestmark = [pytest.mark.patient, pytest.mark.integration]
expect.set_options(timeout=HANG_LIMIT_S * 1000)
CHROMIUM = "/usr/bin/chromium"


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=HANG_LIMIT_S * 1000
        )
        page = browser.new_context(viewport={"width": 1300, "height": 1250}).new_page()
        page.set_default_timeout(HANG_LIMIT_S * 1000)
        yield page
        browser.close()


def open_ui(swarm: Swarm, page: Page, plan: Path) -> None:
    port = free_port()
    swarm.start("--web-port", str(port), "--plan", str(plan), "--run-folder", str(swarm.run))

    def answers() -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=HANG_LIMIT_S).close()
        except OSError:
            return False
        return True

    assert eventually(answers), swarm.log()[-3000:]
    page.goto(f"http://127.0.0.1:{port}/")


def figure(page: Page, name: str) -> str:
    """The load's value in one row of the Calls tab."""
    return page.locator("tr", has=page.get_by_role("cell", name=name, exact=True)).locator("td").nth(1).inner_text()


def open_charts(page: Page) -> Page:
    """The page with live charts, in a second tab as wide as a phone: nothing on it may be cut off."""
    charts = page.context.new_page()
    charts.set_viewport_size({"width": 390, "height": 800})
    charts.on("pageerror", lambda error: pytest.fail(f"a script of the page failed: {error}"))
    charts.goto(page.url.partition("?")[0].rstrip("/") + "/calls")
    assert charts.evaluate("document.documentElement.scrollWidth") <= 390
    return charts


def legend(charts: Page, title: str, name: str) -> Locator:
    """The newest value of one line of one chart."""
    card = charts.locator(".card", has=charts.get_by_role("heading", name=title))
    return card.locator(".legend span", has_text=name).first.locator("b")


def number_in(place: Locator) -> float:
    """What stands there, once it is a number: of a second without calls there is none."""
    said: list[str] = []

    def is_a_number() -> bool:
        said.append(place.inner_text())
        return bool(re.fullmatch(r"\d+(\.\d+)?", said[-1]))

    assert eventually(is_a_number), said[-1]
    return float(said[-1])


def final_rows(page: Page) -> dict[str, dict[str, str]]:
    """The Calls tab's rows as the master gives them now, by their titles."""
    answer = page.request.get(page.url.partition("?")[0].rstrip("/") + "/stats/requests").json()
    return {row["figure"]: row for table in answer["extended_stats"] for row in table["data"]}


def require_told_as_recorded(swarm: Swarm, page: Page, charts: Page, end: dict[str, Any], shown_mos: float) -> None:
    """What the tab and the charts say at the end is what the records of the same run say, on any machine."""
    calls = [leg for leg in swarm.legs() if leg["side"] == "caller"]
    assert len(calls) == end["started"]
    rows = final_rows(page)
    for column, tier in (("load", "packets"), ("probes", "media")):
        outcomes = Counter(leg["outcome"] for leg in calls if leg["tier"] == tier)
        assert rows["Started"][column] == str(outcomes.total())
        assert rows["Completed"][column] == str(outcomes["completed"])
        assert rows["Failed"][column] == str(outcomes["failed"])
        judged = outcomes["completed"] + outcomes["failed"]
        if judged:
            assert rows["Completed / finished"][column].startswith(f"{outcomes['completed'] / judged:.1%} (")
    dropped: dict[str, int] = {}
    for row in swarm.records("health"):
        dropped[row["writer"]] = max(dropped.get(row["writer"], 0), row["datagrams_dropped"])
    assert rows["Dropped by generator"]["load"] == str(sum(dropped.values()))
    expect(charts.locator("#finished")).to_have_text(f"{end['completed']} / {end['completed'] + end['failed']}")
    scores = [leg["mos_lq"] for leg in calls if leg["tier"] == "packets" and leg["mos_lq"] is not None]
    drawn = [second["mos_p50"] for second in swarm.seconds() if second.get("mos_p50") is not None]
    assert min(scores) - 0.01 <= min(drawn) <= max(drawn) <= max(scores) + 0.01
    assert min(drawn) - 0.05 <= shown_mos <= max(drawn) + 0.05


def require_short_form(page: Page) -> None:
    """Ten fields at most, in groups, with short labels; help behind a question mark, the rest behind *More options*."""
    fields = page.locator("form :is(input, select):visible")
    labels = page.locator("form label:visible").all_inner_texts()
    assert labels == [
        "Target", "Plan", "Load shape", "Calls at once", "Number of users", "Persona mix", "Network mix, by region",
        "Scenarios", "Talk time, median (s)", "Probe pairs",
    ]  # fmt: skip
    assert fields.count() == len(labels)
    assert page.locator("form h4").all_inner_texts() == ["Load", "Users", "Calls"]
    for name in ("userCount", "spawnRate"):
        expect(page.locator(f"form input[name={name}]")).to_be_hidden()
    calls, help_text = (
        page.get_by_label("Calls at once", exact=True),
        page.get_by_text("Peak number of calls in progress"),
    )
    expect(calls).to_have_value("")
    expect(calls).to_have_attribute("placeholder", "8")
    expect(help_text).to_be_hidden()
    page.get_by_role("button", name="Help: Calls at once").click()
    expect(help_text).to_be_visible()
    seed = page.get_by_label("Random seed", exact=True)
    expect(seed).to_be_hidden()
    page.get_by_role("button", name="More options (6)").click()
    expect(seed).to_be_visible()
    plan = page.locator("input[name=plan]")
    named = plan.input_value()
    plan.fill("smoke")
    expect(calls).to_have_attribute("placeholder", "from the plan")
    plan.fill(named)
    expect(calls).to_have_attribute("placeholder", "8")


def require_grouped_rows(page: Page) -> None:
    """The tab begins with the link to the charts and the plan; headings of groups are marked, and nothing else is."""
    titles = page.locator("table tr td:first-child").all_inner_texts()
    assert titles[:5] == ["Live charts", "Plan", "Progress", "In progress", "Started"]
    assert page.locator("tr.rf-group td:first-child").all_inner_texts() == [
        "Progress", "Outcomes", "Stages reached, share of finished calls", "Latency", "Speech quality", "Scenarios",
        "People", "Load generator",
    ]  # fmt: skip
    assert page.get_by_role("link", name="Open the live charts").get_attribute("href") == "./calls"


def test_the_tab_and_the_charts_show_the_run(tmp_path: Path, page: Page) -> None:
    with swarm_in(tmp_path) as swarm:
        open_ui(swarm, page, write_plan(tmp_path, people=60, calls=8, probes=1))
        require_short_form(page)
        page.get_by_label("Calls at once", exact=True).fill("4")
        page.locator("input[name=people]").fill("24")
        page.locator("select[name=shape]").select_option("steady")
        page.get_by_role("button", name="Start").click()
        page.get_by_role("tab", name="Calls").click()
        row = page.locator("tr", has=page.get_by_role("cell", name="Completed", exact=True))
        expect(row.locator("td").nth(1)).to_have_text(re.compile(r"[1-9]\d*"))
        assert figure(page, "People online") == "26"
        assert re.match(r"\d+\.\d% \(", figure(page, "Completed / finished"))
        assert float(figure(page, "Set-up p95 (ms)")) > 0
        assert 1 <= float(figure(page, "MOS-LQ p50")) <= 5
        assert re.fullmatch(r"\d+", figure(page, "Dropped by generator"))
        require_grouped_rows(page)
        assert re.search(r"[1-9]\d* completed", figure(page, "Scenario: talk"))
        assert re.fullmatch(
            r"engine \d+% of a core, sends [\d.]+ ms late, lags [\d.]+ ms", figure(page, "Process: worker 0")
        )
        row = page.locator("tr", has=page.get_by_role("cell", name="Plan", exact=True))
        asked = "test: steady, up to 4 calls at once, until told to end; 24 people of good_networks"
        expect(row.locator("td").nth(3)).to_have_text(asked)
        charts = open_charts(page)
        expect(charts.locator("#phase")).to_have_text("under load")
        expect(charts.locator("#stage")).to_have_text("hold · run")
        expect(legend(charts, "Calls in progress", "in progress")).to_have_text(re.compile(r"[1-9]\d*"))
        expect(legend(charts, "Set-up time", "p95")).to_have_text(re.compile(r"[1-9]\d*"))
        shown_mos = number_in(legend(charts, "Speech quality", "E-model p50"))
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="New").wait_for()
        expect(charts.locator("#phase")).to_have_text("ended")
        end = swarm.wait_for(lambda second: second["event"] == "end")
        require_told_as_recorded(swarm, page, charts, end, shown_mos)
        seen = charts.locator("#finished").inner_text()
        charts.reload()
        expect(charts.locator("#finished")).to_have_text(seen)
        expect(charts.locator("svg path.one").first).to_have_attribute("d", re.compile(r"^M.*L"))
        assert end["interrupted"] is True
        assert json.loads((swarm.run / "manifest.json").read_text())["interrupted"] is True


def test_what_is_wrong_is_refused_in_the_form(tmp_path: Path, page: Page) -> None:
    with swarm_in(tmp_path) as swarm:
        open_ui(swarm, page, write_plan(tmp_path))
        page.locator("input[name=plan]").fill("defualt")
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_text("did you mean 'default'?")).to_be_visible()
        page.locator("input[name=plan]").fill("default")
        page.locator("input[name=scenarios]").fill("talk=9, declin=1")
        page.locator("input[name=calls]").fill("lots")
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_text("--scenarios: unknown scenario 'declin' (did you mean 'decline'?)")).to_be_visible()
        expect(page.get_by_text("--calls: must be a number from 0.1 to 100000 (got 'lots')")).to_be_visible()
        assert not swarm.run.exists()
