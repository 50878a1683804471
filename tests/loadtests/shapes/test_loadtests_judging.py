"""A window of a run that is going on, judged from its records by the gate's own statistics."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from waiting import HANG_LIMIT_S

from calls.records.record import Blame, HealthRow, LegRecord, MessageRow, Outcome, Side, Stage, Tier
from calls.records.segments import SegmentWriter
from loadtests.shapes.step_judge import HALF_GRACE_S, JudgeRequest, judge_window
from reports.result.stepped_load_result import Judgement

START_S = 1_700_000_000.0
SLO = """
name = "steps"
[limits]
setup_limit_s = 5.0
[[rule]]
name = "calls complete"
metric = "completion_ratio"
where = { source = "swarm" }
objective = ">= 0.8"
min_n = 10
[[rule]]
name = "messages arrive"
metric = "message_failed_ratio"
objective = "<= 0.2"
[[rule]]
name = "cells pass"
metric = "cell_pass_ratio"
objective = ">= 0.9"
[[rule]]
name = "many at once"
metric = "peak_concurrent"
objective = ">= 10000"
"""


class Run:
    """A run folder in the making."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "slo.toml").write_text(SLO)
        (folder / "manifest.json").write_text(json.dumps({"format": 1, "run_id": "r", "plan": {"swarm": {}}}))
        self.legs: list[LegRecord] = []
        self.health: list[HealthRow] = []
        self.messages: list[MessageRow] = []

    def call(
        self, at_s: float, *, ok: bool = True, scenario: str = "talk", halves: Sequence[Side] = tuple(Side)
    ) -> None:
        began_s, call_id = START_S + at_s, f"c{len(self.legs)}"
        shadow = scenario == "shadow"
        outcome = Outcome.SHADOWED if shadow else Outcome.COMPLETED if ok else Outcome.FAILED
        heard = ok and not shadow
        for side in (Side.CALLER,) if shadow else halves:
            self.legs.append(
                LegRecord(
                    run_id="r", call_id=call_id, side=side, tier=Tier.PACKETS, source="swarm", writer="swarm-0",
                    person="a", peer="b", outcome=outcome, scenario=scenario,
                    blame=Blame.NOBODY if ok or shadow else Blame.TARGET, reason="" if ok else "answer_lost",
                    stage=Stage.ENDED if heard else Stage.RINGING, intended_at_s=began_s, started_at_s=began_s,
                    ringing_at_s=None if shadow else began_s + 0.1, answered_at_s=began_s + 0.3 if heard else None,
                    first_audio_at_s=began_s + 0.5 if heard else None, ended_at_s=began_s + 3.0,
                    hung_up_cleanly=ok, as_expected=ok if shadow else None,
                )
            )  # fmt: skip

    def engine(self, at_s: float, *, late_ms: float = 1.0, dropped: int = 0, planned: int = 0) -> None:
        self.health.append(
            HealthRow(
                run_id="r", writer="swarm-0", role="engine", at_s=START_S + at_s, cpu_ratio=0.5, active_legs=10,
                send_late_p99_ms=late_ms, starts_planned=planned, starts_dropped=dropped,
            )
        )  # fmt: skip

    def message(self, at_s: float, *, ok: bool = True) -> None:
        row = MessageRow(run_id="r", writer="swarm-0", at_s=START_S + at_s, sender="a", to="b", ok=ok, ack_ms=5.0)
        self.messages.append(row)

    def fit(self, until_s: int = 40, **changed: float) -> None:
        for second in range(until_s):
            self.engine(second + 0.5, **changed)  # type: ignore[arg-type]
        for tenth in range(until_s * 2):
            self.message(tenth / 2)

    def judge(self, from_s: float = 10, until_s: float = 30, *, looks: int = 1, scenario: str = "") -> Judgement:
        rows: list[tuple[str, type[msgspec.Struct], Sequence[msgspec.Struct]]] = [
            ("calls", LegRecord, self.legs), ("health", HealthRow, self.health),
            ("messages", MessageRow, self.messages),
        ]  # fmt: skip
        for name, kind, written in rows:
            writer = SegmentWriter(self.folder / name, kind, "swarm-0")
            for row in written:
                writer.append(row)
            writer.flush()
        return judge_window(self.order(from_s, until_s, looks, scenario))

    def order(self, from_s: float, until_s: float, looks: int = 1, scenario: str = "") -> JudgeRequest:
        return JudgeRequest(
            run=str(self.folder), slo=str(self.folder / "slo.toml"), from_s=START_S + from_s,
            until_s=START_S + until_s, looks=looks, scenario=scenario,
        )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_a_healthy_window_passes_and_tells_its_figures(run: Run) -> None:
    run.fit()
    for place in range(60):
        run.call(10 + place / 3)
    judged = run.judge()
    assert (judged.verdict, judged.reason) == ("PASS", "")
    assert (judged.calls, judged.completed, judged.failed) == (60, 60, 0)
    assert (judged.attempts_per_s, judged.setups_per_s) == (3, 3)
    # Exact bounds of a Poisson count of 60 (Garwood): 47.9 and 74.4, over 20 s.
    assert (judged.setups_per_s_low, judged.setups_per_s_high) == pytest.approx((47.85 / 20, 74.39 / 20), rel=1e-3)
    assert judged.concurrent_mean == pytest.approx(3 * 2.5, rel=0.2)
    assert [rule.name for rule in judged.rules] == ["calls complete", "messages arrive"], "no devices, no coverage"


def test_only_the_calls_of_the_window_count(run: Run) -> None:
    run.fit()
    for place in range(60):
        run.call(10 + place / 3)
        run.call(place / 10, ok=False)
        run.call(30 + place / 10, ok=False)
    assert run.judge().verdict == "PASS"


def test_a_broken_target_fails_with_the_rule_that_broke(run: Run) -> None:
    run.fit()
    for place in range(60):
        run.call(10 + place / 3, ok=place % 2 == 0)
    judged = run.judge()
    assert judged.verdict == "FAIL"
    assert judged.reason.startswith("calls complete: completion_ratio (swarm) is 50 %, target >= 80 %")


def test_the_guardrail_fails_a_step_too(run: Run) -> None:
    run.fit()
    for place in range(60):
        run.call(10 + place / 3)
        run.message(10 + place / 3, ok=False)
    judged = run.judge()
    assert (judged.verdict, judged.reason[:16]) == ("FAIL", "messages arrive:")


def test_few_calls_decide_nothing_and_none_never_pass(run: Run) -> None:
    run.fit()
    for place in range(12):
        run.call(10 + place)
    assert run.judge().verdict == "INCONCLUSIVE"
    assert run.judge(31, 39).verdict == "INCONCLUSIVE"


def test_each_look_gets_its_part_of_the_error(run: Run) -> None:
    """14 good calls show 80 % at 95 %, and not at the 98.3 % that one of three looks is judged at."""
    run.fit()
    for place in range(14):
        run.call(10 + place)
    once, thrice = run.judge(), run.judge(looks=3)
    assert (once.verdict, thrice.verdict) == ("PASS", "INCONCLUSIVE")
    assert [rule.confidence for rule in thrice.rules] == [pytest.approx(1 - 0.05 / 3)] * 2


def test_a_late_generator_judges_nobody(run: Run) -> None:
    run.fit(late_ms=40.0)
    for place in range(60):
        run.call(10 + place / 3, ok=False)
    judged = run.judge()
    assert judged.verdict == "INVALID"
    assert "load generator fell behind (swarm-0" in judged.reason


def test_lateness_before_the_window_is_forgiven(run: Run) -> None:
    for second in range(9):
        run.engine(second, late_ms=80.0)
    for second in range(10, 40):
        run.engine(second + 0.5)
        run.message(second)
    for place in range(60):
        run.call(10 + place / 3)
    assert run.judge().verdict == "PASS"


@pytest.mark.parametrize(("at_s", "verdict"), [(5, "PASS"), (15, "INVALID")])
def test_dropped_starts_count_where_they_were_dropped(run: Run, at_s: int, verdict: str) -> None:
    for second in range(40):
        run.engine(second + 0.5, planned=second * 3, dropped=30 if second >= at_s else 0)
        run.message(second)
    for place in range(60):
        run.call(10 + place / 3)
    assert run.judge().verdict == verdict


def test_half_a_call_that_ended_just_now_is_waited_for(run: Run) -> None:
    run.fit(until_s=30)
    for place in range(60):
        run.call(10 + place / 6)
    for place in range(5):
        run.call(29.5 - HALF_GRACE_S + place / 2, halves=(Side.CALLER,))  # ends 3 s later
    assert run.judge().calls == 60


def test_half_a_call_that_ended_long_ago_is_the_harnesss_loss(run: Run) -> None:
    run.fit()
    for place in range(60):
        run.call(10 + place / 3)
    for place in range(5):
        run.call(11 + place, halves=(Side.CALLER,))
    judged = run.judge()
    assert judged.verdict == "INVALID"
    assert "side" in judged.reason, judged.reason


@pytest.mark.parametrize(("wrong", "verdict"), [(0, "PASS"), (20, "FAIL"), (3, "INCONCLUSIVE")])
def test_shadow_calls_are_judged_by_what_they_are_meant_to_be(run: Run, wrong: int, verdict: str) -> None:
    run.fit()
    for place in range(80):
        run.call(10 + place / 4, ok=place >= wrong, scenario="shadow")
    judged = run.judge(scenario="shadow")
    assert judged.verdict == verdict
    assert [rule.name for rule in judged.rules] == ["messages arrive", "shadow calls end as they should"]


def test_the_judge_is_a_program(run: Run) -> None:
    run.fit()
    for place in range(60):
        run.call(10 + place / 3)
    here = run.judge()
    said = subprocess.run(
        [sys.executable, "-m", "loadtests.shapes.step_judge"], input=msgspec.json.encode(run.order(10, 30)),
        stdout=subprocess.PIPE, check=True, timeout=HANG_LIMIT_S, cwd=Path(__file__).parents[3],
    ).stdout  # fmt: skip
    assert msgspec.json.decode(said, type=Judgement) == here


def test_a_machine_out_of_cpu_judges_nobody(run: Run) -> None:
    for second in range(40):
        run.engine(second + 0.5)
        run.health[-1] = msgspec.structs.replace(run.health[-1], cpu_ratio=1.0)
        run.message(second)
    for place in range(60):
        run.call(10 + place / 3, ok=False)
    judged = run.judge()
    assert judged.verdict == "INVALID"
    assert "CPU" in judged.reason or "core" in judged.reason, judged.reason
