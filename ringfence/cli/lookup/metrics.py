"""``ringfence metrics``: what a rule of an SLO file may measure."""

from __future__ import annotations

from typing import Any

from bedrock.exit_codes import ExitCode
from bedrock.foreign_text import json_text
from reports.slo.metrics import METRICS, WHERE_KEYS, Better, Kind, Metric
from ringfence.cli.lookup.tables import entry_named, print_facts, print_list, print_note

POPULATIONS = {
    "calls": "calls",
    "messages": "text messages",
    "lists": "pages of lists",
    "cells": "cells of the matrix",
    "run": "the whole run",
}
"""A table of the records, in words."""
_KINDS = {
    Kind.RATIO: "a share: hits of all counted, with an exact binomial interval",
    Kind.QUANTILE: "a quantile of one value per call, with an order-statistic interval",
    Kind.COUNT: "one number of the run, counted and not estimated: no interval",
}
_EXAMPLE_LIMITS = {
    "ratio": "0.05",
    "ms": "800",
    "MOS": "3.5",
    "none": "0.8",
    "cells": "20",
    "devices": "20",
    "calls": "60",
}


def list_metrics(*, json: bool = False) -> int:
    """List every metric that a rule of an SLO file may name.

    Parameters
    ----------
    json
        Print a JSON array instead of a table.
    """
    if json:
        print(json_text([_as_json(metric) for metric in METRICS.values()], indent=1))
        return ExitCode.PASS
    rows = [(metric.name, unit_of(metric), metric.table, metric.meaning) for metric in METRICS.values()]
    print_list(("metric", "unit", "over", "measures"), rows)
    print_note("over: the records that are counted. ringfence metrics show NAME shows one with a rule that uses it.")
    return ExitCode.PASS


def show_metric(name: str, *, json: bool = False) -> int:
    """Show one metric: unit, population, what it measures, and a rule that uses it.

    Parameters
    ----------
    name
        The metric's name, e.g. setup_ms_p95.
    json
        Print a JSON object instead of lines.
    """
    metric = entry_named(name, METRICS, "metric")
    if json:
        print(json_text(_as_json(metric), indent=1))
        return ExitCode.PASS
    keys = WHERE_KEYS[metric.table]
    print_facts(
        metric.name,
        [
            ("measures", metric.meaning),
            ("unit", unit_of(metric)),
            ("better", _better(metric)),
            ("kind", _KINDS[metric.kind]),
            ("population", population_of(metric)),
            ("where", ", ".join(keys) or "a rule cannot narrow it: it is of the whole run"),
            ("a miss is", "INCONCLUSIVE: it says how much was tested" if metric.coverage else "FAIL"),
        ],
    )
    print_note(f"\nIn an SLO file:\n\n{_example_rule(metric)}")
    return ExitCode.PASS


def unit_of(metric: Metric) -> str:
    """Returns the unit of a metric's value; ``ratio`` for a share from 0 to 1."""
    return "ratio" if metric.kind is Kind.RATIO else metric.unit or "none"


def population_of(metric: Metric) -> str:
    """Returns which records a metric counts, the condition as it is written in SQL."""
    population = POPULATIONS[metric.table]
    return population if metric.counted == "true" else f"{population} where {metric.counted}"


def _better(metric: Metric) -> str:
    return metric.better.value


def _example_rule(metric: Metric) -> str:
    operator = ">=" if metric.better is Better.HIGHER else "<="
    limit = "0.95" if metric.kind is Kind.RATIO and operator == ">=" else _EXAMPLE_LIMITS[unit_of(metric)]
    where = 'where = { source = "swarm" }\n' if "source" in WHERE_KEYS[metric.table] else ""
    return (
        f'[[rule]]\nname = "say here what must hold"\nmetric = "{metric.name}"\n{where}objective = "{operator} {limit}"'
    )


def _as_json(metric: Metric) -> dict[str, Any]:
    return {
        "name": metric.name,
        "measures": metric.meaning,
        "unit": unit_of(metric),
        "better": metric.better.value,
        "kind": metric.kind.value,
        "population": population_of(metric),
        "where_keys": list(WHERE_KEYS[metric.table]),
        "says_how_much_was_tested": metric.coverage,
    }
