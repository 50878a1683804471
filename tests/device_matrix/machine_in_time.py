"""Cells on a machine that was in time. Of one that was late the product itself says so, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from waiting import eventually

from reports.run.cells import CellResult, CellStatus

MACHINE_WAS_LATE = frozenset({"link_late", "machine_saturated"})
"""Reasons of an environment error that say no more than that."""


def in_time(run: Callable[[], CellResult]) -> CellResult:
    """Runs again as long as the result says that this machine was late; returns the last."""
    results: list[CellResult] = []

    def was_in_time() -> bool:
        results.append(run())
        last = results[-1]
        return not (last.status is CellStatus.ENVIRONMENT_ERROR and last.reason in MACHINE_WAS_LATE)

    eventually(was_in_time)
    return results[-1]
