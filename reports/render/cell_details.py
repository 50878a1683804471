"""Prepares each cell of the matrix for the page: its attempts, figures, files and screenshots."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from reports.result.summary import GridCell
from reports.run.cells import CellAttempts, CellResult, CellStatus
from reports.run.file_input import Unreadable, read_file
from reports.run.store import RunStore
from reports.text import grouped

EMBEDDED_BYTES = 2_500_000
"""Screenshots of cells that did not pass go into the page up to this size in all; the others stay links."""
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
FACTS_SHOWN = 200


@dataclass(frozen=True, slots=True)
class AttemptDetails:
    """One attempt at a cell, ready to be shown."""

    result: CellResult
    shaping: Sequence[tuple[str, str]]
    figures: Sequence[tuple[str, str]]
    files: Sequence[tuple[str, str]]
    """Name, address relative to the page."""
    picture: str
    """A data address, empty for none."""


@dataclass(frozen=True, slots=True)
class CellDetails:
    """A cell with all that its attempts left."""

    shown: GridCell
    anchor: str
    attempts: Sequence[AttemptDetails]

    @property
    def is_plain_pass(self) -> bool:
        """Whether it passed at its first attempt, so that the page may fold it."""
        return self.shown.status == CellStatus.PASSED and self.shown.attempts == 1


def cell_details(store: RunStore, grid: Sequence[GridCell]) -> list[CellDetails]:
    """Returns every cell with its attempts: failed, missing and environment errors first."""
    by_name: dict[str, CellAttempts] = {cell.attempts[0].cell: cell for cell in store.cells.cells}
    budget = ScreenshotBudget(EMBEDDED_BYTES)
    order = {"failed": 0, "missing": 1, "environment_error": 2}
    details = []
    for shown in sorted(grid, key=lambda cell: order.get(cell.status, 3)):
        found = by_name.get(shown.cell)
        attempts = [_attempt(store.folder.path, result, budget) for result in found.attempts] if found else []
        details.append(CellDetails(shown, anchor(shown.cell), attempts))
    return details


class ScreenshotBudget:
    """Counts how many bytes of screenshots still fit into the page."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, path: Path) -> bytes:
        """Returns the file when it fits, otherwise nothing."""
        try:
            taken = read_file(path, self.left * 3 // 4)
        except (FileNotFoundError, Unreadable):
            return b""
        self.left -= len(taken) * 4 // 3
        return taken


def _attempt(run_folder: Path, result: CellResult, budget: ScreenshotBudget) -> AttemptDetails:
    base = f"cells/{result.cell}/{result.attempt}"
    # An attempt writes only into its own folder, so a name that leads out of it is damaged.
    names = [name for name in result.artifacts if name == Path(name).name and name != ".."]
    files = [(name, quote(f"{base}/{name}")) for name in names]
    picture = ""
    if result.status != "passed":
        picture = next(filter(None, (_picture(run_folder / base / name, budget) for name in names)), "")
    return AttemptDetails(result, flat_facts(result.shaping), flat_facts(result.figures), files, picture)


def _picture(path: Path, budget: ScreenshotBudget) -> str:
    kind = PICTURES.get(path.suffix.lower())
    taken = budget.take(path) if kind else b""
    return f"data:{kind};base64,{base64.b64encode(taken).decode()}" if taken else ""


def flat_facts(tables: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns nested figures as (dotted name, text). Beyond ``FACTS_SHOWN`` it says how many are not shown."""
    found = _flat(tables)
    more = len(found) - FACTS_SHOWN
    return found if more <= 0 else [*found[:FACTS_SHOWN], ("…", f"{more} more, not shown")]


def _flat(tables: Mapping[str, Any], under: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in tables.items():
        key = f"{under}.{name}" if under else str(name)
        if isinstance(value, Mapping):
            found.extend(_flat(value, key))
        elif isinstance(value, list):
            found.append((key, ", ".join(str(item) for item in value) or "none"))
        elif isinstance(value, float):
            found.append((key, f"{value:.4g}" if abs(value) < 10_000 else grouped(value)))
        elif value is not None:
            found.append((key, str(value)))
    return found


def anchor(cell: str) -> str:
    """Returns the id of a cell's details on the page."""
    return "cell-" + re.sub(r"[^A-Za-z0-9_-]", "-", cell)
