"""Checks the machines that made the load: CPU, event-loop lag, CPU steal, file descriptors and local ports.

A broken check names the process, its machine and two times: the second of the run, as in the charts, and the time of
day, as in the logs of the machine.
"""

from __future__ import annotations

from datetime import UTC, datetime

from reports.gate.check_result import CheckResult
from reports.run.store import RunStore
from reports.slo.slo_file import ValidityBounds
from reports.text import percent

MIN_SECONDS = 20
"""A process that lived for a shorter time is not checked."""
_GENERATORS = "role IN ('engine', 'matrix_engine', 'worker')"


def moment(store: RunStore, at_s: float) -> str:
    """Returns a moment as the second of the run and the time of day."""
    manifest = store.folder.manifest
    started_at_s = manifest.started_at_s if manifest else None
    if started_at_s is None:
        started_at_s = store.value("SELECT min(at_s) FROM health") or at_s
    return f"second {at_s - started_at_s:.0f} at {datetime.fromtimestamp(at_s, UTC):%H:%M:%S} UTC"


def on_host(store: RunStore, writer: str) -> str:
    """Returns the name of a process, with its machine where that was recorded."""
    host = store.value("SELECT max(host) FROM health WHERE writer = ?", [writer])
    return f"{writer} on {host}" if host else writer


def busy_cpu(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Checks the CPU time of engines and Locust workers: each has one working thread, which must not be full."""
    return _too_long(
        store, bounds, "cpu_ratio", bounds.cpu_ratio_max, "role IN ('engine', 'worker')", "of a CPU core", 100
    )


def loop_lag(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Checks the event loops of the engines: a loop that wakes late writes late time stamps."""
    bound_ms = bounds.loop_lag_p99_ms_max
    return _too_long(store, bounds, "loop_lag_p99_ms", bound_ms, "role = 'engine'", "ms of event-loop lag (p99)", 1)


def steal(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Checks CPU steal: the time that the hypervisor gave to other machines."""
    return _too_long(store, bounds, "steal_ratio", bounds.steal_ratio_max, _GENERATORS, "CPU steal", 100)


def file_descriptors(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Checks file descriptors: without a free one, calls fail because they get no socket."""
    return _too_full(store, "fds_used_ratio", bounds.fds_used_ratio_max, "file descriptors")


def local_ports(store: RunStore, bounds: ValidityBounds) -> CheckResult:
    """Checks local ports: without a free one, calls fail because they get no socket."""
    return _too_full(store, "ports_used_ratio", bounds.ports_used_ratio_max, "local ports")


def _too_long(
    store: RunStore, bounds: ValidityBounds, column: str, bound: float, who: str, what: str, scale: float
) -> CheckResult:
    """Finds the process that was over ``bound`` for the largest share of its seconds."""
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
        f"{on_host(store, writer)} had more than {bound * scale:g}{unit} {what} in {percent(share)} % of its seconds "
        f"(allowed {percent(limit)} %), first in {moment(store, first_at_s)}, "
        f"worst in {moment(store, worst_at_s)} ({worst * scale:.0f}{unit})"
    )
    return CheckResult(share, limit, int(seconds), reason, "ratio")


def _too_full(store: RunStore, column: str, limit: float, what: str) -> CheckResult:
    """Finds the process that came nearest to a limit of the kernel, even for one second."""
    worst, writer, n, first_at_s = store.rows(
        f"""SELECT max({column}), arg_max(writer, ({column}, writer)), count(*), min(at_s) FILTER ({column} > ?)
        FROM health WHERE {_GENERATORS}""",
        [limit],
    )[0]
    if worst is None or worst <= limit:
        return CheckResult(worst, limit, int(n), "", "ratio")
    reason = (
        f"{on_host(store, writer)} used {percent(worst)} % of its {what} (allowed {percent(limit)} %), first in "
        f"{moment(store, first_at_s)}: raise the limit or spread the load"
    )
    return CheckResult(worst, limit, int(n), reason, "ratio")
