"""Open arrivals: calls start when people want to call, not when the last call has ended.

The starts of each worker are a Poisson process of its own. Independent Poisson processes add up to one, so the workers
need not talk to each other. Its rate is not ``calls / holding time``, which would take a whole call length to fill the
first stage, but the rate that makes the *expected* number of calls in progress follow the plan's line at every moment:
the solution of the renewal equation

    n(t) = integral over s <= t of rate(s) * survival(t - s) ds

solved step by step. Where the line falls faster than calls end, the rate is zero until they have.

Each call draws what it is (a scenario) and how patient its caller is when it arrives, from the same seeded source, so
that the same seed wants the same calls at the same moments.
"""

from __future__ import annotations

import collections
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from loadtests.plan.call_mix import CallMix
from loadtests.plan.occupancy import Occupancy

STEP_S = 0.25
"""The rate is constant within a step."""
JUST_BEFORE_NEXT_S = 0.999 * STEP_S


@dataclass(frozen=True, slots=True)
class Arrival:
    """One intended call."""

    at_s: float
    """Seconds after the load began: the moment that every latency of this call is counted from."""
    talk_s: float
    scenario: str = "talk"
    patience_s: float | None = None
    """How long the caller lets it ring; None for as long as it does."""


class LoadLine(Protocol):
    """The wanted load over the seconds since it began."""

    def calls_at(self, at_s: float) -> float:
        """Returns the wanted calls in progress."""

    def scenario_at(self, at_s: float) -> str:
        """Returns what every call of that moment is, empty for the plan's mixture."""


class RateCurve:
    """The arrival rate, step by step, that keeps the expected calls in progress on a line."""

    def __init__(self, calls_at: Callable[[float], float], occupancy: Occupancy) -> None:
        self._calls_at = calls_at
        # Indexed by age at the end of a step: an arrival is, on average, half a step older than the next edge.
        steps = int(occupancy.longest_s() / STEP_S) + 2
        self._survival = [occupancy.survival((age + 0.5) * STEP_S) for age in range(steps)]
        self._scale = occupancy.mean_s() / occupancy.talking_s()
        self._recent: collections.deque[float] = collections.deque(maxlen=steps - 1)
        self._step = 0

    def forget(self) -> None:
        """What was started before now keeps nobody busy any more: calls of another kind, which end at once."""
        self._recent.clear()

    def next_rate(self) -> float:
        """Returns the starts per second of the next step."""
        self._step += 1
        wanted = self._calls_at(self._step * STEP_S) * self._scale
        left = sum(rate * self._survival[age + 1] for age, rate in enumerate(self._recent)) * STEP_S
        rate = max(0.0, (wanted - left) / (self._survival[0] * STEP_S))
        self._recent.appendleft(rate)
        return rate


class Arrivals:
    """The intended calls of one worker, in order, for as long as one asks."""

    def __init__(self, line: LoadLine, occupancy: Occupancy, kinds: CallMix, rng: random.Random) -> None:
        self._line = line
        self._curve = RateCurve(line.calls_at, occupancy)
        self._talk = occupancy.talk
        self._call_mix = kinds
        self._only = ""
        self._rng = rng
        self._steps = 0
        self._patience = rng.expovariate(1.0)
        self._ready: collections.deque[Arrival] = collections.deque()

    def due(self, now_s: float) -> list[Arrival]:
        """Returns the calls whose moment has come by ``now_s`` and that were not returned before."""
        while self._steps * STEP_S <= now_s:
            self._draw_step()
        due = []
        while self._ready and self._ready[0].at_s <= now_s:
            due.append(self._ready.popleft())
        return due

    def next_due_s(self, now_s: float) -> float:
        """Returns when to ask again: the next known arrival, or the end of the steps that are drawn."""
        return self._ready[0].at_s if self._ready else max(now_s, self._steps * STEP_S)

    def _draw_step(self) -> None:
        """Draws one step by time rescaling: an arrival falls where the rate's integral passes an exponential."""
        start_s = self._steps * STEP_S
        # As its level, of the step's end: a step in which a load sets out is no mixture for its first moments.
        only = self._line.scenario_at(start_s + JUST_BEFORE_NEXT_S)
        if only != self._only:
            self._only = only
            self._curve.forget()
        rate = self._curve.next_rate()
        used_s = 0.0
        while rate > 0 and self._patience <= rate * (STEP_S - used_s):
            used_s += self._patience / rate
            self._ready.append(self._arrival(start_s + used_s))
            self._patience = self._rng.expovariate(1.0)
        self._patience -= rate * (STEP_S - used_s)
        self._steps += 1

    def _arrival(self, at_s: float) -> Arrival:
        talk_s = self._talk.draw(self._rng)
        scenario, patience_s = self._call_mix.draw(self._rng)
        return Arrival(at_s, talk_s, self._only or scenario, patience_s)
