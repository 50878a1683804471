"""When probe pairs call: staggered over one period, so that only one pair is ever between two calls.

Each pair talks for ``talk_s`` and then has ``PAUSE_S`` to hang up, breathe and connect again. With ``n`` pairs the
starts are ``period / n`` apart on the clock that all workers share, and as long as that is more than the pause,
``n - 1`` calls are in progress at every moment: three pairs keep two up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

TALK_S = 17.0
PAUSE_S = 4.0
"""Hang-up, set-up, and the time that the callee lets it ring."""


@dataclass(frozen=True, slots=True)
class ProbeSchedule:
    """The starts of one pair: ``phase / pairs`` of the way into every period."""

    phase: int
    pairs: int
    talk_s: float = TALK_S

    @property
    def period_s(self) -> float:
        """Seconds from one start of this pair to its next."""
        return self.talk_s + PAUSE_S

    def next_start_s(self, now_s: float) -> float:
        """Returns the first start of this pair after ``now_s``, in Unix seconds."""
        offset_s = self.period_s * (self.phase % self.pairs) / self.pairs
        periods = math.floor((now_s - offset_s) / self.period_s) + 1
        return offset_s + periods * self.period_s
