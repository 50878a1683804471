"""Judges the calls of one window of a run that is going on, with the gate's own statistics.

``python -m loadtests.shapes.step_judge`` in a process of its own: the master's event loop must not stand still for
as long as a database reads. One JSON object (``JudgeRequest``) on stdin, one (``Judgement``) on stdout.

What is judged: the calls whose *intended* start lies in the window, and the messages of the window, by every rule of
the SLO that is about calls or messages of the swarm; and the harness, by the gate's own checks, over the same window.
Rules about devices, and counts of how much was tested, belong to the run as a whole.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from bedrock import crash
from bedrock.intervals import count_bounds, proportion_bounds
from loadtests.shapes.judge_request import JudgeRequest
from reports.gate.call_view import make_calls, make_seconds
from reports.gate.slo_rules import evaluate_rule
from reports.gate.stepped_load import CHECKED_PER_STEP
from reports.gate.validity import check_validity
from reports.result.stepped_load_result import JudgedRule, Judgement, StepVerdict
from reports.result.summary import RuleResult
from reports.run.run_folder import find_run
from reports.run.store import RunStore
from reports.slo.metrics import METRICS, Kind
from reports.slo.slo_file import Rule, SloFile, load_slo

HARNESS = CHECKED_PER_STEP | {"lost_call_halves"}
"""The gate's checks of the generator that a window can be held to."""
AS_MEANT = 0.95
"""Share of a step's calls of one scenario that must end as that scenario expects."""
AS_MEANT_CONFIDENCE = 0.95
HALF_GRACE_S = 8.0
"""A call of which one side ended so recently may still be on at its other end, behind a slow link: it is left out."""


def judge_window(order: JudgeRequest) -> Judgement:
    """Returns the judgement. Raises RunFolderMissing, NewerFormat, InputError."""
    slo = load_slo(order.slo)
    with RunStore(find_run(Path(order.run))) as store:
        make_calls(store, slo.limits)
        make_seconds(store)
        _narrow(store, order)
        harness = [check for check in check_validity(store, slo.validity) if check.name in HARNESS]
        broken = [check for check in harness if check.verdict == "INVALID"]
        rules = [_brief(evaluate_rule(store, rule)) for rule in _rules(slo, order.looks)]
        if order.scenario:
            # Nobody talks in a step of such calls: a rule about talking has nothing to go by, and is no gap either.
            rules = [rule for rule in rules if rule.n > 0]
            rules.append(_as_meant(store, order))
        verdict, reason = _decide([check.reason for check in broken], rules)
        return _figures(store, order, verdict, reason, rules)


def _narrow(store: RunStore, order: JudgeRequest) -> None:
    """Leaves the window's calls, legs, messages and health; counts of health since a start become the window's."""
    window = [order.from_s, order.until_s]
    store.execute("DELETE FROM calls WHERE source <> 'swarm' OR NOT (intended_at_s >= ? AND intended_at_s < ?)", window)
    known_until_s = store.value("SELECT max(at_s) FROM health") or order.until_s
    store.execute("DELETE FROM calls WHERE half_lost AND ended_at_s > ?", [known_until_s - HALF_GRACE_S])
    store.execute("DELETE FROM legs WHERE call_id NOT IN (SELECT call_id FROM calls)")
    store.execute("DELETE FROM messages WHERE NOT (at_s >= ? AND at_s < ?)", window)
    store.execute("DELETE FROM lists WHERE NOT (at_s >= ? AND at_s < ?)", window)
    store.execute("DELETE FROM seconds WHERE NOT (at_s >= ? AND at_s < ?)", window)
    counts = ("starts_planned", "starts_dropped", "datagrams_dropped")
    before = ", ".join(f"max({count}) AS {count}" for count in counts)
    store.execute(
        f"CREATE TEMP TABLE earlier AS SELECT writer, {before} FROM health WHERE at_s < ? GROUP BY writer", window[:1]
    )
    store.execute("DELETE FROM health WHERE NOT (at_s >= ? AND at_s < ?)", window)
    less = ", ".join(f"{count} = health.{count} - earlier.{count}" for count in counts)
    store.execute(f"UPDATE health SET {less} FROM earlier WHERE earlier.writer = health.writer")


def _rules(slo: SloFile, looks: int) -> list[Rule]:
    """The rules of the swarm's calls, messages and lists, each at the confidence that one of so many looks needs."""
    rules = []
    for rule in slo.rule:
        metric = METRICS[rule.metric]
        sources = rule.where.get("source", "swarm")
        of_swarm = "swarm" in ((sources,) if isinstance(sources, str) else tuple(sources or ()))  # type: ignore[arg-type]
        if (
            metric.table in ("calls", "messages", "lists")
            and metric.kind is not Kind.COUNT
            and of_swarm
            and rule.required
        ):
            rules.append(rule.model_copy(update={"confidence": 1 - (1 - rule.confidence) / looks}))
    return rules


def _brief(rule: RuleResult) -> JudgedRule:
    return JudgedRule(
        name=rule.name, verdict=rule.verdict.value, reason=rule.reason, n=rule.n, value=rule.value, low=rule.low,
        high=rule.high, unit=rule.unit, objective=rule.objective, confidence=rule.confidence,
    )  # fmt: skip


def _as_meant(store: RunStore, order: JudgeRequest) -> JudgedRule:
    """Whether the calls of the step's one scenario ended as it expects: callers' legs, exact interval."""
    hits, n = store.rows(
        "SELECT count(*) FILTER (as_expected), count(as_expected) FROM legs WHERE side = 'caller' AND scenario = ?",
        [order.scenario],
    )[0]
    confidence = 1 - (1 - AS_MEANT_CONFIDENCE) / order.looks
    bounds = proportion_bounds(hits, n, confidence)
    verdict: StepVerdict = "PASS" if bounds.low >= AS_MEANT else "FAIL" if bounds.high < AS_MEANT else "INCONCLUSIVE"
    name = f"{order.scenario} calls end as they should"
    wanted = f"at least {AS_MEANT:.0%} were wanted"
    reason = f"{name}: {hits} of {n} did, {bounds.low:.1%} to {bounds.high:.1%} at {confidence:.0%}; {wanted}"
    return JudgedRule(
        name=name, verdict=verdict, reason=reason, n=n, value=hits / n if n else None, low=bounds.low,
        high=bounds.high, unit="ratio", objective=f">= {AS_MEANT}", confidence=confidence,
    )  # fmt: skip


def _decide(broken: list[str], rules: list[JudgedRule]) -> tuple[StepVerdict, str]:
    """A generator that could not keep up can neither pass nor fail a target: it comes first."""
    if broken:
        return "INVALID", broken[0]
    order: tuple[StepVerdict, ...] = ("FAIL", "INCONCLUSIVE")
    for verdict in order:
        if why := [rule.reason for rule in rules if rule.verdict == verdict]:
            return verdict, why[0]
    if not rules:
        return "INCONCLUSIVE", "the SLO has no rule about calls, messages or lists of the swarm: nothing can be judged"
    return "PASS", ""


def _figures(
    store: RunStore, order: JudgeRequest, verdict: StepVerdict, reason: str, rules: list[JudgedRule]
) -> Judgement:  # fmt: skip
    length_s = order.until_s - order.from_s
    calls, completed, failed = store.rows(
        "SELECT count(*), count(*) FILTER (outcome = 'completed'), count(*) FILTER (outcome = 'failed') FROM calls"
    )[0]
    of_setups = count_bounds(completed)
    return Judgement(
        verdict=verdict,
        reason=reason,
        from_s=order.from_s,
        until_s=order.until_s,
        calls=calls,
        completed=completed,
        failed=failed,
        attempts_per_s=calls / length_s,
        setups_per_s=completed / length_s,
        setups_per_s_low=of_setups.low / length_s,
        setups_per_s_high=of_setups.high / length_s,
        concurrent_mean=store.value("SELECT avg(in_media) FROM seconds"),
        rules=rules,
    )


def main() -> int:
    """The program."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=JudgeRequest)
    sys.stdout.buffer.write(msgspec.json.encode(judge_window(order)))
    return 0


if __name__ == "__main__":
    with crash.reporting("loadtests.shapes.step_judge"):
        sys.exit(main())
