"""Validity of the machines that made the load: CPU, loop lag, steal, file descriptors and ports, each with its name.

A rule that breaks says which process on which machine, and when: as the second of the run, which the charts have, and
as the time of day, which the machine's own logs have.
"""

from __future__ import annotations

from datetime import UTC, datetime

from reports.gate.check_result import CheckResult
from reports.run.store import RunStore
from reports.slo.slo_file import ValidityBounds
from reports.text import percent

MIN_SECONDS = 20
"""A process that lived for less has no share of its own."""
_GENERATORS = "role IN ('engine', 'matrix_engine', 'worker')"


def moment(store: RunStore, at_s: float) -> str:
    """Returns a moment as the second of the run and the time of day."""
    manifest = store.folder.manifest
    started_at_s = manifest.started_at_s if manifest else None
    if started_at_s is None:
        started_at_s = store.value("SELECT min(at_s) FROM health") or at_s
    return f"second {at_s - started_at_s:.0f} at {datetime.fromtimestamp(at_s, UTC):%H:%M:%S} UTC"


def on_host(store: RunStore, writer: str) -> str:
    """Returns a process's name with its machine's, as far as that is on record."""
    host = store.value("SELECT max(host) FROM health WHERE writer = ?", [writer])
    return f"{writer} on {host}" if host else writer


def busy_cpu(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """A process whose one working thread has no time left is late with everything."""
    return _too_long(store, bounds, "cpu_ratio", bounds.cpu_ratio_max, "role IN ('engine', 'worker')", "of a core", 100)


def loop_lag(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """An engine's loop that wakes late stamps late."""
    bound_ms = bounds.loop_lag_p99_ms_max
    return _too_long(store, bounds, "loop_lag_p99_ms", bound_ms, "role = 'engine'", "ms of loop lag (p99)", 1)


def steal(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """A hypervisor that takes the machine away measures itself."""
    return _too_long(store, bounds, "steal_ratio", bounds.steal_ratio_max, _GENERATORS, "of the machine stolen", 100)


def file_descriptors(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Out of descriptors, calls fail for want of a socket."""
    return _too_full(store, "fds_used_ratio", bounds.fds_used_ratio_max, "file descriptors")


def local_ports(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Out of ports, the same."""
    return _too_full(store, "ports_used_ratio", bounds.ports_used_ratio_max, "local ports")


def _too_long(
    store: RunStore, bounds: ValidityBounds, column: str, bound: float, who: str, what: str, scale: float
) -> CheckResult:
    """A process over ``bound`` for more than the forgiven share of its seconds."""
    limit = bounds.busy_seconds_ratio_max
    rows = store.rows(
        f"""SELECT writer, count(*) FILTER ({column} > ?) / count(*) AS share, count(*), max({column}),
            min(at_s) FILTER ({column} > ?), arg_max(at_s, ({column}, -at_s))
        FROM health WHERE {who} GROUP BY writer HAVING count(*) >= {MIN_SECONDS} ORDER BY share DESC, writer LIMIT 1""",
        [bound, bound],
    )
    if not rows:
        return CheckResult(None, limit, 0, "", "ratio")
    writer, share, seconds, worst, first_at_s, worst_at_s = rows[0]
    if share <= limit:
        return CheckResult(share, limit, int(seconds), "", "ratio")
    unit = " %" if scale == 100 else ""
    reason = (
        f"{on_host(store, writer)} had more than {bound * scale:g}{unit} {what} in {percent(share)} % of its seconds, "
        f"first in {moment(store, first_at_s)}, worst in {moment(store, worst_at_s)} ({worst * scale:.0f}{unit})"
    )
    return CheckResult(share, limit, int(seconds), reason, "ratio")


def _too_full(store: RunStore, column: str, limit: float, what: str) -> CheckResult:
    """A process that came too near to what the kernel allows, were it for one second."""
    worst, writer, n, first_at_s = store.rows(
        f"""SELECT max({column}), arg_max(writer, ({column}, writer)), count(*), min(at_s) FILTER ({column} > ?)
        FROM health WHERE {_GENERATORS}""",
        [limit],
    )[0]
    if worst is None or worst <= limit:
        return CheckResult(worst, limit, int(n), "", "ratio")
    reason = (
        f"{on_host(store, writer)} used {percent(worst)} % of its {what}, over the bound first in "
        f"{moment(store, first_at_s)}: raise the limit or spread the load"
    )
    return CheckResult(worst, limit, int(n), reason, "ratio")
