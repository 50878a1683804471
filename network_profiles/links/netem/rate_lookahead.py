"""A trace as settings for queues: for each of its short stretches, the rate that is right for a packet that starts now.

HTB and netem charge a packet for its time on the wire by the rate at its start, once and for all. At 30 kbit/s of a
trace, a full-size packet would so keep the link busy for 400 ms, even if the trace went up to 3 Mbit/s after 100. So
the rate set is not the trace's own but the one at which a full-size packet takes as long as it will, what is still to
come considered, and it is set anew while such a packet is on its way. A gap is no rate at all: the queue is held. A
packet that started before it has left by its start, or the gap would be charged to a packet of any size.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from network_profiles.model.timeline import Moment, Timeline

FULL_SIZE_BYTES = 1400.0
REFRESH_S = 0.02
"""A rate at which a full-size packet takes longer than this is right for as long as this."""
_FARTHEST_S = 30.0
"""How far ahead is looked: HTB itself forgets what is further than a minute away."""
_SHORTEST_S = 1e-5


class Setting(NamedTuple):
    """What to set now, and until when."""

    rate_kbit: float | None
    """None in a gap: nothing leaves the queue; what is in it, and what comes, stays as far as there is room."""
    until_s: float


class Ahead:
    """Follows the timeline of a trace. Times asked for must not go back."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._known: deque[Moment] = deque()

    def setting(self, now_s: float) -> Setting:
        """Returns what to set at ``now_s``."""
        while self._known and self._known[0].until_s <= now_s:
            self._known.popleft()
        current = self._moment(0, now_s)
        if current.shape is None:
            return Setting(None, current.until_s)
        takes_s = max(_SHORTEST_S, self._served_at_s(now_s) - now_s)
        until_s = current.until_s if takes_s <= REFRESH_S else min(current.until_s, now_s + REFRESH_S)
        # In whole bits a second, as tc has it: an equal rate is not set again.
        return Setting(round(FULL_SIZE_BYTES * 8.0 / 1000.0 / takes_s, 3), until_s)

    def _moment(self, index: int, at_s: float) -> Moment:
        """Returns the known stretch of that index, which holds ``at_s``."""
        if index == len(self._known):
            self._known.append(self._timeline.moment(at_s))
        return self._known[index]

    def _served_at_s(self, now_s: float) -> float:
        """Returns when a full-size packet that starts now has been served, at the latest when a gap begins."""
        left, at_s, index = FULL_SIZE_BYTES, now_s, 0
        while at_s < now_s + _FARTHEST_S:
            shape, until_s = self._moment(index, at_s)
            if shape is None:
                break
            bytes_per_s = (shape.rate_kbit or 0.0) * 125.0
            room = bytes_per_s * (until_s - at_s)
            if room >= left:
                return at_s + left / bytes_per_s
            left -= room
            at_s = until_s
            index += 1
        return at_s
