"""Aggregates in SQL the figures of ``summary.json`` that no rule needs: counts, tiers, funnel, health, grid."""

from __future__ import annotations

from typing import Any

from calls.records.record import FUNNEL, Outcome
from reports.aggregate.quality import quality_figures
from reports.gate.exact_counts import concurrent_held_60s, peak_concurrent
from reports.gate.generator_checks import ENGINES
from reports.gate.matrix_checks import planned_cells
from reports.gate.outliers import call_outliers, cell_outliers
from reports.gate.record_checks import unreadable_files
from reports.result.summary import (
    AttemptSeen,
    FailureGroup,
    GeneratorHealth,
    GridCell,
    MatrixFigures,
    SwarmFigures,
    TierFigures,
    WriterHealth,
)
from reports.run.cells import CellAttempts
from reports.run.store import RunStore
from reports.slo.slo_file import CompletedCallLimits

SWARM = "source = 'swarm'"
MISSING = "missing"
"""The status of a cell that was planned and left no result."""


def swarm_figures(store: RunStore, limits: CompletedCallLimits, send_late_bound_ms: float) -> SwarmFigures:
    """Returns the figures of the swarm."""
    counts = dict(store.rows(f"SELECT outcome, count(*) FROM calls WHERE {SWARM} GROUP BY outcome"))
    held = concurrent_held_60s(store).value
    return SwarmFigures(
        calls=sum(counts.values()),
        completed=counts.get("completed", 0),
        failed=counts.get("failed", 0),
        peak_concurrent=int(peak_concurrent(store).value or 0),
        by_outcome={str(outcome): counts[outcome] for outcome in Outcome if outcome in counts},
        by_tier={row.pop("tier"): TierFigures(**row) for row in store.records(_TIERS)},
        health=generator_health(store, send_late_bound_ms),
        concurrent_held_60s=None if held is None else int(held),
        funnel=_funnel(store),
        failures=[FailureGroup(**row) for row in store.records(_FAILURES)],
        outliers=call_outliers(store),
        messages=store.records(_MESSAGES)[0],
        lists=store.records(_LISTS)[0],
        limits={"setup_limit_s": limits.setup_limit_s, "gap_limit_ms": limits.gap_limit_ms},
        quality=quality_figures(store),
    )


def generator_health(store: RunStore, send_late_bound_ms: float) -> GeneratorHealth:
    """Returns the health of the processes of the load generator."""
    writers = [WriterHealth(**row) for row in store.records(_WRITERS, [send_late_bound_ms])]
    planned, dropped = store.rows(
        """SELECT coalesce(sum(planned), 0), coalesce(sum(dropped), 0) FROM (
            SELECT max(starts_planned) AS planned, max(starts_dropped) AS dropped FROM health GROUP BY writer)"""
    )[0]
    return GeneratorHealth(
        writers=writers,
        send_late_bound_ms=send_late_bound_ms,
        starts_planned=int(planned),
        starts_dropped=int(dropped),
        lost_halves=int(store.value("SELECT count(*) FILTER (half_lost) FROM calls WHERE source = 'swarm'")),
        segments_read=store.segments.read,
        segments_unreadable=unreadable_files(store),
    )


def matrix_figures(store: RunStore) -> MatrixFigures:
    """Returns the figures of the matrix: every cell that ran, and every planned cell without a result."""
    grid = [_grid_cell(cell) for cell in store.cells.cells]
    known = {cell.cell for cell in grid}
    planned = planned_cells(store)
    grid += [_missing(name, cell) for name, cell in planned.items() if name not in known]
    place = {name: index for index, name in enumerate(planned)}
    grid.sort(key=lambda cell: (place.get(cell.cell, len(place)), cell.cell))
    by_status: dict[str, int] = {}
    for cell in grid:
        by_status[cell.status] = by_status.get(cell.status, 0) + 1
    return MatrixFigures(
        devices=len({cell.device for cell in grid}),
        networks=len({cell.network for cell in grid}),
        cells=len(grid),
        by_status=dict(sorted(by_status.items())),
        grid=grid,
        outliers=cell_outliers(store),
    )


def tiers(store: RunStore) -> dict[str, int]:
    """Returns how many legs were recorded in each tier."""
    return {tier: int(n) for tier, n in store.rows("SELECT tier, count(*) FROM sides GROUP BY tier ORDER BY tier")}


def duration_s(store: RunStore) -> float | None:
    """Returns the duration of the run: by its manifest, otherwise from its first to its last record."""
    manifest = store.folder.manifest
    if manifest and manifest.started_at_s is not None and manifest.ended_at_s is not None:
        return manifest.ended_at_s - manifest.started_at_s
    spanned: float | None = store.value(
        "SELECT max(b) - min(a) FROM (SELECT started_at_s AS a, ended_at_s AS b FROM legs "
        "UNION ALL SELECT at_s, at_s FROM health)"
    )
    return spanned


def _funnel(store: RunStore) -> dict[str, int]:
    reached = dict(store.rows(f"SELECT reached, count(*) FROM calls WHERE {SWARM} GROUP BY reached"))
    return {
        str(stage): sum(count for furthest, count in reached.items() if furthest >= place)
        for place, stage in enumerate(FUNNEL)
    }


def _grid_cell(cell: CellAttempts) -> GridCell:
    shown = cell.verdict_attempt
    return GridCell(
        cell=shown.cell, device=shown.device, device_title=shown.device_title or shown.device,
        device_class=shown.device_class, emulated=shown.emulated, network=shown.network, generation=shown.generation,
        scenario=shown.scenario, driver=shown.driver, tier=shown.tier, status=str(cell.status),
        attempts=len(cell.attempts), blame=str(shown.blame), reason=shown.reason, detail=shown.detail,
        replay=shown.replay, call_id=shown.call_id, duration_s=sum(attempt.duration_s for attempt in cell.attempts),
        attempts_seen=[
            AttemptSeen(attempt=seen.attempt, status=str(seen.status), reason=seen.reason, detail=seen.detail)
            for seen in cell.attempts
        ],
    )  # fmt: skip


def _missing(name: str, planned: dict[str, Any]) -> GridCell:
    device, network, scenario = (str(planned.get(key, "")) for key in ("device", "network", "scenario"))
    return GridCell(
        cell=name, device=device, device_title=str(planned.get("device_title") or device), device_class="",
        emulated=True, network=network, generation="", scenario=scenario, driver=str(planned.get("driver", "")),
        tier="", status=MISSING, attempts=0, blame="generator", reason="no_result",
        detail="the cell was planned and left no result",
    )  # fmt: skip


_TIERS = f"""
SELECT tier, count(*) AS calls,
    count(*) FILTER (outcome = 'completed') AS completed,
    count(*) FILTER (outcome = 'failed') AS failed,
    completed / nullif(completed + failed, 0) AS completion_ratio,
    quantile_disc(setup_ms, 0.5) AS setup_ms_p50, quantile_disc(setup_ms, 0.95) AS setup_ms_p95,
    quantile_disc(connect_ms, 0.95) AS connect_ms_p95,
    quantile_disc(owd_ms, 0.5) AS owd_ms_p50, quantile_disc(owd_ms, 0.95) AS owd_ms_p95,
    quantile_disc(mos_lq, 0.5) AS mos_lq_median,
    count(*) FILTER (any_mos_lq IS NOT NULL AND mos_lq IS NULL) AS mos_ungrounded,
    quantile_disc(audio_score, 0.5) AS probe_score_median
FROM calls WHERE {SWARM} GROUP BY tier ORDER BY calls DESC, tier
"""

_FAILURES = f"""
SELECT reason, blame, count(*) AS calls, list_slice(list(call_id ORDER BY call_id), 1, 3) AS examples
FROM calls WHERE {SWARM} AND outcome = 'failed' GROUP BY reason, blame ORDER BY calls DESC, reason, blame
"""

_MESSAGES = """
SELECT count(*) AS sent, count(*) FILTER (NOT ok) AS failed,
    quantile_disc(ack_ms, 0.5) AS ack_ms_p50, quantile_disc(ack_ms, 0.95) AS ack_ms_p95
FROM messages
"""

_LISTS = """
SELECT count(*) AS opened, count(*) FILTER (NOT ok) AS failed, quantile_disc(took_ms, 0.95) AS ms_p95,
    count(*) FILTER (heavy_past) AS heavy_opened, quantile_disc(took_ms, 0.95) FILTER (heavy_past) AS heavy_ms_p95
FROM lists
"""

_WRITERS = f"""
SELECT writer, min(role) AS role, count(*) AS seconds,
    round(avg(cpu_ratio), 6) AS cpu_ratio_mean, max(cpu_ratio) AS cpu_ratio_max, max(rss_mb) AS rss_mb_max,
    quantile_disc(loop_lag_p99_ms, 0.5) AS loop_lag_p99_ms_median,
    quantile_disc(send_late_p99_ms, 0.5) FILTER (active_legs > 0) AS send_late_p99_ms_median,
    quantile_disc(send_late_p99_ms, 0.99) FILTER (active_legs > 0) AS send_late_p99_ms_p99,
    max(send_late_max_ms) AS send_late_max_ms,
    count(*) FILTER ({ENGINES} AND active_legs > 0 AND send_late_p99_ms > ?) AS late_seconds,
    count(*) FILTER (active_legs > 0) AS active_seconds,
    max(datagrams_dropped) AS datagrams_dropped, max(packets_sent) AS packets_sent,
    max(packets_received) AS packets_received
FROM health GROUP BY writer ORDER BY writer
"""
