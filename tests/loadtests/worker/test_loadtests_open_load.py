"""What one worker makes of the plan: its share of the load, drawn from the seed, steered where the plan is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadtests.plan.swarm_plan import SwarmPlan, unknown_names
from loadtests.wire.run_spec import RunSpec
from loadtests.worker.arrival_source import ArrivalSource

BASE: dict[str, Any] = {
    "people": 400, "mix": "good_networks", "talk_s": {"median": 10, "sigma": 0, "min": 10, "max": 10},
}  # fmt: skip


def spec(**swarm: Any) -> RunSpec:
    return RunSpec(
        run_id="r", run_folder=Path("/nowhere"), target_kind="reference", target_url="http://x", seed=3,
        plan=SwarmPlan.model_validate(BASE | swarm), no_answer_s=30, setup_limit_s=20, gap_limit_ms=3000, slo="default",
        disk_mark="", network="", slots={"a": 0, "b": 1},
    )  # fmt: skip


STEADY = {"shape": "steady", "steady": {"calls": 100, "rise_s": 1, "hold_s": 0}}


def test_the_workers_share_the_load_and_never_the_calls() -> None:
    mine, other = ArrivalSource(spec(**STEADY), 0).due(600), ArrivalSource(spec(**STEADY), 1).due(600)
    assert not {call.at_s for call in mine} & {call.at_s for call in other}
    talking_s = spec(**STEADY).occupancy().talking_s()
    for calls in (mine, other):
        # A Poisson count of some 3000: four standard deviations.
        assert len(calls) == pytest.approx(600 * 50 / talking_s, abs=4 * 55 + 50)
    assert ArrivalSource(spec(**STEADY), 0).due(600) == mine


def test_probes_are_dealt_the_networks_that_they_are_to_judge() -> None:
    dealt = spec(**STEADY, probe_calls=3, probe_networks=["lte_good", ""]).population()
    for slot in (0, 1):
        pairs = dealt.probes_of_slot(slot)
        assert [one.network for one, _ in pairs] == ["lte_good", "", "lte_good"]
        assert {other.network for _, other in pairs} == {""}
    assert {one.network for pair in spec(**STEADY, probe_calls=3).population().probes for one in pair} == {""}


def test_a_probe_s_network_that_does_not_exist_is_a_problem_of_the_plan() -> None:
    (problem,) = unknown_names({"probe_networks": ["lte_good", "lte_god"]}, "p.toml")
    assert "lte_god" in str(problem)


def test_the_whole_job_survives_its_way_to_a_worker() -> None:
    sent = spec(
        **STEADY, region="nigeria", scenarios={"talk": 3, "busy": 1}, patience_s={"median": 9}, dtx=True,
        daily={"curve": "office", "day_s": 600}, heavy_tails={"missed_calls": 100, "threads": 200},
    )  # fmt: skip
    there = RunSpec.from_wire(sent.to_wire())
    assert there == sent
    assert there.population() == sent.population()
    assert there.population().histories[0].threads == 200
    assert {one.network for one in there.population().people} > {"gprs_2g"}


def test_a_daily_plan_calls_less_at_night() -> None:
    by_day = ArrivalSource(spec(**STEADY, daily={"curve": "evening", "day_s": 240}), 0).due(240)
    night, evening = (sum(low <= call.at_s < low + 20 for call in by_day) for low in (40, 200))
    assert night < evening / 4


def test_a_stepwise_plan_waits_for_the_master() -> None:
    load = ArrivalSource(spec(shape="rollout", rollout={"peak_calls": 100}), 0)
    assert load.due(30) == []
    load.set_level(30.0, {"concurrent_calls": 10.0, "move_s": 0.0, "scenario": "shadow"})
    load.set_level(60.0, {"concurrent_calls": 100.0, "move_s": 5.0, "scenario": ""})
    calls = load.due(200)
    assert {call.scenario for call in calls if call.at_s < 60} == {"shadow"}
    assert {call.scenario for call in calls if call.at_s > 60.5} == {"talk"}


def test_a_shadow_stage_rings_nobody_from_its_very_first_call() -> None:
    """The master's word comes a moment after the clock has started, within the first step of the arrivals."""
    for moment_s in (0.0, 0.0001, 0.02, 0.2):
        load = ArrivalSource(spec(shape="rollout", rollout={"peak_calls": 100}), 0)
        load.set_level(moment_s, {"concurrent_calls": 100.0, "move_s": 0.0, "scenario": "shadow"})
        calls = load.due(0.5)
        assert len(calls) > 20
        assert {call.scenario for call in calls} == {"shadow"}


def test_the_first_real_stage_does_not_take_over_the_level_of_the_shadows() -> None:
    load = ArrivalSource(spec(shape="rollout", rollout={"peak_calls": 100}), 0)
    load.set_level(0.0, {"concurrent_calls": 100.0, "move_s": 0.0, "scenario": "shadow"})
    assert len(load.due(60)) > 100
    load.set_level(60.0, {"concurrent_calls": 1.0, "move_s": 5.0, "scenario": ""})
    first = [call for call in load.due(66) if call.scenario == "talk"]
    assert len(first) <= 3, "one call at a time was asked for"


def test_a_plan_that_is_known_in_full_is_not_steered() -> None:
    steered, plain = ArrivalSource(spec(**STEADY), 0), ArrivalSource(spec(**STEADY), 0)
    steered.set_level(0.0, {"concurrent_calls": 0.0, "move_s": 0.0, "scenario": "shadow"})
    assert steered.due(60) == plain.due(60)
