"""Implements ``ringfence gate`` and ``ringfence report``: the verdict and the reports of a finished run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from bedrock.errors import InputError
from bedrock.exit_codes import ExitCode
from bedrock.foreign_text import clean
from reports.build import summarize, write_all
from reports.render.terminal import render
from reports.result.summary import Summary, summary_json
from reports.run.run_folder import find_run
from reports.slo.slo_file import SloFile, built_in_names, load_slo


def gate(run: Path = Path("runs/latest"), *, slo: str = "", json: bool = False) -> int:
    """Judge a run against an SLO. The exit code is the verdict: 0 PASS, 1 FAIL, 3 INCONCLUSIVE, 4 INVALID.

    2 is wrong usage, 5 a missing prerequisite, 70 a crash of ringfence itself. These three are no verdicts.

    Parameters
    ----------
    run
        The run's folder.
    slo
        A built-in SLO's name or a TOML file; the run's own when left out.
    json
        Print the summary as JSON.
    """
    summary = summarize(run, _slo_of(run, slo))
    _show(summary, json=json)
    return int(summary.exit_code)


def report(run: Path = Path("runs/latest"), *, slo: str = "", json: bool = False) -> int:
    """Write report.html, junit.xml, summary.md and summary.json of a run again, and show the summary.

    Parameters
    ----------
    run
        The run's folder.
    slo
        A built-in SLO's name or a TOML file; the run's own when left out.
    json
        Print the summary as JSON.
    """
    report_verdict(run, _slo_of(run, slo), json=json)
    return ExitCode.PASS


def report_verdict(run: Path, slo: SloFile, *, json: bool) -> int:
    """Judges a run, writes every report into its folder, shows the summary, and returns the exit code of the verdict.

    When the reports cannot be written, the verdict is still shown on the terminal.
    """
    summary = summarize(run, slo)
    unwritten = ""
    try:
        write_all(run, summary)
    except OSError as error:
        unwritten = f"the reports cannot be written into {run}: {error.strerror or error}"
    _show(summary, json=json)
    if unwritten:
        Console(stderr=True, soft_wrap=True).print(f"ringfence: {unwritten}", style="bold yellow", markup=False)
        return int(ExitCode.INVALID) if summary.exit_code == ExitCode.PASS else int(summary.exit_code)
    if not json:
        path = clean(str(run / "report.html"))
        Console().print(Text.assemble(("report:", "dim"), f" {path}"), soft_wrap=True)
    return int(summary.exit_code)


def _slo_of(run: Path, named: str) -> SloFile:
    if named:
        return load_slo(named)
    reference = find_run(run).slo_reference
    try:
        return load_slo(reference)
    except InputError as error:
        hint = f"manifest.json of the run names it; name another with --slo: {', '.join(built_in_names())}, or a file"
        raise InputError([replace(one, hint=one.hint or hint) for one in error.problems]) from None


def _show(summary: Summary, *, json: bool) -> None:
    if json:
        print(summary_json(summary))
    else:
        render(summary, Console())
