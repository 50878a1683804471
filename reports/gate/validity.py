"""Checks whether the figures of a run can be trusted, and whether the run tested what was planned.

``trust`` checks come first. A generator that sent late, lost datagrams or lost records has no true figures, so the
product can neither pass nor fail by them. ``evidence`` checks find that less was tested than planned, or only in an
environment that kept failing. The results of what was tested stay true. A broken check names
the process and the second.
"""

from __future__ import annotations

from collections.abc import Callable

from reports.gate.check_result import CheckResult
from reports.gate.generator_checks import (
    clock_agreement,
    datagrams_dropped,
    health_gap,
    lost_halves,
    send_late_legs,
    send_late_seconds,
    starts_dropped,
)
from reports.gate.machine_checks import busy_cpu, file_descriptors, local_ports, loop_lag, steal
from reports.gate.matrix_checks import matrix_deaths, matrix_ran, matrix_retries
from reports.gate.other_runs import other_runs_sentence
from reports.gate.record_checks import (
    files_readable,
    harness_faults,
    run_complete,
    run_supervised,
    something_recorded,
    swarm_ran,
)
from reports.result.summary import RuleKind, RuleResult, Verdict
from reports.run.store import RunStore
from reports.slo.slo_file import ValidityBounds
from reports.text import percent


def check_validity(store: RunStore, bounds: ValidityBounds) -> list[RuleResult]:
    """Returns the result of every check: PASS or INVALID. Needs the table ``calls``."""
    results = []
    other_runs = other_runs_sentence(store.folder.manifest)
    # A generator that died writes no health because it is dead, whatever other runs did.
    generator_died = any(fault.what in _GENERATOR_DEATHS for fault in store.folder.faults)
    affected = _AFFECTED_BY_OTHER_RUNS - {"engine_health_gap"} if generator_died else _AFFECTED_BY_OTHER_RUNS
    for name, kind, find in _CHECKS:
        check = find(store, bounds)
        reason = (
            f"{check.reason}; likely cause: {other_runs}"
            if check.reason and other_runs and name in affected
            else check.reason
        )
        results.append(
            RuleResult(
                name=name, verdict=Verdict.INVALID if check.reason else Verdict.PASS, kind=kind, value=check.value,
                low=check.value, high=check.value, n=check.n, limit=check.limit, unit=check.unit, metric=name,
                objective=f"<= {check.limit:g}" if check.unit != "ratio" else f"<= {percent(check.limit)} %",
                reason=reason,
            )
        )  # fmt: skip
    return results


_CHECKS: tuple[tuple[str, RuleKind, Callable[[RunStore, ValidityBounds], CheckResult]], ...] = (
    ("harness_faults", RuleKind.TRUST, harness_faults),
    ("send_late_seconds", RuleKind.TRUST, send_late_seconds),
    ("send_late_legs", RuleKind.TRUST, send_late_legs),
    ("datagrams_dropped", RuleKind.TRUST, datagrams_dropped),
    ("cpu", RuleKind.TRUST, busy_cpu),
    ("loop_lag", RuleKind.TRUST, loop_lag),
    ("steal", RuleKind.TRUST, steal),
    ("file_descriptors", RuleKind.TRUST, file_descriptors),
    ("local_ports", RuleKind.TRUST, local_ports),
    ("engine_health_gap", RuleKind.TRUST, health_gap),
    ("lost_call_halves", RuleKind.TRUST, lost_halves),
    ("clock_agreement", RuleKind.TRUST, clock_agreement),
    ("files_readable", RuleKind.TRUST, files_readable),
    ("run_supervised", RuleKind.TRUST, run_supervised),
    ("run_complete", RuleKind.EVIDENCE, run_complete),
    ("something_recorded", RuleKind.EVIDENCE, something_recorded),
    ("swarm_ran", RuleKind.EVIDENCE, swarm_ran),
    ("matrix_ran", RuleKind.EVIDENCE, matrix_ran),
    ("matrix_retries", RuleKind.EVIDENCE, matrix_retries),
    ("matrix_deaths", RuleKind.EVIDENCE, matrix_deaths),
    ("starts_dropped", RuleKind.EVIDENCE, starts_dropped),
)
_AFFECTED_BY_OTHER_RUNS = frozenset(
    {"send_late_seconds", "send_late_legs", "datagrams_dropped", "cpu", "loop_lag"}
) | frozenset({"engine_health_gap", "starts_dropped"})
"""Checks that another run on the same machine can break, because it takes CPU time from this one."""
_GENERATOR_DEATHS = frozenset({"engine_lost", "worker_lost", "swarm_worker_died", "swarm_master_died"})
"""Faults that say that a process died: its health rows end then."""
