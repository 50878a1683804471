from __future__ import annotations

import random

import pytest

from network_profiles.catalogue.catalogue import load_catalogue
from network_profiles.model.link import DropCause, LinkDirection
from network_profiles.model.plain_profile import PlainOutages, PlainPhase, PlainProfile, from_json, plain_profile
from network_profiles.model.shape import PlainShape
from network_profiles.model.timeline import Timeline, phase_sequence

FAST = PlainShape(None, 10.0, 0.0, 0.0, 1.0, 100.0)
SLOW = FAST._replace(owd_ms=300.0)


def test_the_last_phase_stays() -> None:
    timeline = Timeline(phase_sequence([(10.0, FAST), (5.0, None), (1.0, SLOW)], repeat=False), 100.0)
    assert [timeline.shape_at(t) for t in (100.0, 109.9, 110.0, 114.9, 115.0, 9999.0)] == [
        FAST,
        FAST,
        None,
        None,
        SLOW,
        SLOW,
    ]


def test_repeated_phases_come_round_again() -> None:
    timeline = Timeline(phase_sequence([(2.0, FAST), (1.0, None)], repeat=True), 0.0)
    assert [timeline.shape_at(t / 2) is None for t in range(12)] == [False] * 4 + [True] * 2 + [False] * 4 + [True] * 2


def test_an_outage_takes_packets_by_time_whoever_sends_how_many() -> None:
    for per_second in (10, 300):
        link = LinkDirection(FAST, random.Random(1))
        link.follow_timeline(Timeline(phase_sequence([(2.0, FAST), (1.0, None), (9.0, FAST)], repeat=False), 0.0))
        for number in range(5 * per_second):
            link.offer(number / per_second, 100)
        assert link.dropped[DropCause.OUTAGE] == per_second


def test_a_handover_changes_the_delay_after_its_gap() -> None:
    profile = plain_profile(load_catalogue()["handover_lte_3g"])
    link = profile.direction("up", 1)
    link.follow_timeline(profile.timeline("up", 1, 0.0))
    before, gap, after = (link.offer(at_s, 100) for at_s in (10.0, 22.0, 30.0))
    assert before.at_s == pytest.approx(10.035, abs=0.011)
    assert gap.cause is DropCause.OUTAGE
    assert after.at_s == pytest.approx(30.077, abs=0.041)


def test_random_outages_take_both_directions_together_and_repeat_with_the_seed() -> None:
    profile = PlainProfile(FAST, SLOW, outages=PlainOutages(20.0, 1.0, 3.0))

    def out_of_service(side: str, seed: int) -> list[bool]:
        timeline = profile.timeline("down" if side == "down" else "up", seed, 0.0)
        assert timeline is not None
        return [timeline.shape_at(tick / 10) is None for tick in range(20_000)]

    down = out_of_service("down", 1)
    assert down == out_of_service("up", 1)
    assert down != out_of_service("down", 2)
    # Mean outage 2 s in a mean cycle of 22 s: 9.1 %, and about 90 cycles in these 2000 s.
    assert sum(down) / len(down) == pytest.approx(2 / 22, rel=0.35)


@pytest.mark.parametrize("profile_id", sorted(load_catalogue()))
def test_a_profile_survives_its_way_to_the_daemon(profile_id: str) -> None:
    import json

    numbers = plain_profile(load_catalogue()[profile_id])
    assert from_json(json.loads(json.dumps(numbers))) == numbers


def test_outages_survive_their_way_to_the_daemon() -> None:
    import json

    numbers = PlainProfile(FAST, SLOW, (PlainPhase(1.0, None, None),), True, PlainOutages(20.0, 1.0, 3.0))
    assert from_json(json.loads(json.dumps(numbers))) == numbers


def test_a_moment_says_what_the_link_is_and_until_when() -> None:
    timeline = Timeline(phase_sequence([(10.0, FAST), (5.0, None), (1.0, SLOW)], repeat=False), 100.0)
    assert timeline.state_at(103.0) == (FAST, 110.0)
    assert timeline.state_at(110.0) == (None, 115.0)
    assert timeline.state_at(115.5) == (SLOW, 116.0)
    assert timeline.state_at(116.0) == (SLOW, float("inf"))
