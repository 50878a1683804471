from __future__ import annotations

import itertools
import random
import statistics

import pytest

from loadtests.arrivals import STEP_S, Arrivals, Level, RateCurve, level_line
from loadtests.occupancy import Occupancy
from loadtests.talk import TalkTime

TALK = TalkTime(median_s=25, sigma=0.4, min_s=8, max_s=60)
OCCUPANCY = Occupancy(TALK, ring_s=3.5, answered=0.97, ignored=0.01, no_answer_s=30)
SMOKE = (Level(20, 125), Level(75, 125), Level(0, 12))


def in_progress(levels: tuple[Level, ...], seed: int, until_s: float, workers: int = 2) -> list[int]:
    """Talking calls at every second of a load, each call answered after exactly its mean ringing time."""
    spans = []
    for slot in range(workers):
        arrivals = Arrivals(levels, OCCUPANCY, 1 / workers, random.Random(f"{seed} {slot}"))
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
    arrivals = Arrivals(SMOKE, OCCUPANCY, 1.0, random.Random(3))
    at_s = [arrival.at_s for arrival in arrivals.due(240)]
    assert not [moment for moment in at_s if 96 < moment < 105]
    assert 30 < sum(150 < moment < 240 for moment in at_s) < 60  # 12 calls of 27 s: one start each 2.2 s


def test_starts_are_poisson() -> None:
    arrivals = Arrivals((Level(0, 100),), OCCUPANCY, 1.0, random.Random(1))
    moments = [arrival.at_s for arrival in arrivals.due(3600) if arrival.at_s > 120]
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    mean = statistics.fmean(gaps)
    assert statistics.stdev(gaps) / mean == pytest.approx(1.0, abs=0.05)
    assert mean == pytest.approx(OCCUPANCY.talking_s() / 100, rel=0.05)


def test_asking_often_or_seldom_gives_the_same_calls() -> None:
    often, seldom = (Arrivals(SMOKE, OCCUPANCY, 0.5, random.Random(9)) for _ in range(2))
    piecemeal = [arrival for tenth in range(600) for arrival in often.due(tenth / 10)]
    assert piecemeal == seldom.due(59.9)


def test_nothing_comes_after_the_last_stage() -> None:
    arrivals = Arrivals((Level(10, 50),), OCCUPANCY, 1.0, random.Random(1))
    assert max(arrival.at_s for arrival in arrivals.due(500)) <= 10 + STEP_S


def test_the_next_moment_to_ask_is_never_past_a_call_that_is_due() -> None:
    arrivals = Arrivals(SMOKE, OCCUPANCY, 1.0, random.Random(4))
    now_s, seen = 0.0, 0
    for _ in range(2000):
        due = arrivals.due(now_s)
        assert all(now_s - STEP_S <= arrival.at_s <= now_s for arrival in due)
        seen += len(due)
        later_s = arrivals.next_at_s(now_s)
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
