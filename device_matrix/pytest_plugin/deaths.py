"""Writes a fault when a process of the matrix died during a cell.

A browser or a link serves one attempt. Its death spoils that attempt only, so it is a note: the gate bounds how many of
these a run may have. An Appium server, a far end or an xdist worker serves other cells too. Its death may have spoiled
them, so it makes the run INVALID.
"""

from __future__ import annotations

from pathlib import Path

from reports.run.cells import DEATHS as DEATHS_OF_ONE_ATTEMPT
from reports.run.cells import CellResult, CellStatus
from reports.run.faults import Severity, append_fault, make_fault

DEATHS: dict[str, Severity] = {
    **dict.fromkeys(DEATHS_OF_ONE_ATTEMPT, "note"),
    "browser_hung": "note",
    "appium_died": "invalid",
    "far_end_lost": "invalid",
}
"""The reasons of environment errors that mean a death during a cell, each with its severity."""


def write_fault(run_folder: Path, *, at_s: float, what: str, detail: str, severity: Severity = "invalid") -> None:
    """Appends one fault of the matrix to the run's faults."""
    append_fault(run_folder, make_fault(at_s=at_s, what=what, detail=detail, severity=severity))


def write_death(run_folder: Path, result: CellResult, at_s: float) -> None:
    """Appends a fault when ``result`` says that a process died."""
    if result.status is CellStatus.ENVIRONMENT_ERROR and result.reason in DEATHS:
        detail = f"{result.cell}, attempt {result.attempt}: {result.detail}"
        severity = DEATHS[result.reason]
        write_fault(run_folder, at_s=at_s, what=f"matrix_{result.reason}", detail=detail, severity=severity)
