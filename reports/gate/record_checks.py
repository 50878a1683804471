"""Checks that the records of a run are whole, that its processes lived, and that it came to its end."""

from __future__ import annotations

from reports.gate.check_result import CheckResult
from reports.gate.machine_checks import moment
from reports.gate.matrix_checks import PLANNED
from reports.gate.stepped_load import unreadable_results
from reports.run.live import LiveReader
from reports.run.store import RunStore
from reports.slo.slo_file import ValidityBounds
from reports.text import counted


def unreadable_files(store: RunStore) -> list[str]:
    """Returns every file that cannot be read or holds impossible values, as ``name: why``."""
    live = LiveReader(store.folder.path / PLANNED)
    live.read_new()
    planned = [f"{PLANNED}: {live.problem}"] if live.problem else []
    damaged = unreadable_results(store.folder.path)
    return [*store.segments.unreadable, *store.cells.unreadable, *planned, *damaged]


def files_readable(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Checks that every file of the run can be read."""
    unreadable = unreadable_files(store)
    n = store.segments.read + len(unreadable)
    limit = bounds.unreadable_segments_max
    if len(unreadable) <= limit:
        return CheckResult(len(unreadable), limit, n, "")
    return CheckResult(len(unreadable), limit, n, f"{counted(len(unreadable), 'file')} cannot be read: {unreadable[0]}")


def harness_faults(store: RunStore, _bounds: ValidityBounds) -> CheckResult:
    """Checks that no process of ringfence itself failed."""
    faults = [fault for fault in store.folder.faults if fault.severity == "invalid"]
    message = "; ".join(f"{fault.detail or fault.what} ({moment(store, fault.at_s)})" for fault in faults[:3])
    return CheckResult(len(faults), 0, len(store.folder.faults), message)


def run_complete(store: RunStore, _bounds: ValidityBounds) -> CheckResult:
    """Checks that nobody interrupted the run, and that its manifest is whole."""
    folder = store.folder
    problems = list(folder.problems)
    if folder.manifest is not None and folder.manifest.interrupted:
        problems.append("the run was interrupted")
    return CheckResult(len(problems), 0, 1, "; ".join(problems))


def run_supervised(store: RunStore, _bounds: ValidityBounds) -> CheckResult:
    """Checks that the supervisor lived to the end of the run.

    When it died, its child processes ended in no order, so the last failures say nothing of the product.
    """
    manifest = store.folder.manifest
    alone = manifest is not None and manifest.ended_at_s is None
    return CheckResult(
        float(alone),
        0,
        1,
        "the run never came to its end: manifest.json has no end time, so its supervisor died" if alone else "",
    )


def swarm_ran(store: RunStore, _bounds: ValidityBounds) -> CheckResult:
    """Checks that a planned swarm recorded calls."""
    calls = int(store.value("SELECT count(*) FROM calls WHERE source = 'swarm'"))
    planned = store.folder.manifest is not None and store.folder.manifest.plans("swarm")
    nothing = planned and calls == 0
    return CheckResult(float(nothing), 0, calls, "a swarm was planned, but it recorded no call" if nothing else "")


def something_recorded(store: RunStore, _bounds: ValidityBounds) -> CheckResult:
    """Checks that the run recorded a call or a cell."""
    records = int(store.value("SELECT (SELECT count(*) FROM calls) + (SELECT count(*) FROM cells)"))
    return CheckResult(float(records == 0), 0, records, "" if records else "nothing was recorded: no call and no cell")
