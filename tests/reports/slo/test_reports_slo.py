from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bedrock.errors import InputError
from reports.gate.exact_counts import EXACT_COUNTS
from reports.slo.metrics import METRICS, Kind
from reports.slo.slo_file import Rule, built_in_names, check_slo, load_slo


def _rule(**changes: Any) -> dict[str, Any]:
    return {"name": "calls complete", "metric": "completion_ratio", "objective": ">= 0.97", **changes}


def _problems(*rules: dict[str, Any], **tables: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        check_slo({"name": "mine", "rule": list(rules), **tables}, "mine.toml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("name", ["default", "smoke"])
def test_a_built_in_file_reads_by_name_and_by_path(name: str) -> None:
    by_name = load_slo(name)
    assert by_name.name == name
    assert load_slo(by_name.file) == by_name
    assert name in built_in_names()


def test_every_problem_is_told_at_once_with_file_key_and_nearest_name() -> None:
    problems = _problems(
        _rule(metric="completion_ration"),
        _rule(name="b", objective="=> 0.97"),
        _rule(name="c", objective=">= 97"),
        _rule(name="d", objective="<= 0.9"),
        _rule(name="e", where={"generatoin": "2g"}),
        _rule(name="f", where={"generation": ["2g", "6g"]}),
        _rule(name="g", confidence=1.2),
        _rule(name="h", treshold=1),
        limits={"setup_limit_ms": 3},
    )
    told = "\n".join(problems)
    assert "mine.toml: rule[0].metric: unknown metric 'completion_ration' (did you mean 'completion_ratio'?)" in told
    assert "rule[1].objective: '=> 0.97' is not an objective (write e.g. '>= 0.97' or '<= 150')" in told
    assert "rule[2].objective: completion_ratio lies between 0 and 1 (got 97) (write 0.97)" in told
    assert "rule[3].objective: for completion_ratio higher is better (write '>= 0.9')" in told
    assert "rule[4].where.generatoin: completion_ratio cannot be filtered by 'generatoin'" in told
    assert "did you mean 'generation'?" in told
    assert "rule[5].where.generation: unknown generation '6g'" in told
    assert "rule[6].confidence" in told
    assert "rule[7].treshold: unknown key" in told
    assert "limits.setup_limit_ms: unknown key (did you mean 'setup_limit_s'?)" in told
    assert len(problems) == 9


def test_two_rules_of_one_name_and_a_where_on_the_whole_run_are_refused() -> None:
    told = "\n".join(
        _problems(_rule(), _rule(), _rule(name="n", metric="cells_run", where={"network": "x"}, objective=">= 3"))
    )
    assert "two rules are named 'calls complete'" in told
    assert "cells_run cannot be filtered by 'network'" in told


def test_an_slo_without_rules_and_an_unknown_built_in_are_refused() -> None:
    assert any("rule" in problem for problem in _problems())
    with pytest.raises(InputError, match=r"unknown SLO file 'smok'.*did you mean 'smoke'"):
        load_slo("smok")


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_slo(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("objective", "operator", "limit"),
    [(">= 0.97", ">=", 0.97), ("<=150", "<=", 150.0), ("< 4000.5", "<", 4000.5), ("  > 3 ", ">", 3.0)],
)
def test_the_objective_grammar(objective: str, operator: str, limit: float) -> None:
    rule = Rule(name="r", metric="setup_ms_p95", objective=objective)
    assert (rule.operator, rule.limit) == (operator, limit)
    assert rule.matches(limit) == operator.endswith("=")


@pytest.mark.parametrize("objective", ["", "0.97", ">= ", ">= -1", "== 1", ">= 1e3", ">= 1 ms", ">= nan", ">= 1, <= 2"])
def test_what_is_no_objective(objective: str) -> None:
    assert any("is not an objective" in problem for problem in _problems(_rule(objective=objective)))


def test_every_metric_says_what_it_is_and_every_fact_has_its_query() -> None:
    for name, metric in METRICS.items():
        assert name == metric.name
        assert len(metric.meaning) > 20
        assert metric.kind is not Kind.COUNT or metric.value in EXACT_COUNTS
        assert metric.unit != "ms" or "_ms_" in name
