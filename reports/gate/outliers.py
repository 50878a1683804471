"""Finds devices, networks, drivers and personas that fail more often than the others, with few false alarms."""

from __future__ import annotations

from collections.abc import Sequence

from reports.gate.statistics import benjamini_hochberg, fisher_p_value
from reports.result.summary import Outlier
from reports.run.store import RunStore


def call_outliers(store: RunStore) -> list[Outlier]:
    """Returns the networks and personas whose swarm calls fail more often than those of the others."""
    found = []
    for by in ("network", "persona"):
        rows = store.rows(
            f"""SELECT {by}, count(*) FILTER (outcome = 'failed'), count(*) FROM calls
            WHERE source = 'swarm' AND {by} <> '' AND outcome IN ('completed', 'failed') GROUP BY 1 ORDER BY 1"""
        )
        found += _outliers(by, rows)
    return found


def cell_outliers(store: RunStore) -> list[Outlier]:
    """Returns the devices, networks and drivers whose cells fail more often than those of the others."""
    found = []
    for by in ("device", "network", "driver"):
        rows = store.rows(
            f"""SELECT {by}, count(*) FILTER (status = 'failed'), count(*) FROM cells
            WHERE status IN ('passed', 'failed') GROUP BY 1 ORDER BY 1"""
        )
        found += _outliers(by, rows)
    return found


def _outliers(by: str, groups: Sequence[tuple[str, int, int]]) -> list[Outlier]:
    all_failed, total = sum(group[1] for group in groups), sum(group[2] for group in groups)
    if len(groups) < 2 or all_failed == 0:
        return []
    p_values = [fisher_p_value(failed, n, all_failed - failed, total - n) for _name, failed, n in groups]
    return [
        Outlier(
            by=by, name=name, failed=failed, n=n, others_failed=all_failed - failed, others_n=total - n, p_value=p_value
        )
        for (name, failed, n), p_value, stands_out in zip(groups, p_values, benjamini_hochberg(p_values), strict=True)
        if stands_out
    ]  # fmt: skip
