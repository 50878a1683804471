"""Whether a leg did what its scenario says, on the link that it had.

Most links carry every scenario. Some cannot be counted on: they stand still, or carry less than the lowest audio, for
longer than a call may be silent. There a call may break, which is the network's doing and no surprise, and the record's
``expected_outcome`` says so. Findings against the service are a surprise on any link.
"""

from __future__ import annotations

from calls.call.state_machine import Ending
from calls.records.record import Blame, Outcome
from network_profiles.catalogue.feasibility import LOW_VOICE
from network_profiles.model.plain_profile import Side, plain_profile
from network_profiles.model.profile import NetworkProfile
from network_profiles.model.schedule import build_schedule

SEEDS = (1, 2, 3)
"""So many courses of a link that goes by chance are looked at: six minutes."""
_SIDES: tuple[Side, ...] = ("down", "up")
_MAY_BREAK = frozenset({Outcome.FAILED})
_LINKS_DOING = frozenset({Blame.NETWORK, Blame.UNKNOWN})
"""Unknown is a side whose own link is fine, in a call with one whose link is not."""


def longest_standstill_s(profile: NetworkProfile) -> float:
    """Returns the longest time for which the link carries less than the lowest audio, either way.

    Takes up to a tenth of a second for a link that follows a trace.
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


def is_rough(profile: NetworkProfile, gap_limit_ms: float) -> bool:
    """Whether a call on this link may break through no fault of anybody's.

    A standstill of half the limit is enough: what waited meanwhile makes the silence longer than the standstill.
    """
    return longest_standstill_s(profile) > gap_limit_ms / 2000.0


def outcomes_on(expected: frozenset[Outcome], *, rough: bool) -> frozenset[Outcome]:
    """Returns how a leg may end; ``rough``: its own link or the far end's cannot be counted on."""
    return expected | _MAY_BREAK if rough else expected


def is_as_expected(
    expected: frozenset[Outcome], ending: Ending, *, did_its_part: bool, findings: bool, rough: bool
) -> bool:
    """Returns whether it ended as its scenario says, with all done that the scenario has it do."""
    if findings:
        return False
    if ending.outcome in expected:
        return did_its_part or rough
    return rough and ending.outcome in _MAY_BREAK and ending.blame in _LINKS_DOING
