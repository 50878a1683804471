"""Whether the harness can vouch for its own figures, and whether it tested what was planned.

``trust`` rules come first: a generator that sent late, lost datagrams or lost records has no true figures, so neither
a pass nor a fail of the product can be had from them. ``evidence`` rules say that less was tested than planned, or only
in an environment that kept failing; what was tested stays true. A broken one names the writer and the second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from reports.gate.check_result import CheckResult
from reports.gate.machine_checks import busy_cpu, file_descriptors, local_ports, loop_lag, moment, on_host, steal
from reports.gate.other_runs import other_runs_sentence
from reports.gate.stepped_load import unreadable_results
from reports.result.summary import RuleKind, RuleResult, Verdict
from reports.run.cells import DEATHS, CellStatus
from reports.run.live import LiveReader
from reports.run.store import RunStore
from reports.slo.slo_file import ValidityBounds
from reports.text import counted, percent

PLANNED = "live/matrix.jsonl"
"""The matrix says here what it will run."""
ENGINES = "role IN ('engine', 'matrix_engine')"
_SKEWED = "(owd_p50_ms < 0 OR owd_negative > 0.01 * packets_received)"
"""More than a stray packet was heard before it was sent."""
MIN_ACTIVE_SECONDS = 20
"""A writer active for less has no lateness share of its own; it still counts in the pool of all."""


def check_validity(store: RunStore, bounds: ValidityBounds) -> list[RuleResult]:
    """Returns every validity rule, judged: PASS or INVALID. Needs the table ``calls``."""
    results = []
    neighbours = other_runs_sentence(store.folder.manifest)
    # A generator that died is silent because of that, whoever else was there.
    somebody_died = any(fault.what in _GENERATOR_DEATHS for fault in store.folder.faults)
    spoilt = _SPOILT - {"engine_health_gap"} if somebody_died else _SPOILT
    for name, kind, judge in _RULES:
        check = judge(store, bounds)
        reason = f"{check.reason}; {neighbours}" if check.reason and neighbours and name in spoilt else check.reason
        results.append(
            RuleResult(
                name=name, verdict=Verdict.INVALID if check.reason else Verdict.PASS, kind=kind, value=check.value,
                low=check.value, high=check.value, n=check.n, limit=check.limit, unit=check.unit, metric=name,
                objective=f"<= {check.limit:g}" if check.unit != "ratio" else f"<= {percent(check.limit)} %",
                reason=reason,
            )
        )  # fmt: skip
    return results


def planned_cells(store: RunStore) -> dict[str, dict[str, Any]]:
    """The cells that the matrix announced, by name; empty when it never came that far."""
    planned: dict[str, dict[str, Any]] = {}
    for event in LiveReader(store.folder.path / PLANNED).read_new():
        if event.get("event") == "plan" and isinstance(event.get("cells"), list):
            planned |= {str(cell["cell"]): cell for cell in event["cells"] if isinstance(cell, dict) and "cell" in cell}
    return planned


def unreadable_files(store: RunStore) -> list[str]:
    """Every file of the run that cannot be read, or holds what no run can have written: its name, and why."""
    live = LiveReader(store.folder.path / PLANNED)
    live.read_new()
    planned = [f"{PLANNED}: {live.problem}"] if live.problem else []
    damaged = unreadable_results(store.folder.path)
    return [*store.segments.unreadable, *store.cells.unreadable, *planned, *damaged]


def _send_late_seconds(store: RunStore, bounds: ValidityBounds) -> CheckResult:
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
        f"{on_host(store, writer)} sent late: in {percent(share)} % of its legs' seconds 1 % of its packets left "
        f"more than {bound_ms:g} ms late, first in {moment(store, first_at_s)}, worst in {moment(store, worst_at_s)} "
        f"({worst_ms:.0f} ms)"
    )
    return CheckResult(share, limit, n, reason, "ratio")


def _send_late_legs(store: RunStore, bounds: ValidityBounds) -> CheckResult:
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
        f"{percent(share)} % of the swarm's legs sent 1 % of their packets more than {bound_ms:g} ms late; the worst "
        f"one was {worst_writer}'s, begun in {moment(store, worst_at_s)} ({worst_ms:.0f} ms)"
    )
    return CheckResult(share, limit, n, reason, "ratio")


def _datagrams_dropped(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    limit = bounds.datagrams_dropped_max
    rows = store.rows(
        """SELECT writer, max(datagrams_dropped) AS dropped, min(at_s) FILTER (datagrams_dropped > 0)
        FROM health GROUP BY writer ORDER BY dropped DESC, writer"""
    )
    total = sum(row[1] for row in rows)
    if total <= limit:
        return CheckResult(total, limit, len(rows), "")
    writer, dropped, at_s = rows[0]
    reason = f"{on_host(store, writer)} lost {counted(dropped, 'datagram')} of its own, first in {moment(store, at_s)}"
    return CheckResult(total, limit, len(rows), reason)


def _health_gap(store: RunStore, bounds: ValidityBounds) -> CheckResult:
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
        return CheckResult(None, limit_s, n, f"no health was ever recorded by {', '.join(silent)}", "s")
    if not gaps or gaps[0][2] <= limit_s:
        return CheckResult(gaps[0][2] if gaps else None, limit_s, n, "", "s")
    writer, at_s, gap_s = gaps[0]
    reason = f"{on_host(store, writer)} fell silent in {moment(store, at_s)} for {gap_s:.0f} s"
    return CheckResult(gap_s, limit_s, n, reason, "s")


def _lost_halves(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Of the swarm alone: a cell that loses a half is an environment error, and counted as that."""
    limit = bounds.lost_halves_ratio_max
    lost, n, writer, at_s = store.rows(
        """SELECT count(*) FILTER (half_lost), count(*), mode(writer) FILTER (half_lost),
            min(started_at_s) FILTER (half_lost) FROM calls WHERE source = 'swarm'"""
    )[0]
    share = lost / n if n else None
    if share is None or share <= limit:
        return CheckResult(share, limit, n, "", "ratio")
    reason = (
        f"{counted(lost, 'call')} ({percent(share)} %) lost the record of one side, the other side being mostly "
        f"{writer}'s, the first begun in {moment(store, at_s)}"
    )
    return CheckResult(share, limit, n, reason, "ratio")


def _clock(store: RunStore, _bounds: ValidityBounds) -> CheckResult:
    negative, n, writer, at_s = store.rows(
        f"""SELECT count(*) FILTER ({_SKEWED}), count(owd_p50_ms), mode(writer) FILTER ({_SKEWED}),
            min(started_at_s) FILTER ({_SKEWED}) FROM sides"""
    )[0]
    if not negative:
        return CheckResult(0, 0, n, "")
    reason = (
        f"{counted(negative, 'leg')} heard packets before they were sent, mostly {writer}'s, from "
        f"{moment(store, at_s)}: the clocks disagree"
    )
    return CheckResult(negative, 0, n, reason)


def _segments(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    unreadable = unreadable_files(store)
    n = store.segments.read + len(unreadable)
    limit = bounds.unreadable_segments_max
    if len(unreadable) <= limit:
        return CheckResult(len(unreadable), limit, n, "")
    return CheckResult(len(unreadable), limit, n, f"{counted(len(unreadable), 'file')} cannot be read: {unreadable[0]}")


def _harness_faults(store: RunStore, _bounds: ValidityBounds) -> CheckResult:
    faults = [fault for fault in store.folder.faults if fault.severity == "invalid"]
    told = "; ".join(f"{fault.detail or fault.what} ({moment(store, fault.at_s)})" for fault in faults[:3])
    return CheckResult(len(faults), 0, len(store.folder.faults), told)


def _whole(store: RunStore, _bounds: ValidityBounds) -> CheckResult:
    folder = store.folder
    problems = list(folder.problems)
    if folder.manifest is not None and folder.manifest.interrupted:
        problems.append("the run was interrupted")
    return CheckResult(len(problems), 0, 1, "; ".join(problems))


def _supervised(store: RunStore, _bounds: ValidityBounds) -> CheckResult:
    """A run whose supervisor died: its children were ended in no order, so the last failures are the harness's own."""
    manifest = store.folder.manifest
    alone = manifest is not None and manifest.ended_at_s is None
    return CheckResult(
        float(alone), 0, 1, "the run never came to its end: the manifest has no end time" if alone else ""
    )


def _swarm_ran(store: RunStore, _bounds: ValidityBounds) -> CheckResult:
    calls = int(store.value("SELECT count(*) FROM calls WHERE source = 'swarm'"))
    planned = store.folder.manifest is not None and store.folder.manifest.plans("swarm")
    nothing = planned and calls == 0
    return CheckResult(float(nothing), 0, calls, "a swarm was planned, and it recorded no call" if nothing else "")


def _matrix_ran(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    limit = bounds.environment_error_ratio_max
    planned = planned_cells(store)
    ran = {row[0] for row in store.rows("SELECT cell FROM cells WHERE status <> 'skipped'")}
    missing = sorted(set(planned) - {row[0] for row in store.rows("SELECT cell FROM cells")})
    errors = [cell.environment_errors for cell in store.cells.cells if cell.status is CellStatus.ENVIRONMENT_ERROR]
    n = len(ran) + len(missing)
    if n == 0:
        wanted = store.folder.manifest is not None and store.folder.manifest.plans("matrix")
        return CheckResult(None, limit, 0, "a device matrix was planned, and no cell ran" if wanted else "", "ratio")
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


def _matrix_retries(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """A retry may let a cell pass; how many needed one is judged here."""
    limit = bounds.environment_retry_ratio_max
    cells = [cell for cell in store.cells.cells if cell.status is not CellStatus.SKIPPED]
    broken = [cell.environment_errors[0] for cell in cells if cell.environment_errors]
    share = len(broken) / len(cells) if cells else None
    if share is None or share <= limit or len(broken) <= bounds.environment_retries_forgiven:
        return CheckResult(share, limit, len(cells), "", "ratio")
    reasons = Counter(attempt.reason for attempt in broken).most_common()
    reason = (
        f"the environment failed at least once in {len(broken)} of {counted(len(cells), 'cell')}, "
        f"{', '.join(f'{name} {count}' for name, count in reasons)}, e.g. {broken[0].cell}: {broken[0].detail}"
    )
    return CheckResult(share, limit, len(cells), reason, "ratio")


def _matrix_deaths(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """A link that was off says nothing of the product. A browser that died may: a page can kill it."""
    limit = bounds.deaths_repaired_max
    spoiled = [attempt for cell in store.cells.cells for attempt in cell.environment_errors]
    died = [attempt for attempt in spoiled if attempt.reason in DEATHS]
    if len(died) <= limit:
        return CheckResult(len(died), limit, len(store.cells.cells), "")
    first = died[0]
    reason = (
        f"{counted(len(died), 'attempt')} ended with the death of a browser or a link, "
        f"e.g. {first.cell}, attempt {first.attempt} [{first.reason}]: {first.detail}"
    )
    return CheckResult(len(died), limit, len(store.cells.cells), reason)


def _starts_dropped(store: RunStore, bounds: ValidityBounds) -> CheckResult:
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
        f"{counted(dropped, 'planned start')} ({percent(share)} %) could not happen, nobody being free; most at "
        f"{rows[0][0]}, first in {moment(store, rows[0][3])}"
    )
    return CheckResult(share, limit, planned, reason, "ratio")


def _anything(store: RunStore, _bounds: ValidityBounds) -> CheckResult:
    records = int(store.value("SELECT (SELECT count(*) FROM calls) + (SELECT count(*) FROM cells)"))
    return CheckResult(float(records == 0), 0, records, "" if records else "nothing was recorded: no call and no cell")


_RULES: tuple[tuple[str, RuleKind, Callable[[RunStore, ValidityBounds], CheckResult]], ...] = (
    ("harness_faults", RuleKind.TRUST, _harness_faults),
    ("send_late_seconds", RuleKind.TRUST, _send_late_seconds),
    ("send_late_legs", RuleKind.TRUST, _send_late_legs),
    ("datagrams_dropped", RuleKind.TRUST, _datagrams_dropped),
    ("cpu", RuleKind.TRUST, busy_cpu),
    ("loop_lag", RuleKind.TRUST, loop_lag),
    ("steal", RuleKind.TRUST, steal),
    ("file_descriptors", RuleKind.TRUST, file_descriptors),
    ("local_ports", RuleKind.TRUST, local_ports),
    ("engine_health_gap", RuleKind.TRUST, _health_gap),
    ("lost_call_halves", RuleKind.TRUST, _lost_halves),
    ("clock_agreement", RuleKind.TRUST, _clock),
    ("files_readable", RuleKind.TRUST, _segments),
    ("run_supervised", RuleKind.TRUST, _supervised),
    ("run_complete", RuleKind.EVIDENCE, _whole),
    ("something_recorded", RuleKind.EVIDENCE, _anything),
    ("swarm_ran", RuleKind.EVIDENCE, _swarm_ran),
    ("matrix_ran", RuleKind.EVIDENCE, _matrix_ran),
    ("matrix_retries", RuleKind.EVIDENCE, _matrix_retries),
    ("matrix_deaths", RuleKind.EVIDENCE, _matrix_deaths),
    ("starts_dropped", RuleKind.EVIDENCE, _starts_dropped),
)
_SPOILT = frozenset({"send_late_seconds", "send_late_legs", "datagrams_dropped", "cpu", "loop_lag"}) | frozenset(
    {"engine_health_gap", "starts_dropped"}
)
"""What another run on the same machine can bring about by taking processor time from this one."""
_GENERATOR_DEATHS = frozenset({"engine_lost", "worker_lost", "swarm_worker_died", "swarm_master_died"})
"""Faults of processes whose health rows end with them."""
