"""A trace as settings for queues: for each of its short stretches, the rate that is right for a packet that starts now.

HTB and netem charge a packet for its time on the wire by the rate at its start, once and for all. At 30 kbit/s of a
trace, a full-size packet would so keep the link busy for 400 ms, even if the trace went up to 3 Mbit/s after 100. So
the rate set for a stretch is not the trace's own but the one at which a full-size packet takes as long as it will, all
that is still to come considered. In a gap that is a very low one, and the link is held besides: what little HTB lets
through waits behind it for the gap's end.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from network_profiles.shape import PlainShape
from network_profiles.timeline import Moment, Timeline

FULL_SIZE_BYTES = 1400.0
_FARTHEST_S = 30.0
"""How far ahead is looked: HTB itself forgets what is further than a minute away."""


class Setting(NamedTuple):
    """What to set now, and until when."""

    shape: PlainShape
    held: bool
    """Nothing comes out; what waits, and what comes, stays in the queue as far as that goes."""
    until_s: float


class Ahead:
    """Follows the timeline of a trace. Times asked for must not go back."""

    def __init__(self, timeline: Timeline, shape: PlainShape) -> None:
        self._timeline = timeline
        self._shape = shape
        self._queue_bits = shape.queue_ms * (shape.rate_kbit or 0.0)
        self._known: deque[Moment] = deque()

    def setting(self, now_s: float) -> Setting:
        """Returns what to set at ``now_s``."""
        while self._known and self._known[0].until_s <= now_s:
            self._known.popleft()
        lasts_s = max(1e-6, self._served_at_s(now_s) - now_s)
        current = self._known[0]
        rate_kbit = FULL_SIZE_BYTES * 8.0 / 1000.0 / lasts_s
        shape = (current.shape or self._shape)._replace(rate_kbit=rate_kbit, queue_ms=self._queue_bits / rate_kbit)
        return Setting(shape, current.shape is None, current.until_s)

    def _served_at_s(self, now_s: float) -> float:
        """Returns when a full-size packet that starts now has been served."""
        left, at_s, index = FULL_SIZE_BYTES, now_s, 0
        while at_s < now_s + _FARTHEST_S:
            if index == len(self._known):
                self._known.append(self._timeline.moment(at_s))
            moment = self._known[index]
            bytes_per_s = 0.0 if moment.shape is None else (moment.shape.rate_kbit or 0.0) * 125.0
            room = bytes_per_s * (moment.until_s - at_s)
            if room >= left:
                return at_s + left / bytes_per_s
            left -= room
            at_s = moment.until_s
            index += 1
        return at_s
