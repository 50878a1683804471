"""Decides whether a leg ended as its scenario expects, given its access link.

Most links carry every scenario. An unreliable link stalls, or carries less than the lowest audio rate, for longer than
a call may be silent. A call may break there because of the network. ``expected_outcome`` then includes ``failed``.
Violations by the service are unexpected on any link.
"""

from __future__ import annotations

from calls.call.state_machine import Ending
from calls.records.record import Blame, Outcome
from network_profiles.catalogue.feasibility import LOW_VOICE
from network_profiles.model.plain_profile import Side, plain_profile
from network_profiles.model.profile import NetworkProfile
from network_profiles.model.schedule import build_schedule

SEEDS = (1, 2, 3)
"""Number of random schedules of a link that are checked: six minutes."""
_SIDES: tuple[Side, ...] = ("down", "up")
_MAY_BREAK = frozenset({Outcome.FAILED})
_NETWORK_BLAMES = frozenset({Blame.NETWORK, Blame.UNKNOWN})
"""``UNKNOWN`` is a side whose own link is fine while the far end's link is not."""


def longest_stall_s(profile: NetworkProfile) -> float:
    """Returns the longest time for which the link carries less than the lowest audio rate, in either direction.

    Takes up to 0.1 s for a link that follows a trace.
    """
    numbers, longest_s = plain_profile(profile), 0.0
    for side in _SIDES:
        for seed in SEEDS if numbers.timeline(side, 1, 0.0) is not None else SEEDS[:1]:
            since_s = 0.0
            for segment in build_schedule(numbers, side, seed=seed).segments:
                rate_kbit = segment.shape.rate_kbit if segment.shape is not None else 0.0
                if rate_kbit is None or rate_kbit >= LOW_VOICE.wire_kbit:
                    since_s = segment.ends_s
                longest_s = max(longest_s, segment.ends_s - since_s)
    return longest_s


def is_unreliable(profile: NetworkProfile, gap_limit_ms: float) -> bool:
    """Returns whether a call on this link may break although nothing is at fault.

    A stall of half the limit is enough: the queue that it leaves makes the silence longer than the stall.
    """
    return longest_stall_s(profile) > gap_limit_ms / 2000.0


def allowed_outcomes(expected: frozenset[Outcome], *, unreliable: bool) -> frozenset[Outcome]:
    """Returns how a leg may end. ``unreliable``: its own link or the far end's link is unreliable."""
    return expected | _MAY_BREAK if unreliable else expected


def is_as_expected(
    expected: frozenset[Outcome], ending: Ending, *, script_completed: bool, findings: bool, unreliable: bool
) -> bool:
    """Returns whether the leg ended as its scenario says and carried out all of the scenario's actions."""
    if findings:
        return False
    if ending.outcome in expected:
        return script_completed or unreliable
    return unreliable and ending.outcome in _MAY_BREAK and ending.blame in _NETWORK_BLAMES
