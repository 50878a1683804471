"""Makes the summary of a run folder, and writes every report from the summary."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import duckdb

from bedrock.foreign_text import clean_all
from bedrock.whole_file import write_whole
from reports.aggregate.figures import duration_s, matrix_figures, swarm_figures, tiers
from reports.errors import ReportNotWritten, RunNotJudged
from reports.gate.call_view import make_calls, make_seconds
from reports.gate.release_gate import decide
from reports.gate.stepped_load import read_knee, read_rollout
from reports.render.html import render_html
from reports.render.junit import junit_xml
from reports.render.markdown import summary_markdown
from reports.result.summary import Summary, summary_json
from reports.run.run_folder import find_run
from reports.run.store import RunStore
from reports.slo.slo_file import CompletedCallLimits, SloFile


def summarize(run_folder: Path, slo: SloFile) -> Summary:
    """Judges a run folder and returns its summary. Damage becomes a reason of the verdict. Nothing is written.

    Raises RunFolderMissing when there is none, NewerFormat when a newer version wrote it, and RunNotJudged when the
    records are damaged in a way that no check knows.
    """
    with _judgeable(run_folder), RunStore(find_run(run_folder)) as store:
        make_calls(store, slo.limits)
        make_seconds(store)
        decision = decide(store, slo)
        summary = Summary(
            verdict=decision.verdict,
            exit_code=int(decision.verdict.exit_code),
            reasons=list(decision.reasons),
            rules=list(decision.rules),
            swarm=swarm_figures(store, slo.limits, slo.validity.send_late_p99_ms_max),
            matrix=matrix_figures(store),
            tiers=tiers(store),
            duration_s=duration_s(store),
            knee=read_knee(store.folder.path),
            rollout=read_rollout(store.folder.path),
        )
    return clean_all(summary)


def write_all(run_folder: Path, summary: Summary) -> None:
    """Writes ``summary.json``, ``report.html``, ``junit.xml`` and ``summary.md`` into the folder, each whole.

    Raises ReportNotWritten when the disk is full or read-only, or a folder has the name of a report.
    """
    folder = find_run(run_folder)
    with _judgeable(run_folder), RunStore(folder) as store:
        make_calls(store, CompletedCallLimits(**summary.swarm.limits))
        make_seconds(store)
        page = render_html(store, summary)
    _write(folder.path / "summary.json", summary_json(summary))
    _write(folder.path / "report.html", page)
    _write(folder.path / "junit.xml", junit_xml(summary, folder.run_id))
    _write(folder.path / "summary.md", summary_markdown(summary, folder.run_id))


@contextlib.contextmanager
def _judgeable(run_folder: Path) -> Iterator[None]:
    """Turns an error of the database into RunNotJudged, with the name of the run."""
    try:
        yield
    except duckdb.Error as error:
        why = (str(error).splitlines() or [""])[0]
        raise RunNotJudged(
            f"the records of {run_folder} cannot be judged: {why}",
            hint="treat this run as INVALID: it says nothing about the product. Run it again.",
        ) from error


def _write(path: Path, text: str) -> None:
    if path.is_dir():
        raise ReportNotWritten(f"{path} cannot be written: a folder has that name", hint="move that folder away")
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise ReportNotWritten(
            f"{path} cannot be written: {error.strerror or error}", hint="is the disk full, or the folder read-only?"
        ) from error
