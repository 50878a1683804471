"""Whatever a target, a page, a device or a file says: no report obeys it, and no report breaks of it."""

from __future__ import annotations

import io
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest
from hostile_text import ATTACKS, RECORDS, filled, texts_of, write_hostile_run
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from playwright.sync_api import sync_playwright
from rich.console import Console
from xunit_schema import broken_rules

from reports.aggregate.figures import MISSING
from reports.build import summarize, write_all
from reports.render.junit import junit_xml
from reports.render.markdown import summary_markdown
from reports.render.terminal import render
from reports.result.stepped_load_result import RolloutResult
from reports.result.summary import AttemptSeen, Summary
from reports.run.cells import CellStatus
from reports.slo.slo_file import load_slo

CHROMIUM = shutil.which("chromium")
HOSTILE = st.lists(
    st.sampled_from(ATTACKS) | st.text(st.characters(exclude_categories=[]), max_size=20), min_size=1, max_size=3
).map(" ".join)
OURS = re.compile(r"\x1b\[[\d;]*m")
REFERENCE = re.compile(r"[@#!%&~^$]\w|(?i:https?:|www\.|ftp:|mailto:)")


def hostile_summary(text: str) -> Summary:
    """A summary in which every text but a cell's status, which is ours, is ``text``."""
    summary = filled(Summary, text)
    grid = [
        msgspec.structs.replace(summary.matrix.grid[0], status=status, attempts_seen=[filled(AttemptSeen, text)])
        for status in (*map(str, CellStatus), MISSING)
    ]
    return msgspec.structs.replace(summary, matrix=msgspec.structs.replace(summary.matrix, grid=grid))


def terminal(summary: Summary) -> str:
    sink = io.StringIO()
    render(summary, Console(file=sink, width=120, force_terminal=True, color_system="truecolor", legacy_windows=False))
    return sink.getvalue()


def check_terminal(shown: str) -> None:
    left = OURS.sub("", shown)
    assert not [sign for sign in left if (ord(sign) < 32 and sign != "\n") or 0x7F <= ord(sign) < 0xA0]
    left.encode("utf-8")


def check_junit(document: str) -> None:
    document.encode("utf-8")
    assert broken_rules(ET.fromstring(document)) == []


def check_markdown(text: str) -> None:
    text.encode("utf-8")
    lines = text.split("\n")
    assert len(lines) < 100
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        assert token.type not in {"html_block", "fence", "code_block", "blockquote_open"}, token
        for part in token.children or ():
            assert part.type in {"text", "code_inline", "softbreak", "text_special", "html_inline"}, part
            if part.type == "html_inline":
                assert part.content in {"<sub>", "</sub>"}
            elif part.type == "text":
                assert not REFERENCE.search(part.content), part.content


def test_reflection_reaches_every_text_of_every_record() -> None:
    for kind in (*RECORDS, Summary, RolloutResult):
        found = texts_of(msgspec.to_builtins(filled(kind, "hostile")))
        declared = str([field.type for field in msgspec.structs.fields(kind)])
        assert "hostile" in found or "str" not in declared, kind


@settings(derandomize=True, max_examples=60, deadline=None)
@given(HOSTILE)
def test_no_renderer_obeys_or_breaks_of_any_text_of_a_summary(text: str) -> None:
    summary = hostile_summary(text)
    check_terminal(terminal(summary))
    check_junit(junit_xml(summary, text))
    check_markdown(summary_markdown(summary, text))


@pytest.mark.parametrize("text", ATTACKS)
def test_no_renderer_obeys_a_known_attack(text: str) -> None:
    summary = hostile_summary(text)
    check_terminal(terminal(summary))
    check_junit(junit_xml(summary, text))
    check_markdown(summary_markdown(summary, text))


@pytest.mark.parametrize("text", ["[red]brackets[/red]", "[/]", "[bold]", ":skull:", "a\\[b]"])
def test_brackets_are_printed_as_they_are(text: str) -> None:
    assert OURS.sub("", terminal(hostile_summary(text))).count(text) > 10


def test_a_comment_shows_what_it_keeps_from_working() -> None:
    text = "@octocat [x](http://evil.example) <b> a|b *c*"
    shown = "".join(
        part.content
        for token in MarkdownIt("commonmark").enable("table").parse(summary_markdown(hostile_summary(text), "r"))
        for part in token.children or ()
        if part.type in {"text", "text_special"}
    )
    assert text in shown.replace("\N{ZERO WIDTH SPACE}", "")


@pytest.mark.integration
@pytest.mark.skipif(CHROMIUM is None, reason="needs the chromium package")
def test_nothing_that_a_run_recorded_runs_in_a_browser(tmp_path: Path) -> None:
    pages = []
    for number, text in enumerate(("\x1b[31m".join(ATTACKS[:5]), "".join(ATTACKS[5:10]), "\x00".join(ATTACKS[10:30]))):
        run = write_hostile_run(tmp_path / str(number), text)
        summary = summarize(run, load_slo("smoke"))
        write_all(run, summary)
        check_terminal(terminal(summary))
        check_junit((run / "junit.xml").read_text(encoding="utf-8"))
        check_markdown((run / "summary.md").read_text(encoding="utf-8"))
        assert summary.swarm.calls == 2
        assert summary.knee is not None
        pages.append(run / "report.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for path in pages:
            page = browser.new_page()
            requests: list[str] = []
            errors: list[str] = []
            page.on("request", lambda request, requests=requests: requests.append(request.url))
            page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
            page.goto(path.as_uri())
            page.evaluate(
                "for (const each of document.querySelectorAll('*')) each.dispatchEvent(new Event('mouseover'))"
            )
            assert page.evaluate("window.canary") is None
            assert page.evaluate("document.scripts.length") == 1
            assert page.evaluate(
                "[...document.querySelectorAll('a')].every(a => /^(#|cells\\/)/.test(a.getAttribute('href')))"
            )
            assert requests == [path.as_uri()]
            assert errors == []
            page.close()
        browser.close()
