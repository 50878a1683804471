"""Evaluates one rule of an SLO file by the confidence interval of the measurement, never by the value alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from bedrock.intervals import Bounds, proportion_bounds
from reports.gate.exact_counts import EXACT_COUNTS
from reports.gate.statistics import quantile_ranks, smallest_n_for_share, smallest_n_for_upper_bound
from reports.result.summary import RuleResult, Verdict
from reports.run.store import RunStore
from reports.slo.metrics import METRICS, Kind, Metric
from reports.slo.slo_file import Rule, where_values
from reports.text import bounds as in_words
from reports.text import counted, figure, percent

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured value, its confidence bounds, and the number of records behind it."""

    value: float | None
    bounds: Bounds
    n: int


def evaluate_rule(store: RunStore, rule: Rule) -> RuleResult:
    """PASS: the whole confidence interval meets the target. FAIL: all of it misses. Otherwise INCONCLUSIVE.

    A rule with no data, fewer than ``min_n`` records or a mix of MOS models never passes. A coverage metric never
    fails.
    """
    metric = METRICS[rule.metric]
    condition, parameters = _population(metric, rule)
    measured = _measure(store, metric, rule, condition, parameters)
    verdict, why = _verdict(metric, rule, measured)
    mixed = _mixed(store, metric, condition, parameters)
    if mixed:
        verdict, why = (
            Verdict.INCONCLUSIVE,
            f"the calls were scored by different models ({mixed}), which cannot be compared",
        )
    unit = metric.unit or ("ratio" if metric.kind is Kind.RATIO else "")
    return RuleResult(
        name=rule.name, verdict=verdict, value=_finite(measured.value), low=_finite(measured.bounds.low),
        high=_finite(measured.bounds.high), n=measured.n, limit=rule.limit, metric=metric.name, unit=unit,
        objective=f"{rule.operator} {figure(rule.limit, unit)}", scope=rule.scope, required=rule.required,
        confidence=None if metric.kind is Kind.COUNT else rule.confidence,
        reason=_sentence(metric, rule, measured, unit, why),
        tiers=_tiers(store, metric, condition, parameters),
        examples=[] if verdict is Verdict.PASS else _examples(store, metric, condition, parameters),
    )  # fmt: skip


def _population(metric: Metric, rule: Rule) -> tuple[str, list[Any]]:
    parts = [f"({metric.counted})"]
    parameters: list[Any] = []
    for key, value in rule.where.items():
        values = where_values(value)
        parts.append(f'CAST("{key}" AS VARCHAR) IN ({", ".join("?" * len(values))})')
        parameters.extend(values)
    return " AND ".join(parts), parameters


def _measure(store: RunStore, metric: Metric, rule: Rule, condition: str, parameters: list[Any]) -> Measured:
    if metric.kind is Kind.COUNT:
        fact = EXACT_COUNTS[metric.value](store)
        known = math.nan if fact.value is None else fact.value
        return Measured(fact.value, Bounds(known, known), 0 if fact.value is None else fact.n)
    if metric.kind is Kind.RATIO:
        sql = f"SELECT count(*) FILTER ({metric.value}), count(*) FROM {metric.table} WHERE {condition}"
        hits, n = store.rows(sql, parameters)[0]
        return Measured(hits / n if n else None, proportion_bounds(hits, n, rule.confidence), n)
    return _measure_quantile(store, metric, rule, condition, parameters)


def _measure_quantile(store: RunStore, metric: Metric, rule: Rule, condition: str, parameters: list[Any]) -> Measured:
    n = store.value(f"SELECT count(*) FROM {metric.table} WHERE {condition}", parameters)
    if not n:
        return Measured(None, Bounds(-math.inf, math.inf), 0)
    ranks = quantile_ranks(n, metric.q, rule.confidence)
    sql = f"""
        SELECT place, value FROM (
            SELECT {metric.value} AS value, row_number() OVER (ORDER BY {metric.value}) AS place
            FROM {metric.table} WHERE {condition}
        ) WHERE place IN (?, ?, ?)"""
    wanted = [ranks.point, ranks.low or ranks.point, ranks.high or ranks.point]
    by_place = dict(store.rows(sql, [*parameters, *wanted]))
    low = by_place[ranks.low] if ranks.low else -math.inf
    high = by_place[ranks.high] if ranks.high else math.inf
    return Measured(by_place[ranks.point], Bounds(low, high), n)


def _verdict(metric: Metric, rule: Rule, measured: Measured) -> tuple[Verdict, str]:
    if measured.value is None:
        return Verdict.INCONCLUSIVE, "nothing was measured, so the rule cannot pass"
    low_holds, high_holds = rule.matches(measured.bounds.low), rule.matches(measured.bounds.high)
    if not low_holds and not high_holds:
        return (
            (Verdict.INCONCLUSIVE, "less was tested than this rule requires") if metric.coverage else (Verdict.FAIL, "")
        )
    if measured.n < rule.min_n:
        return Verdict.INCONCLUSIVE, f"the rule requires at least {rule.min_n}"
    if low_holds and high_holds:
        return Verdict.PASS, ""
    return Verdict.INCONCLUSIVE, _too_few(metric, rule, measured)


def _too_few(metric: Metric, rule: Rule, measured: Measured) -> str:
    needed = 0
    if metric.kind is Kind.RATIO and 0 < rule.limit < 1:
        share = rule.limit if rule.operator.startswith(">") else 1 - rule.limit
        needed = smallest_n_for_share(share, rule.confidence)
    elif metric.kind is Kind.QUANTILE:
        q = metric.q if rule.operator.startswith("<") else 1 - metric.q
        needed = smallest_n_for_upper_bound(q, rule.confidence)
    if measured.n < needed:
        return f"too few to decide: at least {needed} are needed"
    return "too few to decide: the interval includes the target"


def _sentence(metric: Metric, rule: Rule, measured: Measured, unit: str, why: str) -> str:
    where = "" if rule.scope == "all" else f" ({rule.scope})"
    wanted = f"{rule.operator} {figure(rule.limit, unit)}"
    if measured.value is None:
        return f"{rule.name}: no {metric.name}{where}, target {wanted}; {why}"
    text = f"{rule.name}: {metric.name}{where} is {figure(measured.value, unit)}, target {wanted}"
    if metric.kind is not Kind.COUNT:
        low, high = _finite(measured.bounds.low), _finite(measured.bounds.high)
        noun = metric.table.removesuffix("s")
        text += f"; {percent(rule.confidence)} % bounds {in_words(low, high, unit)} from {counted(measured.n, noun)}"
    return f"{text}; {why}" if why else text


def _mixed(store: RunStore, metric: Metric, condition: str, parameters: list[Any]) -> str:
    if not metric.single_valued:
        return ""
    sql = f"SELECT DISTINCT {metric.single_valued} FROM {metric.table} WHERE {condition} ORDER BY 1"
    values = [str(row[0]) for row in store.rows(sql, parameters)]
    return ", ".join(values) if len(values) > 1 else ""


def _tiers(store: RunStore, metric: Metric, condition: str, parameters: list[Any]) -> dict[str, int]:
    if metric.table not in {"calls", "cells"}:
        return {}
    sql = f"SELECT tier, count(*) FROM {metric.table} WHERE {condition} GROUP BY tier ORDER BY tier"
    return {tier: int(count) for tier, count in store.rows(sql, parameters)}


def _examples(store: RunStore, metric: Metric, condition: str, parameters: list[Any]) -> list[str]:
    """Returns the rows with the worst values. For a ratio, returns the first rows on the wrong side, by name."""
    if metric.kind is Kind.COUNT:
        return []
    worse_first = "DESC" if metric.better == "lower" else "ASC"
    order = f"{metric.value} {worse_first}, {metric.example}"
    wrong = ""
    if metric.kind is Kind.RATIO:
        wrong = f" AND {'NOT ' if metric.better == 'higher' else ''}({metric.value})"
        order = metric.example
    sql = f"SELECT {metric.example} FROM {metric.table} WHERE {condition}{wrong} ORDER BY {order} LIMIT {EXAMPLES}"
    return [str(row[0]) for row in store.rows(sql, parameters)]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
