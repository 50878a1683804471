"""From a run folder to its summary, and from the summary to every report."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from reports.call_view import make_calls, make_seconds
from reports.figures import duration_s, matrix_figures, swarm_figures, tiers
from reports.gate import judge
from reports.html import render_html
from reports.junit import junit_xml
from reports.markdown import summary_markdown
from reports.run_folder import find_run
from reports.slo import Limits, SloFile
from reports.staged import read_knee, read_rollout
from reports.store import RunStore
from reports.summary import Summary, summary_json


def summarize(run_folder: Path, slo: SloFile) -> Summary:
    """Judges a run folder. Damage in it becomes reasons; the folder itself is not written to.

    Raises RunFolderMissing when there is none, NewerFormat when a newer version wrote it.
    """
    with RunStore(find_run(run_folder)) as store:
        make_calls(store, slo.limits)
        make_seconds(store)
        judgement = judge(store, slo)
        return Summary(
            verdict=judgement.verdict,
            exit_code=int(judgement.verdict.exit_code),
            reasons=list(judgement.reasons),
            rules=list(judgement.rules),
            swarm=swarm_figures(store, slo.limits, slo.validity.send_late_p99_ms_max),
            matrix=matrix_figures(store),
            tiers=tiers(store),
            duration_s=duration_s(store),
            knee=read_knee(store.folder.path),
            rollout=read_rollout(store.folder.path),
        )


def write_all(run_folder: Path, summary: Summary) -> None:
    """Writes ``summary.json``, ``report.html``, ``junit.xml`` and ``summary.md`` into the folder, each whole.

    Raises OSError when the disk refuses.
    """
    folder = find_run(run_folder)
    with RunStore(folder) as store:
        make_calls(store, Limits(**summary.swarm.limits))
        make_seconds(store)
        page = render_html(store, summary)
    _write(folder.path / "summary.json", summary_json(summary))
    _write(folder.path / "report.html", page)
    _write(folder.path / "junit.xml", junit_xml(summary, folder.run_id))
    _write(folder.path / "summary.md", summary_markdown(summary, folder.run_id))


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
