"""``runs/latest``: a link, a file where there are no links, a sentence where neither can be."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from reports.run.run_folder import find_run
from ringfence.orchestration.run_folder import point_latest_at
from ringfence.orchestration.screen import Screen


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "runs" / "2026-11-28T120000-smoke"
    (run / "calls").mkdir(parents=True)
    return run


def _left(run: Path) -> set[str]:
    return {path.name for path in run.parent.iterdir()} - {run.name, "latest"}


def test_latest_is_a_link_and_moves_with_every_run(run: Path) -> None:
    other = run.with_name("2026-11-28T130000-smoke")
    (other / "calls").mkdir(parents=True)
    for newest in (run, other, run):
        assert point_latest_at(newest) == ""
        assert find_run(run.parent / "latest").path == newest
        assert find_run(run.parent).path == newest
    assert _left(run) == {other.name}


def test_without_links_latest_is_a_file_that_leads_as_well(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_named: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)
    assert point_latest_at(run) == ""
    assert (run.parent / "latest").is_file()
    assert find_run(run.parent / "latest").path == run
    assert find_run(run.parent).path == run
    assert _left(run) == set()


def test_a_latest_that_is_a_folder_keeps_its_content_and_is_told(run: Path) -> None:
    stored = run.parent / "latest"
    (stored / "calls").mkdir(parents=True)
    told = point_latest_at(run)
    assert told == f"{stored} is a folder, so it keeps its content and does not lead to this run; name {run} instead"
    assert find_run(run.parent).path == stored
    assert _left(run) == set()


def test_a_latest_that_cannot_be_written_is_told_and_leaves_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    assert point_latest_at(run).endswith(f"(Read-only file system); name {run} instead")
    assert _left(run) == set()


def test_a_screen_prints_what_it_is_told_and_obeys_none_of_it() -> None:
    sink = io.StringIO()
    with Screen(Console(file=sink, width=200), "t", 1.0) as screen:
        screen.say("run folder runs/[red]x[/red] \x1b[2J")
        screen.warn("[/] a \x07 bell")
    assert (
        sink.getvalue() == "ringfence: run folder runs/[red]x[/red] \nringfence: [/] a \N{REPLACEMENT CHARACTER} bell\n"
    )
