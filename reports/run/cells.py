"""Reads and writes the result of each attempt at a cell, and merges the attempts into one status.

The file is ``cells/<cell>/<attempt>/cell.json``. Screenshots and logs are beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from bedrock.foreign_text import clean_all
from bedrock.whole_file import write_whole
from calls.records.record import Blame
from reports.run.file_input import Unreadable, decode_json, list_folder, read_file
from reports.run.run_folder import is_moment, refuse_newer

CELL_FORMAT = 1
MOST_ATTEMPTS = 10_000
"""No run tries a cell more often."""
DEATHS = frozenset({"browser_died", "link_died"})
"""Reasons of an environment error: the browser or the link of this attempt died."""


class CellStatus(StrEnum):
    """How an attempt ended."""

    PASSED = "passed"
    FAILED = "failed"
    """The product did not do what the scenario requires."""
    ENVIRONMENT_ERROR = "environment_error"
    """The test itself failed: a link missed its profile, a browser died. It says nothing about the product."""
    SKIPPED = "skipped"


MERGE_ORDER = (CellStatus.SKIPPED, CellStatus.ENVIRONMENT_ERROR, CellStatus.PASSED, CellStatus.FAILED)
"""The status of a cell is the last of these that any attempt has.

Only an environment error may be tried again, so a pass may follow one and outranks it. A failure outranks everything,
so that no retry can hide it.
"""


class CellResult(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at one cell."""

    format: int = CELL_FORMAT
    cell: str
    """``device--network--scenario``."""
    device: str
    device_title: str = ""
    device_class: str = ""
    emulated: bool = True
    network: str
    generation: str = ""
    scenario: str
    driver: str = ""
    """``playwright`` or ``appium``."""
    tier: str = ""
    attempt: int = 1
    status: CellStatus
    blame: Blame = Blame.NOBODY
    reason: str = ""
    """A short code with few distinct values, e.g. ``no_audio``, ``link_off``."""
    detail: str = ""
    """One sentence for a person."""
    started_at_s: float = 0.0
    duration_s: float = 0.0
    call_id: str = ""
    replay: str = ""
    """The one command that runs this cell again."""
    shaping: dict[str, Any] = {}
    """The measurements of the link before the cell used it."""
    figures: dict[str, float | str | None] = {}
    artifacts: list[str] = []
    """File names in the attempt's own folder."""


@dataclass(frozen=True, slots=True)
class CellAttempts:
    """One cell with every attempt at it, in the order of their numbers."""

    attempts: tuple[CellResult, ...]

    @property
    def status(self) -> CellStatus:
        return merge_status(attempt.status for attempt in self.attempts)

    @property
    def verdict_attempt(self) -> CellResult:
        """The first attempt that has the cell's status: the one whose reason and replay command matter."""
        status = self.status
        return next(attempt for attempt in self.attempts if attempt.status == status)

    @property
    def environment_errors(self) -> tuple[CellResult, ...]:
        """The attempts that say nothing about the product, even if a later one passed or failed."""
        return tuple(attempt for attempt in self.attempts if attempt.status is CellStatus.ENVIRONMENT_ERROR)


@dataclass(frozen=True, slots=True)
class CellsRead:
    """Every cell of a run folder, by name, and the files that could not be read."""

    cells: tuple[CellAttempts, ...]
    unreadable: tuple[str, ...]


def merge_status(statuses: Iterable[CellStatus]) -> CellStatus:
    """Returns the status of a cell from those of its attempts, whatever their order. Raises ValueError for none."""
    return max(statuses, key=MERGE_ORDER.index)


def attempt_folder(run_folder: Path, cell: str, attempt: int) -> Path:
    """Returns the folder of an attempt. Raises ValueError for a name that is not one plain path component."""
    if not cell or cell != Path(cell).name or cell in {".", ".."} or attempt < 1:
        raise ValueError(f"not a cell and an attempt: {cell!r}, {attempt}")
    return run_folder / "cells" / cell / str(attempt)


def write_cell(run_folder: Path, result: CellResult) -> Path:
    """Writes ``cell.json`` whole, its text clean, and renames it into place. Returns its path."""
    folder = attempt_folder(run_folder, result.cell, result.attempt)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cell.json"
    write_whole(path, msgspec.json.format(msgspec.json.encode(clean_all(result)), indent=2))
    return path


def read_cells(run_folder: Path) -> CellsRead:
    """Reads every attempt. A file that is torn or not a cell is named in ``unreadable``, never raised.

    Raises NewerFormat for a cell that a newer version wrote.
    """
    attempts: dict[str, list[CellResult]] = {}
    unreadable: list[str] = []
    for folder in _inside(run_folder / "cells", run_folder, unreadable):
        for attempt in _inside(folder, run_folder, unreadable):
            path = attempt / "cell.json"
            try:
                result = _read_cell(path)
            except FileNotFoundError:
                continue  # an attempt in progress, or one whose process died: the plan names the cell
            except Unreadable as error:
                unreadable.append(f"{path.relative_to(run_folder)}: {error}")
                continue
            attempts.setdefault(result.cell, []).append(result)
    cells = tuple(
        CellAttempts(tuple(sorted(found, key=lambda result: result.attempt)))
        for _name, found in sorted(attempts.items())
    )
    return CellsRead(cells, tuple(unreadable))


def _inside(folder: Path, run_folder: Path, unreadable: list[str]) -> list[Path]:
    try:
        return [path for path in list_folder(folder) if not path.name.startswith(".") and path.is_dir()]
    except (Unreadable, OSError) as error:
        unreadable.append(f"{folder.relative_to(run_folder)}: {error}")
        return []


def _read_cell(path: Path) -> CellResult:
    try:
        written = read_file(path)
    except NotADirectoryError:
        raise FileNotFoundError(path) from None
    refuse_newer(written, CELL_FORMAT, path)
    result = clean_all(decode_json(written, CellResult))
    try:
        attempt_folder(path.parent.parent.parent.parent, result.cell, result.attempt)
    except ValueError as error:
        raise Unreadable(f"has a wrong value: {error}") from None
    if result.attempt > MOST_ATTEMPTS or not is_moment(result.started_at_s) or not is_moment(result.duration_s):
        raise Unreadable("has a wrong value: an attempt or a time that no run has")
    return result
