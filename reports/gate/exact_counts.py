"""Counts what needs no estimate: concurrent calls that were held, cells and devices that ran."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reports.run.store import RunStore

MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class ExactCount:
    """A number and how many records it was counted from. The number is None when there was nothing to count."""

    value: float | None
    n: int


def peak_concurrent(store: RunStore) -> ExactCount:
    """Returns the most swarm calls with media both ways at the start of a second."""
    return _count(store, "SELECT max(in_media), count(*) FROM seconds")


def concurrent_held_60s(store: RunStore) -> ExactCount:
    """Returns the lowest concurrency of the best minute. None when the swarm lasted less than a minute."""
    return _count(store, f"SELECT max(held), count(*) FROM ({_MINUTES})")


def probes_concurrent_min(store: RunStore) -> ExactCount:
    """Returns the fewest probe calls in any second of the minute with the most calls."""
    return _count(store, f"SELECT arg_max(probes_held, held), count(*) FROM ({_MINUTES})")


def cells_run(store: RunStore) -> ExactCount:
    """Returns the number of cells that passed or failed. An environment error is no result."""
    return _count(store, f"SELECT nullif(count(*) FILTER ({_RAN}), 0), count(*) FROM cells")


def devices_run(store: RunStore) -> ExactCount:
    """Returns the number of device profiles with at least one cell that passed or failed."""
    return _count(store, f"SELECT nullif(count(DISTINCT device) FILTER ({_RAN}), 0), count(*) FROM cells")


EXACT_COUNTS: dict[str, Callable[[RunStore], ExactCount]] = {
    query.__name__: query
    for query in (peak_concurrent, concurrent_held_60s, probes_concurrent_min, cells_run, devices_run)
}
"""Every count by the name that metrics.py uses."""

_RAN = "status IN ('passed', 'failed')"
_MINUTES = f"""
SELECT min(in_media) OVER minute AS held, min(probes) OVER minute AS probes_held
FROM seconds
WINDOW minute AS (ORDER BY at_s ROWS BETWEEN {MINUTE_S - 1} PRECEDING AND CURRENT ROW)
QUALIFY count(*) OVER minute = {MINUTE_S}
"""


def _count(store: RunStore, sql: str) -> ExactCount:
    value, n = store.rows(sql)[0]
    return ExactCount(None if value is None else float(value), int(n))
