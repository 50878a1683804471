from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from bedrock.errors import InputError
from loadtests.plan.scaling import tables_of
from loadtests.plan.swarm_plan import SwarmPlan, load_plan
from loadtests.shapes.knee import KneeSearch, KneeTable
from loadtests.shapes.rollout import Rollout, RolloutTable
from loadtests.shapes.stepwise import HoldTable, StepRequest, Stepwise, make_step
from loadtests.shapes.usl import NoFit, Point, fit_usl, throughput
from reports.result.stepped_load_result import Judgement, KneeResult, RolloutResult, StepVerdict

BASE = """
name = "try"
[swarm]
people = {people}
mix = "good_networks"
talk_s = {{ median = 10, min = 5, max = 20 }}
{rest}
"""


def swarm(tmp_path: Path, rest: str, people: int = 500) -> SwarmPlan:
    file = tmp_path / "plan.toml"
    file.write_text(BASE.format(rest=rest, people=people))
    return load_plan(str(file)).swarm


def levels(plan: SwarmPlan) -> list[tuple[str, float, float]]:
    return [(stage.name, stage.duration_s, stage.concurrent_calls) for stage in plan.timeline]


def test_steady_rises_and_holds(tmp_path: Path) -> None:
    plan = swarm(tmp_path, 'shape = "steady"\n[swarm.steady]\ncalls = 40\nrise_s = 5\nhold_s = 60')
    assert levels(plan) == [("rise", 5, 40), ("hold", 60, 40)]
    assert (plan.length_s(), plan.peak_calls) == (65, 40)


def test_ramp_passes_every_level(tmp_path: Path) -> None:
    plan = swarm(tmp_path, 'shape = "ramp"\n[swarm.ramp]\nfrom_calls = 5\nto_calls = 50\nduration_s = 90\nhold_s = 10')
    assert levels(plan) == [("start", 15, 5), ("ramp", 90, 50), ("hold", 10, 50)]
    down = swarm(tmp_path, 'shape = "ramp"\n[swarm.ramp]\nfrom_calls = 50\nto_calls = 5\nduration_s = 90')
    assert down.peak_calls == 50


def test_launch_day_is_a_spike_and_a_long_plateau(tmp_path: Path) -> None:
    table = (
        'shape = "launch_day"\n[swarm.launch_day]\nspike_calls = 100\nspike_s = 30\nplateau_calls = 40\nplateau_s = 0'
    )
    plan = swarm(tmp_path, table)
    assert levels(plan) == [("rise", 10, 100), ("spike", 30, 100), ("fall", 20, 40), ("plateau", 0, 40)]
    assert plan.length_s() is None
    with pytest.raises(InputError, match="must keep plateau_calls < spike_calls"):
        swarm(tmp_path, table.replace("plateau_calls = 40", "plateau_calls = 100"))


def test_soak_has_parts_to_hold_against_each_other(tmp_path: Path) -> None:
    plan = swarm(tmp_path, 'shape = "soak"\n[swarm.soak]\ncalls = 30\nduration_s = 3600\nparts = 3')
    assert [stage.name for stage in plan.timeline] == ["rise", "part 1", "part 2", "part 3"]
    assert plan.length_s() == 3660


@pytest.mark.parametrize(("shape", "new", "old"), [("soak", "hold_s", "duration_s"), ("ramp", "ramp_s", "duration_s")])
def test_an_old_name_of_a_time_still_reads_and_an_error_says_both(
    tmp_path: Path, shape: str, new: str, old: str
) -> None:
    calls = {"soak": "calls = 9", "ramp": "to_calls = 9"}[shape]
    head = f'shape = "{shape}"\n[swarm.{shape}]\n{calls}\n'
    by_old_name = swarm(tmp_path, f"{head}{old} = 60")
    assert by_old_name == swarm(tmp_path, f"{head}{new} = 60")
    assert tables_of(by_old_name)[shape][new] == 60
    with pytest.raises(InputError, match=rf"{new} \(in older plans {old}\) is required and missing"):
        swarm(tmp_path, head)
    with pytest.raises(InputError, match=f"has both {new} and {old}, which is its old name: keep {new}"):
        swarm(tmp_path, f"{head}{old} = 60\n{new} = 60")


@pytest.mark.parametrize(
    ("rest", "sentence"),
    [
        ('shape = "steady"', 'shape = "steady" needs its table: [swarm.steady] is missing'),
        ("", 'shape = "stages" needs its table: [[swarm.stages]] is missing'),
        ('shape = "stedy"', "must be 'stages', 'steady', 'ramp'"),
        ('shape = "steady"\n[swarm.steady]\ncalls = 4\nhold_s = 5\n[swarm.soak]\ncalls = 4\nduration_s = 9',
         "the table of 'soak' would not be used"),
        ('shape = "steady"\n[swarm.steady]\ncalls = 400\nhold_s = 5', "500 people cannot hold 400 calls at once"),
        ('shape = "knee"\n[swarm.knee]\nstart_calls = 5\nmax_calls = 400', "500 people cannot hold 400 calls at once"),
        ('shape = "knee"\n[swarm.knee]\nstart_calls = 50\nmax_calls = 4', "must keep start_calls <= max_calls"),
        ('shape = "knee"\n[swarm.knee]\nstart_calls = 5\nmax_calls = 40\nwant_calls = 60', "must keep want_calls <="),
        ('shape = "knee"\n[swarm.knee]\nstart_calls = 5\nmax_calls = 40\nhold_s = 60\nmax_hold_s = 30',
         "must keep hold_s <= max_hold_s"),
        ('shape = "knee"\ndaily = { curve = "office" }\n[swarm.knee]\nstart_calls = 5\nmax_calls = 40',
         "a daily curve would move the level"),
        ('shape = "rollout"\n[swarm.rollout]\npeak_calls = 50\nshares = [0.5, 0.1]', "must be rising shares"),
        ('shape = "rollout"\n[swarm.rollout]\npeak_calls = 50\nshares = [0.5, 1.5]', "must be rising shares"),
        ('daily = { curve = "ofice" }\nshape = "steady"\n[swarm.steady]\ncalls = 4\nhold_s = 5',
         "swarm.daily.curve: unknown curve 'ofice' (did you mean 'office'?)"),
        ('scenarios = { talk = 9, declin = 1 }\nshape = "steady"\n[swarm.steady]\ncalls = 4\nhold_s = 5',
         "swarm.scenarios.declin: unknown scenario 'declin' (did you mean 'decline'?)"),
        ('scenarios = { talk = -1 }\nshape = "steady"\n[swarm.steady]\ncalls = 4\nhold_s = 5',
         "must be a number, at least 0 and at most 1000000"),
        ('patience_s = { median = 2 }\nshape = "steady"\n[swarm.steady]\ncalls = 4\nhold_s = 5',
         "swarm.patience_s: must keep min <= median <= max"),
    ],
)  # fmt: skip
def test_wrong_shapes_are_refused_with_a_sentence(tmp_path: Path, rest: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        swarm(tmp_path, rest)
    assert sentence in str(caught.value)


# The steps of a search, against a target of which the truth is known.


def judged(verdict: StepVerdict, calls: float, seconds: float = 60.0, completed: int | None = None) -> Judgement:
    n = round(calls * seconds / 10)
    done = n if completed is None else completed
    return Judgement(
        verdict=verdict, reason="" if verdict == "PASS" else f"because {verdict}", from_s=1000.0,
        until_s=1000.0 + seconds, calls=n, completed=done, failed=n - done, attempts_per_s=n / seconds,
        setups_per_s=done / seconds, setups_per_s_low=0.9 * done / seconds, setups_per_s_high=1.1 * done / seconds,
    )  # fmt: skip


def walk(load: Stepwise, judge: Callable[[StepRequest], Judgement]) -> list[StepRequest]:
    """Every step that was asked for until the load was over."""
    asked: list[StepRequest] = []
    ask: StepRequest | None = load.first()
    while ask is not None:
        asked.append(ask)
        assert len(asked) < 50, "the load never ends"
        ask = load.after(make_step(ask, 1, judge(ask)))
    return asked


def knee(table: str = "", **changed: float) -> KneeSearch:
    return KneeSearch(KneeTable(**{"start_calls": 10, "max_calls": 400, "growth": 2, "refine": 3, **changed}))  # type: ignore[arg-type]


def breaks_at(limit: float) -> Callable[[StepRequest], Judgement]:
    return lambda ask: judged("PASS" if ask.concurrent_calls <= limit else "FAIL", ask.concurrent_calls)


def result_of(load: Stepwise) -> KneeResult:
    result = load.result()
    assert isinstance(result, KneeResult)
    return result


@pytest.mark.parametrize("limit", [11, 37, 100, 151, 319])
def test_a_knee_search_closes_in_on_the_limit(limit: float) -> None:
    search = knee()
    asked = walk(search, breaks_at(limit))
    found = result_of(search)
    assert found.low_calls is not None
    assert found.high_calls is not None
    assert found.low_calls <= limit <= found.high_calls
    assert found.high_calls / found.low_calls <= 2 ** (1 / 2)
    assert (found.ended, found.verdict) == ("broke", "PASS")
    assert len({ask.name for ask in asked}) == len(asked)
    assert f"capacity between {found.low_calls:g} and {found.high_calls:g} calls at once" in found.sentence


def test_a_target_that_breaks_at_once_has_its_capacity_below() -> None:
    search = knee()
    assert len(walk(search, breaks_at(3))) == 1
    found = result_of(search)
    assert (found.verdict, found.low_calls, found.high_calls) == ("FAIL", None, 10)
    assert found.sentence == "capacity below 10 calls at once: because FAIL"


def test_a_target_that_holds_everything_has_at_least_the_highest_level() -> None:
    search = knee()
    asked = walk(search, breaks_at(math.inf))
    assert [ask.concurrent_calls for ask in asked] == [10, 20, 40, 80, 160, 320, 400]
    found = result_of(search)
    assert (found.verdict, found.ended, found.high_calls) == ("PASS", "limit", None)
    assert found.sentence == "capacity at least 400 calls at once, and nothing higher was tried"


def test_a_generator_that_cannot_keep_up_is_never_the_targets_limit() -> None:
    search = knee()
    walk(search, lambda ask: judged("PASS" if ask.concurrent_calls < 80 else "INVALID", ask.concurrent_calls))
    found = result_of(search)
    assert (found.ended, found.low_calls, found.high_calls, found.verdict) == ("generator", 40, None, "INCONCLUSIVE")
    assert found.sentence == "capacity at least 40 calls at once, generator-bound: at 80 calls, because INVALID"
    assert found.machines is not None
    assert found.machines.at_least is None


def test_a_generator_that_cannot_even_start_knows_nothing() -> None:
    search = knee()
    walk(search, lambda ask: judged("INVALID", ask.concurrent_calls))
    assert result_of(search).verdict == "INVALID"


def test_a_level_that_shows_nothing_narrows_nothing() -> None:
    """40 calls stay undecided: the capacity lies between what held below and what broke above."""
    verdicts: dict[float, StepVerdict] = {40: "INCONCLUSIVE", 80: "FAIL"}
    search = knee(refine=0)
    walk(search, lambda ask: judged(verdicts.get(ask.concurrent_calls, "PASS"), ask.concurrent_calls))
    found = result_of(search)
    assert (found.low_calls, found.high_calls) == (20, 80)


@pytest.mark.parametrize(("wanted", "verdict"), [(30, "PASS"), (100, "INCONCLUSIVE"), (350, "FAIL")])
def test_a_wanted_capacity_is_judged_by_the_whole_interval(wanted: float, verdict: str) -> None:
    search = knee(refine=0, want_calls=wanted)
    walk(search, breaks_at(100))  # between 80 and 160
    assert result_of(search).verdict == verdict


def test_machines_for_a_launch_come_from_both_ends() -> None:
    search = knee(refine=0, want_setups_per_s=690)
    walk(search, breaks_at(100))
    found = result_of(search)
    assert found.low_setups_per_s == pytest.approx(0.9 * 8)
    assert found.high_setups_per_s is not None
    assert 16 < found.high_setups_per_s < 18  # the upper Poisson bound of 960 attempts in a minute
    assert found.machines is not None
    assert found.machines.at_most == math.ceil(690 / found.low_setups_per_s) == 96
    assert found.machines.at_least == math.ceil(690 / found.high_setups_per_s)


def test_a_search_that_was_ended_says_so() -> None:
    search = knee()
    search.after(make_step(search.first(), 1, judged("PASS", 10)))
    stopped = search.result("stopped")
    assert (stopped.verdict, stopped.ended) == ("INCONCLUSIVE", "stopped")
    assert "until then: capacity at least 10 calls at once" in stopped.sentence


# Looks.


def test_looks_share_the_allowed_error() -> None:
    hold = HoldTable(hold_s=20, max_hold_s=50)
    assert hold.looks == 3
    assert [hold.window_s(look) for look in (1, 2, 3)] == [20, 40, 50]
    assert HoldTable(hold_s=30, max_hold_s=30).looks == 1


# The rollout.


def rollout(**changed: object) -> Rollout:
    return Rollout(RolloutTable(**{"peak_calls": 200, **changed}))  # type: ignore[arg-type]


def test_a_healthy_rollout_walks_every_stage() -> None:
    load = rollout()
    asked = walk(load, lambda ask: judged("PASS", ask.concurrent_calls))
    assert [(ask.name, ask.concurrent_calls, ask.scenario) for ask in asked] == [
        ("shadow", 20, "shadow"), ("1 %", 2, ""), ("10 %", 20, ""), ("50 %", 100, ""), ("100 %", 200, ""),
    ]  # fmt: skip
    result = load.result()
    assert (result.verdict, result.ended) == ("PASS", "done")
    assert result.sentence == "all 5 stages of the rollout held, up to 200 calls at once"


@pytest.mark.parametrize(
    ("verdict", "ended", "expected"),
    [
        ("FAIL", "failed", ": because FAIL; 2 of 5 stages had held"),
        ("INCONCLUSIVE", "undecided", ", still undecided after 60 s: because INCONCLUSIVE; 2 of 5 stages had held"),
        ("INVALID", "generator", ", the generator could not keep up: because INVALID"),
    ],
)  # fmt: skip
def test_a_rollout_stops_where_a_stage_does_not_hold(verdict: StepVerdict, ended: str, expected: str) -> None:
    load = rollout()
    asked = walk(load, lambda ask: judged(verdict if ask.name == "10 %" else "PASS", ask.concurrent_calls))
    assert asked[-1].name == "10 %"
    result = load.result()
    assert isinstance(result, RolloutResult)
    assert (result.verdict, result.ended, result.sentence) == (
        verdict,
        ended,
        f"the rollout stopped at stage '10 %'{expected}",
    )
    assert result.stages == ["shadow", "1 %", "10 %", "50 %", "100 %"]


def test_a_rollout_may_do_without_a_shadow_stage() -> None:
    assert rollout(shadow=0, shares=(0.5, 1.0)).first().name == "50 %"


# The law.


def points(gamma: float, sigma: float, kappa: float, seed: int, seconds: float = 600) -> list[Point]:
    """Steps whose completed calls are Poisson around the law."""
    rng = random.Random(seed)
    made = []
    for offered in (10, 20, 40, 80, 160, 320, 640):
        mean = throughput(offered, gamma, sigma, kappa) * seconds
        seen = max(0.0, rng.gauss(mean, math.sqrt(mean)))
        made.append(Point(offered, seen / seconds, math.sqrt(max(seen, 1)) / seconds))
    return made


def test_the_law_is_found_again_and_its_intervals_hold_the_truth() -> None:
    """95 % intervals over 60 seeded runs: fewer than 51 hits of 60 would be a chance of 1 in 1000."""
    truth = (0.1, 0.002, 4e-6)
    hits = {"sigma": 0, "kappa": 0}
    for seed in range(60):
        fit = fit_usl(points(*truth, seed))
        hits["sigma"] += fit.sigma_low <= truth[1] <= fit.sigma_high
        hits["kappa"] += fit.kappa_low <= truth[2] <= fit.kappa_high
    assert min(hits.values()) >= 51
    one = fit_usl(points(*truth, seed=1))
    assert one.gamma == pytest.approx(0.1, rel=0.1)
    assert one.peak_concurrent == pytest.approx(math.sqrt((1 - 0.002) / 4e-6), rel=0.25)
    assert one.r_squared is not None
    assert one.r_squared > 0.98


def test_a_target_that_scales_straight_has_no_peak_in_reach() -> None:
    fit = fit_usl(points(0.1, 0.0, 0.0, seed=2))
    assert fit.sigma_low == 0
    assert fit.kappa_low == 0
    assert fit.peak_concurrent is None or fit.peak_concurrent > 640


@pytest.mark.parametrize(
    ("levels_tried", "why"),
    [((10, 20, 40), "at least 4 levels, not 3"), ((100, 110, 120, 130), "the levels lie too close")],
)
def test_too_few_or_too_close_levels_carry_no_law(levels_tried: tuple[float, ...], why: str) -> None:
    with pytest.raises(NoFit, match=why):
        fit_usl([Point(offered, offered / 10, 0.1) for offered in levels_tried])
