"""Terminal, JUnit, Markdown and the page: the same run told four times."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console
from synthetic_run_folder import healthy
from xunit_schema import broken_rules

from reports.build import summarize, write_all
from reports.render.junit import junit_xml
from reports.render.markdown import summary_markdown
from reports.render.terminal import render
from reports.result.summary import Summary
from reports.run.cells import CellResult, CellStatus, write_cell
from reports.slo.slo_file import load_slo

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
EVIL = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = healthy(
        calls=200, messages=60, lose_every_nth_answer=10, failing_cells=2, environment_errors=1, retried=1,
        manifest={"faults": [{"at_s": 1_790_000_040.0, "what": "browser_died", "detail": EVIL, "severity": "note"}]},
    ).write(tmp_path_factory.mktemp("run"))  # fmt: skip
    evil = CellResult(
        cell="evil--wifi--audio_call", device="evil", device_title=EVIL, network="wifi_home", scenario="audio_call",
        status=CellStatus.FAILED, reason="no_audio", detail=EVIL, replay=f"run '{EVIL}'", artifacts=["screen.png"],
        shaping={"down": {"kbit": 49.3, "ok": True}, "misses": [EVIL]},
    )  # fmt: skip
    (write_cell(run, evil).parent / "screen.png").write_bytes(PNG)
    write_all(run, summarize(run, load_slo("smoke")))
    return run


@pytest.fixture(scope="module")
def summary(run: Path) -> Summary:
    return summarize(run, load_slo("smoke"))


def _terminal(summary: Summary, width: int, *, colours: bool = False) -> str:
    sink = io.StringIO()
    render(
        summary, Console(file=sink, width=width, force_terminal=colours, color_system="truecolor" if colours else None)
    )
    return sink.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_terminal_fits_its_width_and_loses_nothing(summary: Summary, width: int) -> None:
    text = _terminal(summary, width)
    assert max(len(line) for line in text.splitlines() if not line.startswith("   $ ")) <= width
    for told in ("FAIL", "calls complete", "answer_lost", "gprs_2g", "swarm-0", "no_fallback", "packets"):
        assert told in text
    for cell in (cell for cell in summary.matrix.grid if cell.status == "failed"):
        assert f"   $ {cell.replay}\n" in text
    for rule in summary.rules:
        assert "…" not in rule.name


def test_piped_output_has_no_colours_and_a_terminal_has(summary: Summary) -> None:
    assert "\x1b[" not in _terminal(summary, 100)
    assert "\x1b[" in _terminal(summary, 100, colours=True)


def test_markup_in_what_people_wrote_is_not_obeyed(summary: Summary) -> None:
    assert EVIL in _terminal(summary, 140)


def test_junit_has_a_suite_for_cells_and_one_for_rules(run: Path, summary: Summary) -> None:
    document = ET.parse(run / "junit.xml").getroot()
    suites = {suite.get("name"): suite for suite in document.iter("testsuite")}
    cells, gate = suites["device matrix"], suites["release gate"]
    assert (cells.get("tests"), cells.get("failures"), cells.get("errors")) == ("49", "3", "1")
    assert len(gate.findall("testcase")) == len(summary.rules)
    failed = {case.get("name") for case in gate.findall("testcase") if case.find("failure") is not None}
    assert failed == {rule.name for rule in summary.rules if rule.verdict == "FAIL"}


def test_junit_tells_every_attempt_and_what_is_known_of_a_cell(summary: Summary) -> None:
    document = ET.fromstring(junit_xml(summary, "r"))
    twice = next(cell for cell in summary.matrix.grid if cell.attempts == 2 and cell.status == "passed")
    case = next(
        case for case in document.iter("testcase")
        if case.get("classname") == f"device_matrix.{twice.device}" and twice.network in str(case.get("name"))
    )  # fmt: skip
    known = dict(line.split(": ", 1) for line in str(case.findtext("system-out")).splitlines())
    assert known["attempt.1"].startswith("environment_error link_off")
    assert known["attempt.2"].startswith("passed")
    assert known["replay"] == twice.replay
    assert known["tier"] == twice.tier


def test_junit_keeps_to_the_schema_of_jenkins_xunit_plugin(run: Path) -> None:
    assert broken_rules(ET.parse(run / "junit.xml").getroot()) == []


def test_the_schema_tells_what_that_plugin_refuses() -> None:
    refused = """<testsuites skipped="1"><testsuite name="s" tests="1" failures="0" errors="0" time="1e-05">
        <testcase name="c"><properties><property name="a" value="b"/></properties></testcase>
        </testsuite></testsuites>"""
    assert broken_rules(ET.fromstring(refused)) == [
        "skipped at testsuites", "time 1e-05 at testsuite", "properties inside testcase",
    ]  # fmt: skip


def test_an_attempt_that_the_environment_spoiled_is_told_although_the_cell_passed(run: Path, summary: Summary) -> None:
    twice = next(cell for cell in summary.matrix.grid if cell.attempts == 2 and cell.status == "passed")
    told = f"{twice.cell} passed after 1 environment error: attempt 1 [link_off] the link was measured"
    assert told in " ".join(_terminal(summary, 200).split())
    assert f"- {told}".replace("[link_off]", "\\[link_off\\]") in summary_markdown(summary, "r1")
    assert "Attempt 1: environment error (link off)." in (run / "report.html").read_text()


def test_the_report_says_that_another_run_was_on_the_machine_whatever_the_verdict(run: Path, tmp_path: Path) -> None:
    other = {"pid": 4711, "user": "eve", "folder": "/runs/<theirs>", "from_s": 1e9, "to_s": None}
    shared = healthy(manifest={"environment_after": {"other_runs": [other]}}).write(tmp_path)
    write_all(shared, summarize(shared, load_slo("smoke")))
    told = "This run was not alone on its machine: another ringfence run (pid 4711, folder /runs/&lt;theirs&gt;)"
    assert told in (shared / "report.html").read_text()
    assert "not alone on its machine" not in (run / "report.html").read_text()


def test_the_comment_tells_verdict_rules_and_replay(summary: Summary) -> None:
    text = summary_markdown(summary, "r1")
    assert text.startswith("## ❌ FAIL")
    assert "| ❌ | calls complete" in text
    assert "--cell" in text
    assert "<script>" not in text.replace(f"`run '{EVIL}'`", "")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {7, 5}


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "img", "link", "line", "rect", "path", "circle"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"line", "rect", "path", "circle"}:
            assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(run: Path) -> None:
    text = (run / "report.html").read_text()
    page = _Page(text)
    assert page.open == []
    assert len(text.encode()) < 5_000_000
    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "object"}
        assert "src" not in attributes or str(attributes["src"]).startswith("data:image/")
        address = str(attributes.get("href", "#"))
        assert address.startswith(("#", "cells/"))
    assert "@import" not in text
    assert "url(" not in text
    assert "http://" not in text.replace("http://127.0.0.1:8080", "")


def test_every_link_into_the_page_has_its_target(run: Path) -> None:
    page = _Page((run / "report.html").read_text())
    ids = {attributes["id"] for _tag, attributes in page.tags if "id" in attributes}
    targets = {
        str(attributes["href"])[1:] for _tag, attributes in page.tags if str(attributes.get("href")).startswith("#")
    }
    assert targets <= ids
    assert len(targets) > 48


def test_the_page_escapes_what_others_wrote(run: Path) -> None:
    text = (run / "report.html").read_text()
    assert EVIL not in text
    assert "&lt;script&gt;alert" in text


def test_the_page_shows_charts_evidence_and_the_screens_of_cells_that_failed(run: Path) -> None:
    text = (run / "report.html").read_text()
    for title in ("Calls at once", "Arrivals and failures", "Set-up time", "One-way delay", "Listening quality",
                  "Send lateness", "CPU of the generator", "Funnel"):  # fmt: skip
        assert f"<h3>{title}</h3>" in text
    assert text.count('<svg class="chart"') == 8
    assert "data:image/png;base64,iVBOR" in text
    assert "<dt>down.kbit</dt><dd>49.3</dd>" in text
    assert "pytest device_matrix --plan smoke --cell" in text
    assert "Attempt 1: environment error" in text
