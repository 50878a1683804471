"""What a scenario may expect of a link, and what a slow or a dead link excuses."""

from __future__ import annotations

import pytest
from media_calls import factory, place, spec

from calls.call.blame import BlameEvidence, blame_of
from calls.call.call_limits import CallLimits, limits_for_rtt
from calls.call.expectation import allowed_outcomes, is_as_expected, is_unreliable, longest_stall_s
from calls.call.state_machine import Ending
from calls.records.record import Blame, Outcome, Stage
from network_profiles import load_catalogue

COMPLETED = frozenset({Outcome.COMPLETED})
GAP_LIMIT_MS = 3000.0


def ended(outcome: Outcome, blame: Blame = Blame.NOBODY) -> Ending:
    return Ending(outcome, blame, "gap" if outcome is Outcome.FAILED else "", Stage.ENDED, True)


def expected(
    outcome: Outcome, blame: Blame = Blame.NOBODY, *, unreliable: bool, did: bool = True, found: bool = False
) -> bool:
    return is_as_expected(COMPLETED, ended(outcome, blame), script_completed=did, findings=found, unreliable=unreliable)


@pytest.mark.parametrize(
    ("network", "standstill_s"),
    [("gprs_2g", 0.0), ("2g_urban", 0.0), ("handover_3g_2g", 3.67), ("lift", 10.0), ("offline_10s", 10.0)],
)
def test_a_standstill_is_as_long_as_the_profile_says(network: str, standstill_s: float) -> None:
    assert longest_stall_s(load_catalogue()[network]) == pytest.approx(standstill_s, abs=0.01)


def test_only_links_that_stand_still_or_are_too_narrow_are_rough() -> None:
    rough = {name for name, profile in load_catalogue().items() if is_unreliable(profile, GAP_LIMIT_MS)}
    assert {"2g_rural", "handover_3g_2g", "lift", "walking_tunnel", "offline_10s", "gprs_moving"} <= rough
    assert not rough & {"gprs_2g", "2g_urban", "edge_275g", "edge_lossy", "umts_r99", "hspa_35g", "sat_geo", "lte_good"}


def test_a_scenario_is_expected_to_come_out_on_any_link_that_carries_it() -> None:
    assert expected(Outcome.COMPLETED, unreliable=False)
    assert not expected(Outcome.COMPLETED, unreliable=False, did=False)
    assert not expected(Outcome.FAILED, Blame.NETWORK, unreliable=False)
    assert allowed_outcomes(COMPLETED, unreliable=False) == COMPLETED


def test_a_rough_link_may_break_the_call_and_excuses_nobody_else() -> None:
    assert allowed_outcomes(COMPLETED, unreliable=True) == {Outcome.COMPLETED, Outcome.FAILED}
    assert expected(Outcome.FAILED, Blame.NETWORK, unreliable=True)
    assert expected(Outcome.FAILED, Blame.UNKNOWN, unreliable=True)
    assert expected(Outcome.COMPLETED, unreliable=True, did=False)
    assert not expected(Outcome.FAILED, Blame.TARGET, unreliable=True)
    assert not expected(Outcome.FAILED, Blame.GENERATOR, unreliable=True)
    assert not expected(Outcome.COMPLETED, unreliable=True, found=True)
    assert not expected(Outcome.DECLINED, unreliable=True)


def test_limits_of_replies_grow_with_the_way_to_the_service_and_others_do_not() -> None:
    limits = CallLimits(setup_s=20.0, ring_s=30.0, gap_ms=GAP_LIMIT_MS)
    far = limits_for_rtt(limits, 1.3)
    assert (far.reply_s, far.confirm_s) == (pytest.approx(20.4), pytest.approx(20.4))
    assert (far.setup_s, far.ring_s, far.gap_ms) == (limits.setup_s, limits.ring_s, limits.gap_ms)
    assert limits_for_rtt(limits, 0.0) == limits


@pytest.mark.parametrize(
    ("reason", "held_ms", "blame"),
    [
        ("gap", 2500.0, Blame.NETWORK),
        ("gap", 1500.0, Blame.UNKNOWN),
        ("reoffer_timeout", 6000.0, Blame.NETWORK),
        ("reoffer_timeout", 3000.0, Blame.TARGET),
        ("no_ringing", 6000.0, Blame.NETWORK),
        ("no_ringing", 3000.0, Blame.UNKNOWN),
    ],
)
def test_a_link_that_held_its_packets_is_to_blame(reason: str, held_ms: float, blame: Blame) -> None:
    assert blame_of(reason, BlameEvidence(link_max_delay_ms=held_ms)) is blame


def test_a_reply_that_waits_behind_the_far_ends_link_is_not_the_services_doing() -> None:
    assert blame_of("reoffer_timeout", BlameEvidence(peer_link_unreliable=True)) is Blame.UNKNOWN
    assert blame_of("reoffer_timeout", BlameEvidence(peer_link_unreliable=True, link_queue_dropped=1)) is Blame.NETWORK
    assert blame_of("resume_timeout", BlameEvidence(peer_link_unreliable=True)) is Blame.TARGET


async def test_a_rough_link_is_told_to_the_far_end() -> None:
    async with factory() as made:
        call = await place(made, spec(1, link_unreliable=True), spec(2))
        await call.both_hear()
        caller, callee = await call.close()
        assert (caller.peer_link_unreliable, callee.peer_link_unreliable) == (False, True)
