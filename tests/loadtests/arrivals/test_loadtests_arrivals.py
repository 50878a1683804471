from __future__ import annotations

import itertools
import random
import statistics

import pytest

from loadtests.arrivals.arrivals import STEP_S, Arrivals, RateCurve
from loadtests.arrivals.load_line import AdjustableLoadLine, FixedLoadLine, LevelChange, level_line
from loadtests.plan.call_mix import JUST_TALK, CallMix
from loadtests.plan.daily_curve import HOURS, load_curves, through_the_day
from loadtests.plan.durations import TalkTime
from loadtests.plan.occupancy import Occupancy, occupancy_of
from loadtests.plan.personas import load_personas
from loadtests.shapes.stage import StageTable

TALK = TalkTime(median_s=25, sigma=0.4, min_s=8, max_s=60)
OCCUPANCY = Occupancy(TALK, ring_s=3.5, answered=0.97, ignored=0.01, no_answer_s=30)


def level(duration_s: float, calls: float) -> StageTable:
    return StageTable(name=f"{duration_s} {calls}", duration_s=duration_s, concurrent_calls=calls)


SMOKE = (level(20, 125), level(75, 125), level(0, 12))


def arrivals_of(levels: tuple[StageTable, ...], share: float, rng: random.Random) -> Arrivals:
    return Arrivals(FixedLoadLine(level_line(levels, share)), OCCUPANCY, JUST_TALK, rng)


def in_progress(levels: tuple[StageTable, ...], seed: int, until_s: float, workers: int = 2) -> list[int]:
    """Talking calls at every second of a load, each call answered after exactly its mean ringing time."""
    spans = []
    for slot in range(workers):
        arrivals = arrivals_of(levels, 1 / workers, random.Random(f"{seed} {slot}"))
        luck = random.Random(f"answers {seed} {slot}")
        for arrival in arrivals.due(until_s):
            if luck.random() < OCCUPANCY.answered:
                answered_s = arrival.at_s + OCCUPANCY.ring_s
                spans.append((answered_s, answered_s + arrival.talk_s))
    return [sum(start <= second < end for start, end in spans) for second in range(int(until_s))]


def test_expected_calls_follow_the_plan_at_every_moment() -> None:
    curve = RateCurve(level_line(SMOKE, 1.0), OCCUPANCY)
    rates = [curve.next_rate() for _ in range(int(95 / STEP_S))]
    for at_s in (5, 10, 20, 40, 60, 94):
        steps = int(at_s / STEP_S)
        expected = sum(
            rate * OCCUPANCY.survival(at_s - (index + 0.5) * STEP_S) for index, rate in enumerate(rates[:steps])
        )
        wanted = min(at_s / 20, 1) * 125 * OCCUPANCY.mean_s() / OCCUPANCY.talking_s()
        assert expected * STEP_S == pytest.approx(wanted, rel=0.01)


def test_mean_concurrency_of_many_runs_is_the_plans() -> None:
    runs = [in_progress(SMOKE, seed, 95) for seed in range(30)]
    means = [statistics.fmean(run[second] for run in runs) for second in range(28, 95)]
    assert min(means) > 118
    assert max(means) < 132


def test_the_smoke_seed_holds_100_calls_for_60_s() -> None:
    counts = in_progress(SMOKE, 20261121, 95)
    longest = max(len(list(group)) for held, group in itertools.groupby(counts, lambda count: count >= 100) if held)
    assert longest >= 60


def test_a_falling_line_stops_starts_until_calls_have_ended() -> None:
    arrivals = arrivals_of(SMOKE, 1.0, random.Random(3))
    at_s = [arrival.at_s for arrival in arrivals.due(240)]
    assert not [moment for moment in at_s if 96 < moment < 105]
    assert 30 < sum(150 < moment < 240 for moment in at_s) < 60  # 12 calls of 27 s: one start each 2.2 s


def test_starts_are_poisson() -> None:
    arrivals = arrivals_of((level(0, 100),), 1.0, random.Random(1))
    moments = [arrival.at_s for arrival in arrivals.due(3600) if arrival.at_s > 120]
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    mean = statistics.fmean(gaps)
    assert statistics.stdev(gaps) / mean == pytest.approx(1.0, abs=0.05)
    assert mean == pytest.approx(OCCUPANCY.talking_s() / 100, rel=0.05)


def test_asking_often_or_seldom_gives_the_same_calls() -> None:
    often, seldom = (arrivals_of(SMOKE, 0.5, random.Random(9)) for _ in range(2))
    piecemeal = [arrival for tenth in range(600) for arrival in often.due(tenth / 10)]
    assert piecemeal == seldom.due(59.9)


def test_nothing_comes_after_the_last_stage() -> None:
    arrivals = arrivals_of((level(10, 50),), 1.0, random.Random(1))
    assert max(arrival.at_s for arrival in arrivals.due(500)) <= 10 + STEP_S


def test_the_next_moment_to_ask_is_never_past_a_call_that_is_due() -> None:
    arrivals = arrivals_of(SMOKE, 1.0, random.Random(4))
    now_s, seen = 0.0, 0
    for _ in range(2000):
        due = arrivals.due(now_s)
        assert all(now_s - STEP_S <= arrival.at_s <= now_s for arrival in due)
        seen += len(due)
        later_s = arrivals.next_due_s(now_s)
        assert now_s <= later_s <= now_s + STEP_S
        now_s = max(later_s, now_s + 1e-6)
    assert seen > 100


def test_talk_is_log_normal_within_its_bounds() -> None:
    rng = random.Random(2)
    lengths = [TALK.draw(rng) for _ in range(4000)]
    assert min(lengths) >= 8
    assert max(lengths) <= 60
    assert statistics.median(lengths) == pytest.approx(25, rel=0.03)
    assert statistics.fmean(lengths) == pytest.approx(TALK.mean_s(), rel=0.02)
    assert sum(length > 30 for length in lengths) / 4000 == pytest.approx(TALK.survival(30), abs=0.02)


def test_talk_without_spread_is_one_length() -> None:
    fixed = TalkTime(median_s=17, sigma=0, min_s=5, max_s=60)
    assert {fixed.draw(random.Random(seed)) for seed in range(5)} == {17}
    assert fixed.survival(16.9) == 1.0
    assert fixed.survival(17.0) == 0.0


def test_each_call_draws_its_scenario_by_weight_and_its_callers_patience() -> None:
    kinds = CallMix({"talk": 80, "decline": 15, "busy": 5, "hold": 0}, TalkTime(20, 0.5, 5, 60))
    arrivals = Arrivals(FixedLoadLine(level_line((level(0, 100),), 1.0)), OCCUPANCY, kinds, random.Random(5))
    calls = arrivals.due(1500)
    n = len(calls)
    assert n > 4000
    for name, share in {"talk": 0.8, "decline": 0.15, "busy": 0.05}.items():
        # Five standard deviations of a binomial share.
        spread = 5 * (share * (1 - share) / n) ** 0.5
        assert abs(sum(call.scenario == name for call in calls) / n - share) < spread
    assert not [call for call in calls if call.scenario == "hold"]
    patience = [call.patience_s for call in calls if call.patience_s is not None]
    assert all((call.patience_s is not None) == (call.scenario == "talk") for call in calls), "a script has no patience"
    assert statistics.median(patience) == pytest.approx(20, rel=0.05)
    assert 5 <= min(patience) <= max(patience) <= 60


def test_one_kind_costs_no_random_number() -> None:
    plain, with_kinds = random.Random(1), random.Random(1)
    assert JUST_TALK.draw(with_kinds) == ("talk", None)
    assert plain.random() == with_kinds.random()


def test_scenarios_that_bring_no_talk_take_more_starts() -> None:
    book = load_personas()
    mix = book.mixes["good_networks"]
    plain = occupancy_of(TALK, mix, book, 30)
    half = occupancy_of(TALK, mix, book, 30, {"talk": 1, "decline": 1})
    assert half.talking_s() == pytest.approx(plain.talking_s() / 2)
    assert half.mean_s() < plain.mean_s()
    unanswered = occupancy_of(TALK, mix, book, 30, {"no_answer": 1})
    assert (unanswered.talking_s(), unanswered.mean_s()) == (0, 30)


def test_patience_bounds_how_long_a_call_can_last_unless_it_is_scripted_to_ring_out() -> None:
    book = load_personas()
    brief, patience = TalkTime(3, 0, 1, 3), TalkTime(8, 0.3, 5, 20)
    by_scenario = {
        name: occupancy_of(brief, book.mixes["good_networks"], book, 30, {name: 1}, patience).longest_s()
        for name in ("talk", "no_answer")
    }
    assert by_scenario == {"talk": 20, "no_answer": 30}


def test_a_day_in_ten_minutes_has_its_trough_and_its_busy_hour() -> None:
    curve = load_curves()["evening"]
    calls_at = through_the_day(lambda _at_s: 100.0, curve, day_s=600, start_hour=0)
    by_hour = [calls_at(hour * 600 / HOURS) for hour in range(HOURS)]
    assert max(by_hour) == by_hour[21] == 100
    assert min(by_hour) == by_hour[4] == 5
    assert calls_at(600 + 25) == pytest.approx(calls_at(25))  # the next day is the same
    assert calls_at(21.5 * 25) == pytest.approx((by_hour[21] + by_hour[22]) / 2)
    from_noon = through_the_day(lambda _at_s: 100.0, curve, day_s=600, start_hour=12)
    assert from_noon(0) == by_hour[12]


def test_a_compressed_day_sends_calls_as_its_curve_says() -> None:
    """Sums of Poisson counts: 30 days, so that three standard deviations are a few per cent."""
    curve = load_curves()["evening"]
    line = through_the_day(level_line((level(0, 400),), 1.0), curve, day_s=600, start_hour=0)
    short = Occupancy(TalkTime(3, 0, 1, 5), ring_s=0.5, answered=1.0, ignored=0.0, no_answer_s=30)
    calls = Arrivals(FixedLoadLine(line), short, JUST_TALK, random.Random(8)).due(30 * 600)
    in_hour = [0] * HOURS
    for call in calls:
        in_hour[int(call.at_s / 25) % HOURS] += 1
    for hour in (4, 9, 14, 21):
        mean = sum(curve.factor(hour + part / 20) for part in range(20)) / 20
        expected = 30 * 25 * 400 * mean / 3
        assert in_hour[hour] == pytest.approx(expected, abs=3.5 * expected**0.5 + 0.03 * expected)


def test_a_steered_load_goes_where_it_is_told_and_stays() -> None:
    line = AdjustableLoadLine(share=0.5)
    assert line.calls_at(5) == 0
    line.change_level(LevelChange(at_s=10, move_s=10, concurrent_calls=100))
    line.change_level(LevelChange(at_s=40, move_s=0, concurrent_calls=20, scenario="shadow"))
    line.change_level(
        LevelChange(at_s=35, move_s=5, concurrent_calls=60)
    )  # late news of the past count from the last move on
    assert [line.calls_at(at_s) for at_s in (9, 15, 20, 39, 42.5, 100)] == [0, 25, 50, 50, 15, 30]
    assert [line.scenario_at(at_s) for at_s in (0, 39, 41)] == ["", "", ""]


def test_a_steered_load_follows_its_level_and_its_one_scenario() -> None:
    line = AdjustableLoadLine(share=1.0)
    line.change_level(LevelChange(0, 0, 50, "shadow"))
    arrivals = Arrivals(line, OCCUPANCY, CallMix({"talk": 1, "decline": 1}), random.Random(4))
    shadows = arrivals.due(60)
    line.change_level(LevelChange(60, 10, 100))
    later = arrivals.due(400)
    assert {call.scenario for call in shadows} == {"shadow"}
    assert {call.scenario for call in later if call.at_s > 60.5} == {"talk", "decline"}
    per_s = sum(call.at_s > 200 for call in later) / 200
    assert per_s == pytest.approx(100 / OCCUPANCY.talking_s(), rel=0.1)


def test_real_calls_do_not_wait_for_shadows_that_are_long_over() -> None:
    """After a move to another kind of call, nothing is thought to be in progress: the rise begins at once."""
    line = AdjustableLoadLine(share=1.0)
    line.change_level(LevelChange(0, 0, 100, "shadow"))
    arrivals = Arrivals(line, OCCUPANCY, JUST_TALK, random.Random(6))
    arrivals.due(60)
    line.change_level(LevelChange(60, 0, 100))
    first = [call for call in arrivals.due(61) if call.at_s >= 60]
    assert len(first) > 60  # a hundred at once, as a Poisson number
