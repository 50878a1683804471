"""Tells the run that one of its processes died in a cell.

What belongs to one attempt alone, its browser and its link, takes nothing but that attempt with it: the environment
error says so, the gate bounds how many of those there may be, and the death is noted. What serves other cells too may
have spoiled them: a run that lost such a process cannot vouch for all of its figures.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from bedrock.foreign_text import json_text
from reports.run.cells import DEATHS as DEATHS_OF_ONE_ATTEMPT
from reports.run.cells import CellResult, CellStatus

FILE = "faults.jsonl"
Severity = Literal["invalid", "note"]

DEATHS: dict[str, Severity] = {
    **dict.fromkeys(DEATHS_OF_ONE_ATTEMPT, "note"),
    "browser_hung": "note",
    "appium_died": "invalid",
    "far_end_lost": "invalid",
}
"""Reasons of environment errors that mean a death in the middle of a cell, and what it weighs."""


def write_fault(run_folder: Path, *, at_s: float, what: str, detail: str, severity: Severity = "invalid") -> None:
    """Appends one fault, which makes the run INVALID unless it is a note. One write: several processes may append."""
    line = json_text({"at_s": at_s, "what": what, "detail": detail, "severity": severity}) + "\n"
    descriptor = os.open(run_folder / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def note_fault(run_folder: Path, result: CellResult, at_s: float) -> None:
    """Notes the fault when ``result`` says that something of ours died."""
    if result.status is CellStatus.ENVIRONMENT_ERROR and result.reason in DEATHS:
        detail = f"{result.cell}, attempt {result.attempt}: {result.detail}"
        severity = DEATHS[result.reason]
        write_fault(run_folder, at_s=at_s, what=f"matrix_{result.reason}", detail=detail, severity=severity)
