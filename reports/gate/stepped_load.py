"""Reads the result of a knee search or a rollout, and adds its rule to the gate.

A rollout adds one rule: every stage passed. A knee search overloads the target on purpose. So its SLO rules become
advisory, and so do the checks that each step had to pass already. The verdict depends on whether a capacity was found.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bedrock.foreign_text import clean_all
from reports.result.stepped_load_result import KNEE_FILE, ROLLOUT_FILE, STEPPED_LOAD_FORMAT, KneeResult, RolloutResult
from reports.result.summary import RuleKind, RuleResult, Verdict
from reports.run.file_input import Unreadable, decode_json, read_file
from reports.run.run_folder import RunFolder, refuse_newer

T = TypeVar("T", KneeResult, RolloutResult)

LARGEST_NUMBER = 1e15
"""No count, rate or Unix time of ours comes near to it."""

CHECKED_PER_STEP = frozenset(
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
"""Checks of validity.py that each step of the load must pass by itself. A broken one ends a knee search."""


def read_knee(run: Path) -> KneeResult | None:
    """Returns the content of ``knee.json``. None when there is none or it is damaged. Raises NewerFormat."""
    return _whole(run / KNEE_FILE, KneeResult)


def read_rollout(run: Path) -> RolloutResult | None:
    """Returns the content of ``rollout.json``. None when there is none or it is damaged. Raises NewerFormat."""
    return _whole(run / ROLLOUT_FILE, RolloutResult)


def unreadable_results(run: Path) -> list[str]:
    """Returns the names of these files that exist and cannot be read, each with the reason. Raises NewerFormat."""
    return [*_damage(run / KNEE_FILE, KneeResult), *_damage(run / ROLLOUT_FILE, RolloutResult)]


def add_stepped_load_rules(folder: RunFolder, rules: list[RuleResult]) -> list[RuleResult]:
    """Returns the rules with the one of the stepped load first. Raises NewerFormat."""
    if (rollout := read_rollout(folder.path)) is not None:
        return [_rollout_rule(rollout), *rules]
    if (knee := read_knee(folder.path)) is not None:
        advisory = [
            msgspec.structs.replace(rule, required=False)
            if rule.kind is RuleKind.SLO or rule.name in CHECKED_PER_STEP
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
    """Returns TRUST for INVALID, because an SLO rule is never INVALID."""
    return RuleKind.TRUST if verdict is Verdict.INVALID else RuleKind.SLO


def _whole(file: Path, kind: type[T]) -> T | None:
    try:
        return _read(file, kind)
    except (FileNotFoundError, Unreadable):
        return None


def _damage(file: Path, kind: type[T]) -> list[str]:
    try:
        _read(file, kind)
    except FileNotFoundError:
        return []
    except Unreadable as error:
        return [f"{file.name}: {error}"]
    return []


def _read(file: Path, kind: type[T]) -> T:
    written = read_file(file)
    refuse_newer(written, STEPPED_LOAD_FORMAT, file)
    result = decode_json(written, kind)
    if not all(abs(number) <= LARGEST_NUMBER for number in _numbers(msgspec.to_builtins(result))):
        raise Unreadable("has a wrong value: a number that no measurement gives")
    return clean_all(result)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)
