"""What the start form and the command line change of a plan."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields

import pytest

from bedrock.errors import InputError
from loadtests.plan.overrides import PlanOverrides
from loadtests.plan.scaling import scale_time, tables_of, with_shape
from loadtests.plan.swarm_plan import SHAPES, LoadPlan, SwarmPlan, load_plan
from loadtests.web.start_form import PLAN_OPTIONS, planned_values

# In a process of its own: to import Locust is to have gevent patch the process.
PARSE_NOTHING = """
import json
from locust.argument_parser import LocustArgumentParser
from loadtests.web.start_form import StartForm
parser = LocustArgumentParser()
StartForm().add_arguments(parser)
print(json.dumps(vars(parser.parse_args([]))))
"""


def changed(plan: str = "default", **values: str) -> LoadPlan:
    return PlanOverrides.from_values(values).apply(load_plan(plan))


def problems(plan: str = "default", **values: str) -> str:
    with pytest.raises(InputError) as caught:
        changed(plan, **values)
    return str(caught.value)


def test_every_option_is_a_field_and_an_untouched_form_changes_nothing() -> None:
    assert {option.name.replace("-", "_") for option in PLAN_OPTIONS} == {field.name for field in fields(PlanOverrides)}
    parsed = subprocess.run([sys.executable, "-c", PARSE_NOTHING], capture_output=True, text=True, check=True)
    untouched = json.loads(parsed.stdout)
    assert PlanOverrides.from_values(untouched) == PlanOverrides()
    plan = load_plan("smoke")
    assert PlanOverrides.from_values(untouched).apply(plan) is plan


@pytest.mark.parametrize("name", ["default", "smoke", "knee", "rollout", "launch_day", "soak"])
def test_what_the_form_says_of_a_plan_is_that_plan(name: str) -> None:
    plan = load_plan(name)
    values = {key.replace("-", "_"): value for key, value in planned_values(plan).items()}
    said = PlanOverrides.from_values(values).apply(plan)
    assert tables_of(said.swarm) == tables_of(plan.swarm)


def test_a_level_takes_the_rest_in_proportion_and_brings_the_people() -> None:
    swarm = changed("launch_day", calls="250").swarm
    assert swarm.launch_day is not None
    assert (swarm.launch_day.spike_calls, swarm.launch_day.plateau_calls, swarm.launch_day.plateau_s) == (250, 120, 180)
    assert swarm.people == 668, "who rests after short calls counts too"
    assert changed("launch_day", calls="50").swarm.people == 420
    assert "9 people cannot hold 10 calls at once: at least 29 are needed" in problems(people="9")


def test_starts_a_minute_are_a_level_by_littles_law() -> None:
    """Of calls of 12 s in the median, nearly all of them taken, one start a second is some 12 at once."""
    swarm = changed(calls_per_min="60").swarm
    assert 11 < swarm.peak_calls < 14
    assert changed(calls_per_min="120").swarm.peak_calls == pytest.approx(2 * swarm.peak_calls)
    assert "give one of them" in problems(calls_per_min="120", calls="3")


def test_a_pace_plays_the_load_and_its_day_and_leaves_calls_as_they_are() -> None:
    soak = changed("soak", time_scale="0.02").swarm
    assert soak.length_s() == pytest.approx((14_400 + 60) * 0.02)
    assert soak.daily is not None
    assert soak.daily.day_s == 72
    assert soak.talk_s == load_plan("soak").swarm.talk_s
    shortest = changed("soak", time_scale="0.001").swarm.daily
    assert shortest is not None
    assert shortest.day_s == 24
    knee = changed("knee", time_scale="0.5").swarm.knee
    assert knee is not None
    assert (knee.hold_s, knee.max_hold_s, knee.settle_s, knee.max_calls) == (7.5, 15, 2, 220)
    assert knee.want_setups_per_s == 6900, "a rate is no time"
    light = changed("smoke", time_scale="0.1").swarm.stages[-1]
    assert light.duration_s == 0, "what has no end keeps none"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["default", "smoke", "soak", "knee"])
def test_any_plan_takes_any_shape(name: str, shape: str) -> None:
    plan = load_plan(name)
    swarm = changed(name, shape=shape).swarm
    assert (swarm.shape, swarm.peak_calls) == (shape, plan.swarm.peak_calls)
    if plan.swarm.length_s() is not None and not swarm.is_stepwise:
        assert swarm.length_s() == pytest.approx(plan.swarm.length_s())


def test_an_open_end_stays_open_where_the_shape_can() -> None:
    lengths = {shape: changed("smoke", shape=shape).swarm.length_s() for shape in SHAPES}
    assert {shape for shape, length_s in lengths.items() if length_s is None} == {
        "stages", "steady", "launch_day", "knee", "rollout",
    }  # fmt: skip


def test_a_load_that_is_made_stepwise_is_judged_by_rules_for_steps() -> None:
    assert load_plan("soak").slo == "load"
    assert changed("soak", shape="rollout").slo == "stages"
    assert changed("soak", shape="rollout").swarm.daily is None
    assert changed("rollout", calls="40").slo == load_plan("rollout").slo


def test_people_and_habits_are_replaced() -> None:
    plan = changed(
        mix="good_networks", region="nigeria", scenarios="talk=90, decline = 3, busy", dtx="on", talk_median_s="24",
        messages_per_min="0", visits_per_min="2.5", probe_calls="0", people="55", seed="9",
    )  # fmt: skip
    swarm = plan.swarm
    assert (swarm.mix, swarm.region, swarm.dtx, swarm.people, plan.seed) == ("good_networks", "nigeria", True, 55, 9)
    assert swarm.scenarios == {"talk": 90, "decline": 3, "busy": 1}
    assert (swarm.talk_s.median, swarm.talk_s.min, swarm.talk_s.max) == (24, 12, 60)
    assert (swarm.messages_per_person_per_min, swarm.visits_per_person_per_min, swarm.probe_calls) == (0, 2.5, 0)
    assert changed("launch_day", region="none").swarm.region == ""


def test_all_that_is_wrong_comes_at_once_and_names_the_option() -> None:
    text = problems(
        calls="many", people="7.5", seed="-1", time_scale="0", mix="emergin_smoke", region="mars", dtx="maybe",
        shape="knees", scenarios="talkk=1",
    )  # fmt: skip
    for expected in (
        "--calls: must be a number from 0.1 to 100000 (got 'many')",
        "--people: must be a whole number from 4 to 1e+06 (got '7.5')",
        "--seed: must be a whole number",
        "--time-scale: must be a number from 0.0001 to 1000 (got '0')",
        "--mix: unknown mix 'emergin_smoke' (did you mean 'emerging_smoke'?)",
        "--region: unknown region 'mars'",
        "--dtx: must be on or off (got 'maybe')",
        "--shape: unknown shape 'knees'",
        "--scenarios: unknown scenario 'talkk' (did you mean 'talk'?)",
    ):
        assert expected in text
    for weights in ("talk=x", "talk=-1", "talk=0", "talk=inf", ","):
        assert "must be names and weights" in problems(scenarios=weights)


def test_tables_that_were_reshaped_are_whole() -> None:
    tables = tables_of(load_plan("smoke").swarm)
    assert SwarmPlan.model_validate(scale_time(with_shape(tables, "steady", 10.0, 100.0), 0.5)).length_s() == 50
