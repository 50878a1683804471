"""Loads that were judged step by step: reads their result, and gives it its place in the gate.

A rollout adds one rule: every stage passed. A knee search drives the target past its limit on purpose, so there the
rules of the SLO, and the harness's checks that each step was already held to, are shown and decide nothing; what
decides is whether a capacity was found.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from reports.run_folder import RunFolder, refuse_newer
from reports.staged_result import KNEE_FILE, ROLLOUT_FILE, STAGED_FORMAT, KneeResult, RolloutResult
from reports.summary import RuleKind, RuleResult, Verdict

T = TypeVar("T", KneeResult, RolloutResult)

JUDGED_BY_STEP = frozenset(
    {
        "send_late_seconds",
        "send_late_legs",
        "datagrams_dropped",
        "cpu",
        "loop_lag",
        "steal",
        "file_descriptors",
        "local_ports",
        "starts_dropped",
    }
)
"""Checks of validity.py that hold for a window of a run: each step is held to them, and a miss ends a knee search."""


def read_knee(run: Path) -> KneeResult | None:
    """Returns what ``knee.json`` says, None when there is none or it is torn. Raises NewerFormat."""
    return _read(run / KNEE_FILE, KneeResult)


def read_rollout(run: Path) -> RolloutResult | None:
    """Returns what ``rollout.json`` says, None when there is none or it is torn. Raises NewerFormat."""
    return _read(run / ROLLOUT_FILE, RolloutResult)


def with_staged(folder: RunFolder, rules: list[RuleResult]) -> list[RuleResult]:
    """Returns the gate's rules as they count for this run. Raises NewerFormat."""
    if (rollout := read_rollout(folder.path)) is not None:
        return [_rollout_rule(rollout), *rules]
    if (knee := read_knee(folder.path)) is not None:
        advisory = [
            msgspec.structs.replace(rule, required=False)
            if rule.kind is RuleKind.SLO or rule.name in JUDGED_BY_STEP
            else rule
            for rule in rules
        ]
        return [_knee_rule(knee), *advisory]
    return rules


def _rollout_rule(rollout: RolloutResult) -> RuleResult:
    verdict = Verdict(rollout.verdict)
    held = sum(step.judgement.verdict == "PASS" for step in rollout.steps)
    return RuleResult(
        name="every stage of the rollout", verdict=verdict, kind=_kind(verdict), metric="rollout", unit="stages",
        value=held, n=len(rollout.steps), objective=f"all {len(rollout.stages)}", reason=rollout.sentence,
    )  # fmt: skip


def _knee_rule(knee: KneeResult) -> RuleResult:
    verdict = Verdict(knee.verdict)
    return RuleResult(
        name="capacity", verdict=verdict, kind=_kind(verdict), metric="knee", unit="calls", value=knee.low_calls,
        low=knee.low_calls, high=knee.high_calls, confidence=0.95, n=len(knee.steps), objective="an interval",
        reason=knee.sentence,
    )  # fmt: skip


def _kind(verdict: Verdict) -> RuleKind:
    """INVALID is the word of the harness's own checks: a rule of the SLO never says it."""
    return RuleKind.TRUST if verdict is Verdict.INVALID else RuleKind.SLO


def _read(file: Path, kind: type[T]) -> T | None:
    try:
        written = file.read_bytes()
    except OSError:
        return None
    refuse_newer(written, STAGED_FORMAT, file)
    try:
        return msgspec.json.decode(written, type=kind)
    except msgspec.DecodeError:
        return None
