"""Checks that the load generator kept up: lateness, lost datagrams, silent processes, lost records, clocks, starts."""

from __future__ import annotations

from reports.gate.check_result import CheckResult
from reports.gate.machine_checks import moment, on_host
from reports.run.store import RunStore
from reports.slo.slo_file import ValidityBounds
from reports.text import counted, percent

ENGINES = "role IN ('engine', 'matrix_engine')"
MIN_ACTIVE_SECONDS = 20
"""A process that was active for fewer seconds has no lateness share of its own. It still counts in the pooled share."""
_SKEWED = "(owd_p50_ms < 0 OR owd_negative > 0.01 * packets_received)"
"""A leg received more than a stray packet before it was sent."""


def send_late_seconds(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Checks the share of call-seconds whose packets left late, process by process."""
    limit = bounds.send_late_seconds_ratio_max
    rows = store.rows(
        f"""SELECT writer, bound_ms, sum(active_legs), coalesce(sum(active_legs) FILTER (late), 0), count(*),
            max(send_late_p99_ms), arg_max(at_s, (send_late_p99_ms, -at_s)), min(at_s) FILTER (late)
        FROM (
            SELECT *, CASE role WHEN 'engine' THEN ? ELSE ? END AS bound_ms, send_late_p99_ms > bound_ms AS late
            FROM health WHERE {ENGINES} AND active_legs > 0
        ) GROUP BY writer, bound_ms ORDER BY writer""",
        [bounds.send_late_p99_ms_max, bounds.matrix_send_late_p99_ms_max],
    )
    n = int(sum(row[2] for row in rows))
    pooled = sum(row[3] for row in rows) / n if n else None
    judged = [row for row in rows if row[4] >= MIN_ACTIVE_SECONDS or (pooled or 0) > limit]
    if not judged:
        return CheckResult(pooled, limit, n, "", "ratio")
    writer, bound_ms, leg_seconds, late, _seconds, worst_ms, worst_at_s, first_at_s = max(
        judged, key=lambda row: row[3] / row[2]
    )
    share = late / leg_seconds
    if share <= limit:
        return CheckResult(share, limit, n, "", "ratio")
    reason = (
        f"the load generator fell behind ({on_host(store, writer)}): in {percent(share)} % of call-seconds "
        f"(allowed {percent(limit)} %) the slowest 1 % of packets left over {bound_ms:g} ms late; "
        f"first in {moment(store, first_at_s)}, worst in {moment(store, worst_at_s)} ({worst_ms:.0f} ms)"
    )
    return CheckResult(share, limit, n, reason, "ratio")


def send_late_legs(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Checks the share of the legs of the swarm whose packets left late."""
    bound_ms, limit = bounds.send_late_p99_ms_max, bounds.send_late_legs_ratio_max
    late, n, worst_ms, worst_writer, worst_at_s = store.rows(
        """SELECT count(*) FILTER (send_late_p99_ms > ?), count(send_late_p99_ms), max(send_late_p99_ms),
            arg_max(writer, (send_late_p99_ms, call_id)), arg_max(started_at_s, (send_late_p99_ms, call_id))
        FROM sides WHERE source = 'swarm' AND send_late_p99_ms IS NOT NULL""",
        [bound_ms],
    )[0]
    share = late / n if n else None
    if share is None or share <= limit:
        return CheckResult(share, limit, n, "", "ratio")
    reason = (
        f"the load generator fell behind: on {percent(share)} % of legs (allowed {percent(limit)} %) the slowest "
        f"1 % of packets left over {bound_ms:g} ms late; the worst leg was {worst_writer}'s, started in "
        f"{moment(store, worst_at_s)} ({worst_ms:.0f} ms)"
    )
    return CheckResult(share, limit, n, reason, "ratio")


def datagrams_dropped(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Checks that no process dropped its own datagrams before the network saw them."""
    limit = bounds.datagrams_dropped_max
    rows = store.rows(
        """SELECT writer, max(datagrams_dropped) AS dropped, min(at_s) FILTER (datagrams_dropped > 0)
        FROM health GROUP BY writer ORDER BY dropped DESC, writer"""
    )
    total = sum(row[1] for row in rows)
    if total <= limit:
        return CheckResult(total, limit, len(rows), "")
    writer, dropped, at_s = rows[0]
    reason = (
        f"{on_host(store, writer)} dropped {counted(dropped, 'datagram')} before the network saw them "
        f"(allowed {limit}), first in {moment(store, at_s)}"
    )
    return CheckResult(total, limit, len(rows), reason)


def health_gap(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Checks that every engine wrote its health each second, as long as the others did."""
    limit_s = bounds.health_gap_s_max
    gaps = store.rows(
        f"""SELECT writer, at_s, next_at_s - at_s AS gap_s FROM (
            SELECT writer, at_s,
                coalesce(
                    lead(at_s) OVER (PARTITION BY writer ORDER BY at_s),
                    CASE WHEN role = 'engine' THEN max(at_s) OVER (PARTITION BY role) END
                ) AS next_at_s
            FROM health WHERE {ENGINES}
        ) WHERE next_at_s IS NOT NULL ORDER BY gap_s DESC LIMIT 1"""
    )
    silent = [row[0] for row in store.rows(
        """SELECT DISTINCT writer FROM sides WHERE tier IN ('packets', 'media')
        AND writer NOT IN (SELECT writer FROM health) ORDER BY writer"""
    )]  # fmt: skip
    n = int(store.value("SELECT count(DISTINCT writer) FROM health"))
    if silent:
        return CheckResult(None, limit_s, n, f"no health was recorded by {', '.join(silent)}", "s")
    if not gaps or gaps[0][2] <= limit_s:
        return CheckResult(gaps[0][2] if gaps else None, limit_s, n, "", "s")
    writer, at_s, gap_s = gaps[0]
    reason = (
        f"{on_host(store, writer)} reported no health for {gap_s:.0f} s (allowed {limit_s:g} s), "
        f"from {moment(store, at_s)} on"
    )
    return CheckResult(gap_s, limit_s, n, reason, "s")


def lost_halves(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Checks the share of the calls of the swarm that lost the record of one side.

    A cell that loses one is an environment error, and is counted there.
    """
    limit = bounds.lost_halves_ratio_max
    lost, n, writer, at_s = store.rows(
        """SELECT count(*) FILTER (half_lost), count(*), mode(writer) FILTER (half_lost),
            min(started_at_s) FILTER (half_lost) FROM calls WHERE source = 'swarm'"""
    )[0]
    share = lost / n if n else None
    if share is None or share <= limit:
        return CheckResult(share, limit, n, "", "ratio")
    reason = (
        f"{counted(lost, 'call')} ({percent(share)} %, allowed {percent(limit)} %) lost the record of one side; the "
        f"other side was mostly {writer}'s; the first of these calls started in {moment(store, at_s)}"
    )
    return CheckResult(share, limit, n, reason, "ratio")


def clock_agreement(store: RunStore, _bounds: ValidityBounds) -> CheckResult:
    """Checks that no leg received packets before they were sent."""
    negative, n, writer, at_s = store.rows(
        f"""SELECT count(*) FILTER ({_SKEWED}), count(owd_p50_ms), mode(writer) FILTER ({_SKEWED}),
            min(started_at_s) FILTER ({_SKEWED}) FROM sides"""
    )[0]
    if not negative:
        return CheckResult(0, 0, n, "")
    reason = (
        f"{counted(negative, 'leg')} received packets before they were sent, mostly {writer}'s, first in "
        f"{moment(store, at_s)}: the clocks of the machines disagree, synchronise them"
    )
    return CheckResult(negative, 0, n, reason)


def starts_dropped(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Checks the share of planned calls that could not start because no user was free."""
    limit = bounds.starts_dropped_ratio_max
    rows = store.rows(
        """SELECT writer, max(starts_planned), max(starts_dropped) AS dropped, min(at_s) FILTER (starts_dropped > 0)
        FROM health GROUP BY writer ORDER BY dropped DESC, writer"""
    )
    planned, dropped = sum(row[1] for row in rows), sum(row[2] for row in rows)
    share = dropped / planned if planned else None
    if share is None or share <= limit:
        return CheckResult(share, limit, planned, "", "ratio")
    reason = (
        f"{counted(dropped, 'planned start')} ({percent(share)} %, allowed {percent(limit)} %) dropped because no user "
        f"was free; most at {rows[0][0]}, first in {moment(store, rows[0][3])}: plan more users"
    )
    return CheckResult(share, limit, planned, reason, "ratio")
