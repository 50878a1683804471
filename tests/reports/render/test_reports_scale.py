"""A long run must not grow the page."""

from __future__ import annotations

from pathlib import Path

from synthetic_run_folder import healthy

from reports.build import summarize, write_all
from reports.slo.slo_file import load_slo


def test_ten_thousand_calls_fit_into_a_page_of_a_megabyte(tmp_path: Path) -> None:
    run = healthy(calls=10_000, ramp_s=60, peak_s=900, messages=4000, cells=False).write(tmp_path)
    summary = summarize(run, load_slo("smoke"))
    write_all(run, summary)
    assert summary.swarm.calls == 10_000
    assert (run / "report.html").stat().st_size < 1_000_000
