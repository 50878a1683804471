"""Checks that the device matrix tested what was planned, without too many retries and deaths."""

from __future__ import annotations

from collections import Counter
from typing import Any

from reports.gate.check_result import CheckResult
from reports.run.cells import DEATHS, CellStatus
from reports.run.live import LiveReader
from reports.run.store import RunStore
from reports.slo.slo_file import ValidityBounds
from reports.text import counted, percent

PLANNED = "live/matrix.jsonl"
"""The matrix writes here which cells it will run."""


def planned_cells(store: RunStore) -> dict[str, dict[str, Any]]:
    """Returns the cells that the matrix planned, by name. Returns an empty table when it never planned."""
    planned: dict[str, dict[str, Any]] = {}
    for event in LiveReader(store.folder.path / PLANNED).read_new():
        if event.get("event") == "plan" and isinstance(event.get("cells"), list):
            planned |= {str(cell["cell"]): cell for cell in event["cells"] if isinstance(cell, dict) and "cell" in cell}
    return planned


def matrix_ran(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Checks the share of planned cells that ended in an environment error or left no result."""
    limit = bounds.environment_error_ratio_max
    planned = planned_cells(store)
    ran = {row[0] for row in store.rows("SELECT cell FROM cells WHERE status <> 'skipped'")}
    missing = sorted(set(planned) - {row[0] for row in store.rows("SELECT cell FROM cells")})
    errors = [cell.environment_errors for cell in store.cells.cells if cell.status is CellStatus.ENVIRONMENT_ERROR]
    n = len(ran) + len(missing)
    if n == 0:
        wanted = store.folder.manifest is not None and store.folder.manifest.plans("matrix")
        return CheckResult(None, limit, 0, "a device matrix was planned, but no cell ran" if wanted else "", "ratio")
    share = (len(errors) + len(missing)) / n
    if share <= limit:
        return CheckResult(share, limit, n, "", "ratio")
    parts = []
    if errors:
        last = errors[0][-1]
        parts.append(f"{counted(len(errors), 'cell')} ended in an environment error, e.g. {last.cell}: {last.detail}")
    if missing:
        parts.append(f"{counted(len(missing), 'planned cell')} left no result, e.g. {missing[0]}")
    return CheckResult(share, limit, n, " and ".join(parts), "ratio")


def matrix_retries(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Checks the share of the cells that needed another attempt after an environment error."""
    limit = bounds.environment_retry_ratio_max
    cells = [cell for cell in store.cells.cells if cell.status is not CellStatus.SKIPPED]
    broken = [cell.environment_errors[0] for cell in cells if cell.environment_errors]
    share = len(broken) / len(cells) if cells else None
    if share is None or share <= limit or len(broken) <= bounds.environment_retries_forgiven:
        return CheckResult(share, limit, len(cells), "", "ratio")
    reasons = Counter(attempt.reason for attempt in broken).most_common()
    reason = (
        f"the environment failed at least once in {len(broken)} of {counted(len(cells), 'cell')} "
        f"({percent(share)} %, allowed {percent(limit)} %): "
        f"{', '.join(f'{name} {count}' for name, count in reasons)}, e.g. {broken[0].cell}: {broken[0].detail}"
    )
    return CheckResult(share, limit, len(cells), reason, "ratio")


def matrix_deaths(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Checks how many browsers and links died in the middle of an attempt.

    A browser that died may be the fault of the product: a page can kill it.
    """
    limit = bounds.deaths_repaired_max
    spoiled = [attempt for cell in store.cells.cells for attempt in cell.environment_errors]
    died = [attempt for attempt in spoiled if attempt.reason in DEATHS]
    if len(died) <= limit:
        return CheckResult(len(died), limit, len(store.cells.cells), "")
    first = died[0]
    reason = (
        f"in {counted(len(died), 'attempt')} a browser or a link died (allowed {limit}), "
        f"e.g. {first.cell}, attempt {first.attempt} [{first.reason}]: {first.detail}"
    )
    return CheckResult(len(died), limit, len(store.cells.cells), reason)
