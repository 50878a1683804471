"""Facts of a run that are counted rather than estimated: concurrency that was held, cells that were run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reports.run.store import RunStore

MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class ExactCount:
    """A number and how many records it was counted from; None when there was nothing to count."""

    value: float | None
    n: int


def peak_concurrent(store: RunStore) -> ExactCount:
    """Most swarm calls with media both ways at the turn of a second."""
    return _count(store, "SELECT max(in_media), count(*) FROM seconds")


def concurrent_held_60s(store: RunStore) -> ExactCount:
    """The best minute's lowest concurrency: None when the swarm lasted less than a minute."""
    return _count(store, f"SELECT max(held), count(*) FROM ({_MINUTES})")


def probes_concurrent_min(store: RunStore) -> ExactCount:
    """Fewest probe calls in a second of the minute that held the most calls."""
    return _count(store, f"SELECT arg_max(probes_held, held), count(*) FROM ({_MINUTES})")


def cells_run(store: RunStore) -> ExactCount:
    """Cells that passed or failed; an environment error ran nothing."""
    return _count(store, f"SELECT nullif(count(*) FILTER ({_RAN}), 0), count(*) FROM cells")


def devices_run(store: RunStore) -> ExactCount:
    """Device profiles with at least one cell that passed or failed."""
    return _count(store, f"SELECT nullif(count(DISTINCT device) FILTER ({_RAN}), 0), count(*) FROM cells")


EXACT_COUNTS: dict[str, Callable[[RunStore], ExactCount]] = {
    query.__name__: query
    for query in (peak_concurrent, concurrent_held_60s, probes_concurrent_min, cells_run, devices_run)
}
"""Every fact by the name that metrics.py uses."""

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
