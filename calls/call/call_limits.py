"""Defines the time limits of a call, and adapts them to a slow link."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Time limits of the parts of a call in seconds, and the longest silence in ms that does not fail a call."""

    setup_s: float
    ring_s: float
    gap_ms: float
    confirm_s: float = 10.0
    reply_s: float = 10.0
    call_s: float = 7200.0


TWO_RETRANSMISSIONS_RTTS = 8.0
"""A message that TCP loses twice arrives about seven round trips late: timeouts of two and of four round trips, then
the way itself. RFC 6298, section 2: the timeout is two to three round trips and doubles."""


def limits_for_rtt(limits: CallLimits, rtt_s: float) -> CallLimits:
    """Returns ``limits`` extended for a person with this round trip to the service. A slow link is not a slow
    service.
    """
    late_s = TWO_RETRANSMISSIONS_RTTS * rtt_s
    return replace(limits, confirm_s=limits.confirm_s + late_s, reply_s=limits.reply_s + late_s)
