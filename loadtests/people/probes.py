"""When probe pairs call: staggered over one period, so that only one pair is ever between two calls.

Each pair talks for ``talk_s`` and then has ``PAUSE_S`` to hang up, breathe and connect again. With ``n`` pairs the
starts are ``period / n`` apart on the clock that all workers share, and as long as that is more than the pause,
``n - 1`` calls are in progress at every moment: three pairs keep two up. A pair that signs in halfway through its
turn takes what is left of it, so that probes are up from the first seconds of a run and even a short one has some.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

TALK_S = 17.0
PAUSE_S = 4.0
"""Hang-up, set-up, and the time that the callee lets it ring."""
SHORTEST_TALK_S = 5.0
"""One window of the quality model: less talk than that scores nothing."""


@dataclass(frozen=True, slots=True)
class ProbeTurn:
    """One call of a pair: when it is to start, in Unix seconds, and how long it is to talk."""

    start_s: float
    talk_s: float


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

    def first_turn(self, now_s: float) -> ProbeTurn:
        """Returns what is left of the turn under way, or the next one when too little is left to be worth a call."""
        next_start_s = self.next_start_s(now_s)
        left_s = next_start_s - PAUSE_S - now_s
        if left_s >= SHORTEST_TALK_S:
            return ProbeTurn(now_s, left_s)
        return ProbeTurn(next_start_s, self.talk_s)

    def next_turn(self, now_s: float) -> ProbeTurn:
        """Returns the next whole turn: a pair whose call failed waits for it, and never calls in a tight loop."""
        return ProbeTurn(self.next_start_s(now_s), self.talk_s)

    def next_start_s(self, now_s: float) -> float:
        """Returns the first start of this pair after ``now_s``, in Unix seconds."""
        offset_s = self.period_s * (self.phase % self.pairs) / self.pairs
        periods = math.floor((now_s - offset_s) / self.period_s) + 1
        return offset_s + periods * self.period_s
