"""Turns a trace into queue settings: at each time, the rate that is right for a full-size packet that starts now.

HTB and netem compute a packet's time on the wire from the rate at its start, and never correct it. At 30 kbit/s, a
full-size packet would keep the link busy for about 400 ms, even if the trace rose to 3 Mbit/s after 100 ms. So the
rate set here is not the trace's own. It is the rate at which a full-size packet takes as long as the coming trace lets
it take, and it is set anew while such a packet is on its way.

A gap has no rate: the queue is held. A packet that started before a gap leaves by the gap's start; otherwise a packet
of any size would be charged for the whole gap.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from network_profiles.model.timeline import Timeline, TimelineState

FULL_SIZE_BYTES = 1400.0
REFRESH_S = 0.02
"""When a full-size packet takes longer than this, the rate is computed anew after this time."""
_MAX_LOOKAHEAD_S = 30.0
"""HTB itself forgets what is more than a minute away."""
_MIN_DURATION_S = 1e-5


class RateSetting(NamedTuple):
    """What to set now, and until which time."""

    rate_kbit: float | None
    """None in a gap: nothing leaves the queue. Packets wait in it as long as it has room."""
    until_s: float


class RateLookahead:
    """Looks ahead along the timeline of a trace. Query times must never decrease."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._upcoming: deque[TimelineState] = deque()

    def setting_at(self, now_s: float) -> RateSetting:
        """Returns the setting for ``now_s``."""
        while self._upcoming and self._upcoming[0].until_s <= now_s:
            self._upcoming.popleft()
        current = self._moment(0, now_s)
        if current.shape is None:
            return RateSetting(None, current.until_s)
        takes_s = max(_MIN_DURATION_S, self._served_at_s(now_s) - now_s)
        until_s = current.until_s if takes_s <= REFRESH_S else min(current.until_s, now_s + REFRESH_S)
        # In whole bit/s, as tc takes it, so that an equal rate is not set again.
        return RateSetting(round(FULL_SIZE_BYTES * 8.0 / 1000.0 / takes_s, 3), until_s)

    def _moment(self, index: int, at_s: float) -> TimelineState:
        """Returns the upcoming state of that index, which covers ``at_s``."""
        if index == len(self._upcoming):
            self._upcoming.append(self._timeline.state_at(at_s))
        return self._upcoming[index]

    def _served_at_s(self, now_s: float) -> float:
        """Returns when a full-size packet that starts now has been sent, at the latest when a gap begins."""
        left_bytes, at_s, index = FULL_SIZE_BYTES, now_s, 0
        while at_s < now_s + _MAX_LOOKAHEAD_S:
            shape, until_s = self._moment(index, at_s)
            if shape is None:
                break
            bytes_per_s = (shape.rate_kbit or 0.0) * 125.0
            deliverable_bytes = bytes_per_s * (until_s - at_s)
            if deliverable_bytes >= left_bytes:
                return at_s + left_bytes / bytes_per_s
            left_bytes -= deliverable_bytes
            at_s = until_s
            index += 1
        return at_s
