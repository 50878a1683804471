"""For every rule of a valid run a run that breaks it, and who and when the reason names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from synthetic_run_folder import STARTED_AT_S, healthy

from bedrock.exit_codes import ExitCode
from calls.records.record import HealthRow, LegRecord
from reports.build import summarize
from reports.result.summary import RuleKind, Summary, Verdict
from reports.slo.slo_file import ValidityBounds, load_slo

SMOKE = load_slo("smoke")
_ENGINE_DIED = {
    "at_s": STARTED_AT_S + 30, "what": "engine_died", "detail": "engine swarm-1 died", "severity": "invalid",
}  # fmt: skip


def _early(leg: LegRecord) -> LegRecord:
    return msgspec.structs.replace(leg, owd_p50_ms=-3.0) if leg.call_id.endswith("7") and leg.owd_p50_ms else leg


def _late(leg: LegRecord) -> LegRecord:
    return msgspec.structs.replace(leg, send_late_p99_ms=44.0) if leg.writer == "swarm-1" else leg


def _reason(run: Path, name: str) -> str:
    return next(rule.reason for rule in summarize(run, SMOKE).rules if rule.name == name)


def _backwards(leg: LegRecord) -> LegRecord:
    return msgspec.structs.replace(leg, owd_negative=leg.packets_received // 4)


def _from_second(second: int, **changes: float) -> Callable[[HealthRow], HealthRow]:
    """What one of the engines says of itself from ``second`` on."""

    def edit(row: HealthRow) -> HealthRow:
        ill = row.writer == "swarm-1" and row.at_s >= STARTED_AT_S + second
        return msgspec.structs.replace(row, **changes) if ill else row

    return edit


def _strange(leg: LegRecord) -> LegRecord:
    return msgspec.structs.replace(leg, writer="swarm-7") if leg.call_id == "call-0000005" else leg


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("send_late_seconds", {"late_writers": ["swarm-1"]},
         r"behind \(swarm-1 on box-1\): in \d\d(\.\d)? % .*allowed 5 %.* first in second 31 at .*, worst in second"),
        ("send_late_legs", {"edit_leg": _late}, r"fell behind: on .* % of legs .* swarm-1's.* \(44 ms\)"),
        ("datagrams_dropped", {"datagrams_dropped_at_s": 42}, r"swarm-1 on box-1 dropped 17 .* 42 at [\d:]+ UTC$"),
        ("cpu", {"edit_health": _from_second(40, cpu_ratio=0.99)},
         r"swarm-1 on box-1 had more than 97 % of a CPU core in \d\d.* of its seconds .* second 40 at [\d:]+ UTC"),
        ("loop_lag", {"edit_health": _from_second(40, loop_lag_p99_ms=250.0)},
         r"swarm-1 on box-1 had more than 100 ms of event-loop lag \(p99\) .* worst in second \d+ at .* \(250\)"),
        ("steal", {"edit_health": _from_second(40, steal_ratio=0.4)},
         r"swarm-1 on box-1 had more than 25 % CPU steal .* \(40 %\)"),
        ("file_descriptors", {"edit_health": _from_second(77, fds_used_ratio=0.93)},
         r"swarm-1 on box-1 used 93(\.0)? % of its file descriptors .* in second 77 at [\d:]+ UTC: raise"),
        ("local_ports", {"edit_health": _from_second(77, ports_used_ratio=0.99)},
         r"swarm-1 on box-1 used 99(\.0)? % of its local ports .* in second 77 at"),
        ("engine_health_gap", {"health_gap": ("swarm-0", 50, 64)},
         r"swarm-0 on box-1 reported no health for 16 s \(allowed 5 s\), from second 49"),
        ("engine_health_gap", {"health_gap": ("swarm-0", 50, 9999)},
         r"swarm-0 on box-1 reported no health for \d\d+ s .* second 49"),
        ("engine_health_gap", {"edit_leg": _strange}, r"no health was recorded by swarm-7"),
        ("lost_call_halves", {"lost_callees": 20}, r"20 calls \(2\.\d %, .*\) lost the record of one side.*second \d+"),
        ("clock_agreement", {"edit_leg": _early}, r"\d+ legs received packets before .*, mostly swarm-\d's"),
        ("clock_agreement", {"edit_leg": _backwards}, r"\d+ legs received packets before they were sent"),
        ("harness_faults", {"manifest": {"faults": [_ENGINE_DIED]}}, r"engine swarm-1 died \(second 30 at .*\)"),
        ("run_supervised", {"manifest": {"ended_at_s": None}}, "the run never came to its end"),
        ("run_complete", {"manifest": {"interrupted": True}}, "the run was interrupted"),
        ("swarm_ran", {"calls": 0, "manifest": {"plan": {"swarm": {"workers": 2}}}}, "a swarm was planned"),
        ("matrix_ran", {"environment_errors": 7}, r"7 cells ended in an environment error, e\.g\. .*--.*: .+"),
        ("matrix_ran", {"missing_cells": 6}, r"6 planned cells left no result, e\.g\. .*--"),
        ("matrix_ran", {"cells": False, "manifest": {"plan": {"matrix": {"workers": 4}}}}, "a device matrix was"),
        ("matrix_retries", {"retried": 10},
         r"failed at least once in 10 of 48 cells .*: link_off 10, e\.g\. .*--.*: the link was measured"),
        ("matrix_deaths", {"retried": 1, "retried_for": "browser_died"},
         r"in 1 attempt a browser or a link died \(allowed 0\), e\.g\. .*--.*, attempt 1 \[browser_died\]"),
        ("starts_dropped", {"starts_dropped_ratio": 0.2}, r"\(19\.\d %, .*\) dropped.*swarm-\d, first in second"),
        ("something_recorded", {"calls": 0, "cells": False}, "nothing was recorded"),
    ],
)  # fmt: skip
def test_a_run_whose_figures_cannot_be_trusted_is_invalid(
    tmp_path: Path, name: str, changes: dict[str, Any], told: str
) -> None:
    summary = summarize(healthy(**changes).write(tmp_path), SMOKE)
    rule = next(rule for rule in summary.rules if rule.name == name)
    assert rule.verdict is Verdict.INVALID
    assert re.search(told, rule.reason), rule.reason
    assert (summary.verdict, summary.exit_code) == (Verdict.INVALID, ExitCode.INVALID)
    assert rule.reason in summary.reasons


def test_another_run_on_the_machine_is_named_where_the_generator_was_late_and_nowhere_else(tmp_path: Path) -> None:
    other = {"pid": 4711, "user": "eve", "folder": "runs/theirs", "from_s": 1e9, "to_s": 1e9 + 65}
    manifest = {"environment_after": {"other_runs": [other, {**other, "pid": 4712, "to_s": None}]}, "interrupted": True}
    run = healthy(edit_leg=_late, manifest=manifest).write(tmp_path / "late")
    summary = summarize(run, SMOKE)
    reasons = {rule.name: rule.reason for rule in summary.rules}
    assert reasons["send_late_legs"].endswith(
        "; likely cause: another ringfence run (pid 4711, folder runs/theirs) ran here from 01:46:40 to 01:47:45 UTC, "
        "(pid 4712, folder runs/theirs) ran here from 01:46:40 until after the end of this run"
    )
    assert reasons["run_complete"] == "the run was interrupted"
    gap = ("swarm-0", 50, 64)
    silent = healthy(health_gap=gap, manifest=manifest).write(tmp_path / "silent")
    assert "; likely cause: another ringfence run (pid 4711" in _reason(silent, "engine_health_gap")
    died = {"at_s": 1e9, "what": "engine_lost", "detail": "engine swarm-0 is gone", "severity": "invalid"}
    silent = healthy(health_gap=gap, manifest={**manifest, "faults": [died]}).write(tmp_path / "died")
    assert "reported no health" in _reason(silent, "engine_health_gap")
    assert "another ringfence run" not in _reason(silent, "engine_health_gap")
    broken = {"environment_after": {"other_runs": [{"from_s": "soon", "to_s": 1e300}, 7]}}
    summary = summarize(healthy(edit_leg=_late, manifest=broken).write(tmp_path / "broken"), SMOKE)
    assert "from an unknown time to an unknown time UTC" in next(
        rule.reason for rule in summary.rules if rule.name == "send_late_legs"
    )


def test_a_torn_segment_makes_the_run_invalid_and_is_named(tmp_path: Path) -> None:
    run = healthy().write(tmp_path)
    torn = sorted((run / "calls").glob("*.parquet"))[0]
    torn.write_bytes(torn.read_bytes()[:900])
    summary = summarize(run, SMOKE)
    rule = next(rule for rule in summary.rules if rule.name == "files_readable")
    assert summary.verdict is Verdict.INVALID
    assert f"1 file cannot be read: calls/{torn.name}" in rule.reason
    assert summary.swarm.calls > 0


def test_a_folder_without_a_manifest_is_judged_and_invalid(tmp_path: Path) -> None:
    run = healthy().write(tmp_path)
    (run / "manifest.json").unlink()
    summary = summarize(run, SMOKE)
    assert summary.verdict is Verdict.INVALID
    assert "manifest.json is missing" in summary.reasons[0]
    assert summary.duration_s is not None


def test_a_bad_second_now_and_then_is_forgiven(tmp_path: Path) -> None:
    def sometimes(leg: LegRecord) -> LegRecord:
        return msgspec.structs.replace(leg, send_late_p99_ms=30.0) if leg.call_id.endswith("42") else leg

    assert summarize(healthy(edit_leg=sometimes).write(tmp_path), SMOKE).verdict is Verdict.PASS


def test_retried_environment_errors_and_a_missing_cell_within_bounds_are_shown_and_forgiven(tmp_path: Path) -> None:
    summary = summarize(healthy(retried=3, environment_errors=0).write(tmp_path), SMOKE)
    assert summary.verdict is Verdict.PASS
    assert [cell.attempts for cell in summary.matrix.grid].count(2) == 3


@pytest.mark.parametrize(("forgiven", "verdict"), [(9, Verdict.INVALID), (10, Verdict.PASS)])
def test_a_stated_number_of_retries_is_forgiven_whatever_their_share(
    tmp_path: Path, forgiven: int, verdict: Verdict
) -> None:
    bounds = ValidityBounds(environment_retries_forgiven=forgiven)
    summary = summarize(healthy(retried=10).write(tmp_path), SMOKE.model_copy(update={"validity": bounds}))
    assert summary.verdict is verdict
    assert summary.matrix.by_status == {"passed": 48}


@pytest.mark.parametrize(("allowed", "verdict"), [(1, Verdict.INVALID), (2, Verdict.PASS)])
def test_deaths_that_a_retry_repaired_are_allowed_as_far_as_the_slo_file_says(
    tmp_path: Path, allowed: int, verdict: Verdict
) -> None:
    bounds = ValidityBounds(deaths_repaired_max=allowed)
    folder = healthy(retried=2, retried_for="browser_died").write(tmp_path)
    summary = summarize(folder, SMOKE.model_copy(update={"validity": bounds}))
    assert summary.verdict is verdict
    assert summary.matrix.by_status == {"passed": 48}


def test_retries_cannot_make_a_failure_of_the_product_invalid(tmp_path: Path) -> None:
    summary = summarize(healthy(retried=10, lose_every_nth_answer=10).write(tmp_path), SMOKE)
    assert summary.verdict is Verdict.FAIL
    assert any("the environment failed at least once" in reason for reason in summary.reasons)


def test_the_bounds_are_the_slo_files_own(tmp_path: Path) -> None:
    loose = SMOKE.model_copy(update={"validity": ValidityBounds(starts_dropped_ratio_max=0.5)})
    summary: Summary = summarize(healthy(starts_dropped_ratio=0.2).write(tmp_path), loose)
    assert summary.verdict is Verdict.PASS
    assert summary.swarm.health.starts_dropped > 0


def test_every_validity_rule_is_broken_somewhere_above(tmp_path: Path) -> None:
    rules = summarize(healthy(calls=30, messages=5).write(tmp_path), SMOKE).rules_of(RuleKind.TRUST, RuleKind.EVIDENCE)
    assert {rule.name for rule in rules} == {
        "harness_faults", "send_late_seconds", "send_late_legs", "datagrams_dropped", "engine_health_gap",
        "lost_call_halves", "clock_agreement", "files_readable", "run_supervised", "run_complete",
        "something_recorded", "swarm_ran", "matrix_ran", "matrix_retries", "matrix_deaths", "starts_dropped", "cpu",
        "loop_lag", "steal", "file_descriptors", "local_ports",
    }  # fmt: skip
