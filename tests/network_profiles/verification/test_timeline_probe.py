"""Links that change with time: what is sent through their changes, and that a link that changes otherwise is caught."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from network_profiles.catalogue.catalogue import load_catalogue
from network_profiles.model.plain_profile import PlainProfile, plain_profile
from network_profiles.model.profile import Direction, NetworkProfile, Outages, ProfilePhase
from network_profiles.verification.evidence import Figure
from network_profiles.verification.probe.judge import judge_thoroughly
from network_profiles.verification.probe.model_replay import replay_packets
from network_profiles.verification.probe.thorough_plan import required_packets, thorough_plan
from network_profiles.verification.probe.timeline_probe import (
    judge_timeline,
    merged_segments,
    timeline_plan,
    timeline_probe_s,
)
from network_profiles.verification.probe.trace import ProbePacket, ProbeTrace
from network_profiles.verification.verify import seed_with_outage

SLOW = Direction(rate_kbit=400.0, owd_ms=75.0, queue_ms=600.0)
FAST = Direction(rate_kbit=2000.0, owd_ms=35.0, jitter_ms=5.0, queue_ms=200.0)
LOSSY = Direction(
    rate_kbit=1800.0, owd_ms=75.0, jitter_ms=20.0, loss_ratio=0.05, loss_burst_packets=3.0, queue_ms=600.0
)
STEADY = load_catalogue()["lte_good"].model_copy(update={"down": FAST, "up": FAST})
GAP = STEADY.model_copy(
    update={
        "phases": (
            ProfilePhase(lasts_s=3.0),
            ProfilePhase(lasts_s=1.5, outage=True),
            ProfilePhase(lasts_s=60.0, down=SLOW, up=SLOW),
        ),
    }
)
LIFT = STEADY.model_copy(update={"outages": Outages(mean_between_s=20.0, shortest_s=1.0, longest_s=2.0)})


def seen_over(real: PlainProfile, claimed: PlainProfile, seed: int, budget_s: float = 30.0) -> list[Figure]:
    """The watch of ``claimed``, over a link that is ``real``."""
    planned = timeline_plan(claimed, "up", seed, timeline_probe_s(claimed, seed, budget_s))
    link = real.direction("up", 99)
    link.follow_timeline(real.timeline("up", seed, 0.0))
    packets = replay_packets(link, [ProbePacket(one.size_bytes, one.at_s, None) for one in planned.plan.sends])
    return judge_timeline("up", claimed, seed, planned, packets, 0.0)


def missed(figures: list[Figure]) -> set[str]:
    return {figure.name for figure in figures if not figure.ok}


@pytest.mark.parametrize("profile", [GAP, LIFT, load_catalogue()["sat_leo"]], ids=["phases", "outages", "cycle"])
def test_a_link_that_changes_as_it_says_is_found_right(profile: NetworkProfile) -> None:
    plain = plain_profile(profile)
    figures = seen_over(plain, plain, seed_with_outage(profile, 1, 30.0))
    assert figures
    assert missed(figures) == set()


def test_both_edges_of_an_outage_and_each_stretch_are_judged() -> None:
    plain = plain_profile(GAP)
    assert [figure.name for figure in seen_over(plain, plain, 1)] == [
        "owd_ms@0.0s", "goodput_kbit@0.0s", "outage_starts_s@3.0s", "outage_ends_s@3.0s", "owd_ms@4.5s",
        "goodput_kbit@4.5s",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("phases", "off"),
    [
        ((3.08, 1.42), {"outage_starts_s@3.0s"}),
        ((3.0, 1.42), {"outage_ends_s@3.0s"}),
        ((3.0, 1.54), set()),
    ],
    ids=["late start", "early end", "within 50 ms"],
)
def test_edges_are_held_to_50_ms(phases: tuple[float, float], off: set[str]) -> None:
    real = GAP.model_copy(
        update={
            "phases": (
                ProfilePhase(lasts_s=phases[0]),
                ProfilePhase(lasts_s=phases[1], outage=True),
                ProfilePhase(lasts_s=60.0, down=SLOW, up=SLOW),
            )
        }
    )
    assert (
        missed(seen_over(plain_profile(real), plain_profile(GAP), 1))
        & {
            "outage_starts_s@3.0s",
            "outage_ends_s@3.0s",
        }
        == off
    )


def test_a_link_that_never_changes_is_caught() -> None:
    figures = seen_over(plain_profile(STEADY), plain_profile(GAP), 1)
    assert {"outage_starts_s@3.0s", "outage_ends_s@3.0s", "owd_ms@4.5s", "goodput_kbit@4.5s"} <= missed(figures)


def test_outages_at_other_times_are_caught() -> None:
    plain = plain_profile(LIFT)
    seed = seed_with_outage(LIFT, 1, 30.0)
    other = LIFT.model_copy(update={"outages": Outages(mean_between_s=15.0, shortest_s=1.0, longest_s=2.0)})
    assert missed(seen_over(plain_profile(other), plain, seed))


def test_a_seed_is_chosen_that_shows_an_outage() -> None:
    seed = seed_with_outage(LIFT, 1, 12.0)
    first = next(one for one in merged_segments(plain_profile(LIFT), "down", seed, 12.0) if one.shape is None)
    assert 2.0 < first.starts_s < first.ends_s < 0.8 * 12.0


def test_a_trace_is_told_from_another() -> None:
    plain = plain_profile(load_catalogue()["umts_driving"])
    right = seen_over(plain, plain, 1, 12.0)
    assert missed(right) == set()
    planned = timeline_plan(plain, "up", 1, 12.0)
    link = plain.direction("up", 99)
    link.follow_timeline(plain.timeline("up", 2, 0.0))
    packets = replay_packets(link, [ProbePacket(one.size_bytes, one.at_s, None) for one in planned.plan.sends])
    assert "trace_course_off_ratio" in missed(judge_timeline("up", plain, 1, planned, packets, 0.0))


def over_a_link_that_is(real: Direction, claimed: Direction) -> ProbeTrace:
    intended = thorough_plan(claimed, 60.0)
    link = plain_profile(STEADY.model_copy(update={"up": real})).direction("up", 7)
    packets = replay_packets(link, [ProbePacket(one.size_bytes, one.at_s, None) for one in intended.sends])
    return ProbeTrace(packets[: intended.paced], packets[intended.paced :])


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"owd_ms": 78.0}, "owd_ms"),
        ({"jitter_ms": 24.0}, "jitter_ms"),
        ({"loss_burst_packets": 6.0}, "burst_packets"),
        ({"loss_ratio": 0.1}, "loss_ratio"),
        ({"rate_kbit": 1800 * 1.05}, "goodput_kbit"),
        ({"queue_ms": 700.0}, "queue_ms"),
    ],
)
def test_a_thorough_probe_names_each_number_that_is_off(
    change: dict[str, float], name: str, quiet: Callable[[Direction, ProbeTrace], list[Figure]]
) -> None:
    figures = quiet(LOSSY, over_a_link_that_is(LOSSY.model_copy(update=change), LOSSY))
    assert name in missed(figures)


def test_a_thorough_probe_finds_a_right_link_right(quiet: Callable[[Direction, ProbeTrace], list[Figure]]) -> None:
    figures = quiet(LOSSY, over_a_link_that_is(LOSSY, LOSSY))
    assert missed(figures) == set()
    assert {"owd_p95_ms", "jitter_ms", "burst_packets", "queue_ms"} <= {figure.name for figure in figures}


@pytest.fixture
def quiet() -> Callable[[Direction, ProbeTrace], list[Figure]]:
    from network_profiles.links.counters import DirectionCounters

    daemon = DirectionCounters(0, 0, 0, 0, {}, 0, 0, 0.1, 0.2)
    return lambda direction, trace: judge_thoroughly("up", direction, trace, 0, daemon)


def test_rare_losses_ask_for_more_packets() -> None:
    seldom = FAST.model_copy(update={"loss_ratio": 0.005, "loss_burst_packets": 2.0})
    often = FAST.model_copy(update={"loss_ratio": 0.05, "loss_burst_packets": 2.0})
    assert required_packets(FAST) < required_packets(seldom)
    assert required_packets(often) < required_packets(seldom)
