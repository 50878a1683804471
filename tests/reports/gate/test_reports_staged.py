"""Runs whose load was judged step by step: their place in the gate, on the terminal and on the page."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from synthetic_run_folder import healthy

from reports.build import summarize, write_all
from reports.errors import NewerFormat
from reports.gate.stepped_load import read_knee, read_rollout
from reports.render.terminal import render
from reports.result.stepped_load_result import (
    Judgement,
    KneeResult,
    MachinesNeeded,
    RolloutResult,
    StepResult,
    StepVerdict,
    UslFit,
)
from reports.result.summary import Summary
from reports.slo.slo_file import load_slo

SMOKE = load_slo("smoke")


def step(name: str, calls: float, verdict: StepVerdict, rate: float) -> StepResult:
    judged = Judgement(
        verdict=verdict, reason="" if verdict == "PASS" else f"<{name} broke>", from_s=1.0, until_s=61.0, calls=100,
        completed=90, failed=10, attempts_per_s=rate * 1.1, setups_per_s=rate, setups_per_s_low=rate * 0.9,
        setups_per_s_high=rate * 1.1,
    )  # fmt: skip
    return StepResult(name=name, concurrent_calls=calls, looks=2, judgement=judged)


def knee(verdict: StepVerdict = "PASS") -> KneeResult:
    return KneeResult(
        verdict=verdict, sentence="capacity between 20 and 40 calls at once", ended="broke", low_calls=20,
        high_calls=40, low_setups_per_s=9.0, high_setups_per_s=22.0, how="by steps",
        steps=[step("20 calls", 20, "PASS", 10), step("40 calls", 40, "FAIL", 12)],
        fit=UslFit(steps=5, gamma=0.6, sigma=0.01, sigma_low=0, sigma_high=0.02, kappa=0.001, kappa_low=0,
                   kappa_high=0.002, peak_concurrent=31.4, peak_setups_per_s=11.5, r_squared=0.98),
        machines=MachinesNeeded(setups_per_s=6900, at_least=314, at_most=767, assumption="all are alike"),
    )  # fmt: skip


def rollout(verdict: StepVerdict) -> RolloutResult:
    return RolloutResult(
        verdict=verdict, sentence="the rollout stopped at stage '10 %': <10 % broke>", ended="failed", peak_calls=200,
        stages=["shadow", "1 %", "10 %", "50 %"],
        steps=[step("shadow", 20, "PASS", 5), step("1 %", 2, "PASS", 1), step("10 %", 20, verdict, 5)],
    )  # fmt: skip


def run_with(folder: Path, name: str, result: KneeResult | RolloutResult, **damage: int) -> Path:
    run = healthy(calls=200, messages=1500, **damage).write(folder)  # type: ignore[arg-type]
    (run / name).write_bytes(msgspec.json.encode(result))
    return run


def shown(summary: Summary) -> str:
    console = Console(file=io.StringIO(), width=140)
    render(summary, console)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def test_a_knee_search_is_judged_by_its_capacity_and_not_by_what_it_broke(tmp_path: Path) -> None:
    run = run_with(tmp_path, "knee.json", knee(), lose_every_nth_answer=3)
    summary = summarize(run, SMOKE)
    assert summary.rules[0].name == "capacity"
    assert (summary.rules[0].value, summary.rules[0].low, summary.rules[0].high) == (20, 20, 40)
    broken = [rule for rule in summary.rules if rule.verdict == "FAIL"]
    assert broken, "the calls of this run do break the SLO"
    assert not any(rule.required for rule in broken)
    assert summary.verdict != "FAIL"
    assert summary.knee == knee()


def test_a_failed_rollout_fails_a_run_whose_calls_keep_every_rule(tmp_path: Path) -> None:
    summary = summarize(run_with(tmp_path, "rollout.json", rollout("FAIL")), SMOKE)
    assert summary.verdict == "FAIL"
    assert summary.reasons[0] == "the rollout stopped at stage '10 %': <10 % broke>"


@pytest.mark.parametrize(("verdict", "expected"), [("INCONCLUSIVE", "INCONCLUSIVE"), ("INVALID", "INVALID")])
def test_what_a_rollout_does_not_know_is_not_a_pass(tmp_path: Path, verdict: StepVerdict, expected: str) -> None:
    assert summarize(run_with(tmp_path, "rollout.json", rollout(verdict)), SMOKE).verdict == expected


def test_the_terminal_shows_every_step_and_those_never_reached(tmp_path: Path) -> None:
    text = shown(summarize(run_with(tmp_path, "rollout.json", rollout("FAIL")), SMOKE))
    assert "rollout ─" in text
    assert "10 %" in text
    assert "not reached" in text
    text = shown(summarize(run_with(tmp_path / "knee", "knee.json", knee()), SMOKE))
    assert "314 to 767 like this one; all are alike" in text
    assert "sigma (contention) 0.01, 95 % 0 to 0.02" in text


def test_the_page_draws_the_steps_and_escapes_what_it_is_told(tmp_path: Path) -> None:
    run = run_with(tmp_path, "knee.json", knee())
    write_all(run, summarize(run, SMOKE))
    page = (run / "report.html").read_text()
    assert '<h2 id="steps">Knee</h2>' in page
    assert "set-ups a second against calls offered" in page
    assert "&lt;40 calls broke&gt;" in page
    assert "<40 calls broke>" not in page


def test_a_torn_result_is_none_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "knee.json").write_bytes(msgspec.json.encode(knee())[:100])
    assert read_knee(tmp_path) is None
    assert read_rollout(tmp_path) is None
    (tmp_path / "rollout.json").write_text('{"format": 2}')
    with pytest.raises(NewerFormat):
        read_rollout(tmp_path)
