from __future__ import annotations

import json
from pathlib import Path

import pytest

from bedrock.quantile import quantile
from calls.records.record import Blame, LegRecord, Outcome, Side, Stage, Tier
from loadtests.master.live_writer import SwarmLiveWriter
from loadtests.people.probes import SHORTEST_TALK_S, ProbeSchedule
from loadtests.wire.live_stats import WINDOW_S, SwarmStats, WorkerStats, setup_ms_of


def leg(outcome: Outcome = Outcome.COMPLETED, stage: Stage = Stage.ENDED, tier: Tier = Tier.PACKETS) -> LegRecord:
    return LegRecord(
        run_id="r", call_id="c", side=Side.CALLER, tier=tier, source="swarm", writer="swarm-0", person="a", peer="b",
        outcome=outcome, blame=Blame.NOBODY, stage=stage, intended_at_s=100.0, started_at_s=100.1, ringing_at_s=100.3,
        answered_at_s=103.3, first_audio_at_s=103.8, ended_at_s=120.0, owd_p95_ms=80.0, mos_lq=4.2,
    )  # fmt: skip


def test_setup_counts_from_the_intended_start_and_leaves_ringing_out() -> None:
    assert setup_ms_of(leg()) == pytest.approx(800)


def test_a_call_that_was_never_heard_has_no_setup_time() -> None:
    assert setup_ms_of(LegRecord(**{**as_dict(leg()), "first_audio_at_s": None})) is None


def as_dict(record: LegRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


def test_percentile_is_a_value_that_was_there() -> None:
    values = [5.0, 1.0, 3.0, 2.0, 4.0]
    assert [quantile(values, ratio) for ratio in (0.01, 0.5, 0.8, 0.95)] == [1, 3, 4, 5]
    assert quantile([], 0.5) is None


def test_workers_add_up_and_a_lost_message_costs_nothing() -> None:
    view, tallies = SwarmStats(), (WorkerStats(), WorkerStats())
    for tally in tallies:
        for _ in range(3):
            tally.call_started(Tier.PACKETS)
        tally.call_started(Tier.MEDIA)
        tally.call_finished(leg())
        tally.take_second()  # never arrives
        tally.call_finished(leg(Outcome.BUSY, Stage.ATTEMPTED))
    for slot, tally in enumerate(tallies):
        view.take(slot, tally.take_second(), 1000.0)
    second = view.second(1000.5, "peak")
    assert (second["started"], second["completed"], second["other"], second["failed"]) == (8, 2, 2, 0)
    assert (second["calls_active"], second["probes_active"]) == (4, 2)
    assert view.tier("packets").by_stage["ringing"] == 2


def test_percentiles_of_now_forget() -> None:
    view, tally = SwarmStats(), WorkerStats()
    tally.call_finished(leg())
    view.take(0, tally.take_second(), 1000.0)
    assert view.second(1000.0 + WINDOW_S - 1, "peak")["setup_p95_ms"] == pytest.approx(800)
    assert view.second(1000.0 + WINDOW_S + 1, "peak")["setup_p95_ms"] is None


def test_the_calls_of_a_lost_worker_are_failures() -> None:
    view, tally = SwarmStats(), WorkerStats()
    for _ in range(4):
        tally.call_started(Tier.PACKETS)
    tally.call_finished(leg())
    view.take(0, tally.take_second(), 1000.0)
    assert view.lose(0) == 3
    second = view.second(1001.0, "peak")
    assert (second["calls_active"], second["failed"], second["workers_lost"]) == (0, 3, 1)


def test_live_files_are_one_object_a_line(tmp_path: Path) -> None:
    live = SwarmLiveWriter(tmp_path, SwarmStats())
    live.second(1.0, "ramp")
    live.fault(2.0, "worker_lost", "worker 1 is gone", "invalid")
    live.end(3.0, interrupted=False)
    lines = [json.loads(line) for line in (tmp_path / "live" / "swarm.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["second", "end"]
    assert lines[0]["stage"] == "ramp"
    assert lines[1]["interrupted"] is False
    assert json.loads((tmp_path / "faults.jsonl").read_text()) == {
        "at_s": 2.0, "what": "worker_lost", "detail": "worker 1 is gone", "severity": "invalid",
    }  # fmt: skip


def test_three_probe_pairs_keep_two_calls_up() -> None:
    schedules = [ProbeSchedule(phase, 3) for phase in range(3)]
    now_s = 1_700_000_000.0
    spans = []
    for schedule in schedules:
        at_s = now_s
        for _ in range(10):
            at_s = schedule.next_start_s(at_s)
            spans.append((at_s + 2.0, at_s + 2.0 + schedule.talk_s))  # two seconds to ring and connect
    for tenth in range(300, 1500):
        moment = now_s + tenth / 10
        assert sum(start <= moment < end for start, end in spans) >= 2


def test_a_probe_that_overran_waits_for_its_next_turn() -> None:
    schedule = ProbeSchedule(1, 3)
    first = schedule.next_start_s(1000.0)
    assert schedule.next_start_s(first) == pytest.approx(first + schedule.period_s)
    assert schedule.next_start_s(first + schedule.period_s * 1.5) == pytest.approx(first + schedule.period_s * 2)


def test_a_pair_that_joins_late_takes_what_is_left_of_its_turn() -> None:
    schedule = ProbeSchedule(1, 3)
    start_s = schedule.next_start_s(1000.0)
    joined = schedule.first_turn(start_s + 4.0)
    assert joined.start_s == start_s + 4.0
    assert joined.talk_s == pytest.approx(schedule.talk_s - 4.0)
    too_late = schedule.first_turn(start_s + schedule.talk_s - SHORTEST_TALK_S + 0.1)
    assert too_late.start_s == pytest.approx(start_s + schedule.period_s)
    assert too_late.talk_s == schedule.talk_s
    assert schedule.next_turn(start_s + 1.0).start_s == pytest.approx(start_s + schedule.period_s)
