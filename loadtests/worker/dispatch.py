"""Who places which call: gives the intended calls of one worker to people who are free."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from gevent.event import Event

from bedrock.clock import Clock
from calls.records.record import Tier
from loadtests.arrivals.arrivals import Arrival
from loadtests.errors import EngineLost
from loadtests.people.population import Population
from loadtests.people.presence import CallPair, Presence
from loadtests.wire.live_stats import WorkerStats
from loadtests.wire.run_spec import RunSpec
from loadtests.worker.arrival_source import ArrivalSource
from loadtests.worker.engine_bridge import CallEnd, CallOrder, EngineBridge

TRIES = 3
"""How many other people a start is given to when its caller was rung in the same moment."""


class Dispatch:
    """One worker's, for one run. A start that nobody can take is counted as dropped."""

    def __init__(
        self,
        spec: RunSpec,
        slot: int,
        population: Population,
        tally: WorkerStats,
        living_bridge: Callable[[], EngineBridge],
        clock: Clock,
    ) -> None:
        """``living_bridge`` raises EngineLost when there is none."""
        self.presence = Presence(population, slot)
        self.call_queues: dict[int, Any] = {}
        """Where each signed-in person takes the calls that they are to place from, by index."""
        self._people = population.people
        self._tally = tally
        self._living_bridge = living_bridge
        self._clock = clock
        self._load = ArrivalSource(spec, slot)
        self._rng = random.Random(f"calls {spec.seed} {slot}")
        self._since_s: float | None = None

    def start_clock(self) -> bool:
        """Starts the clock of the load. Returns whether it was not running before."""
        if self._since_s is not None:
            return False
        self._since_s = self._clock.unix_s()
        return True

    def set_level(self, level: dict[str, Any]) -> None:
        """Moves the load to another level, as the master says."""
        if self._since_s is not None:
            self._load.set_level(self._clock.unix_s() - self._since_s, level)

    def run_arrivals(self, ending: Event) -> None:
        """Gives out every call at its moment, until ``ending`` is set."""
        since_s = self._since_s or self._clock.unix_s()
        while not ending.is_set():
            for arrival in self._load.due(self._clock.unix_s() - since_s):
                self._tally.starts_planned += 1
                self._intend(since_s + arrival.at_s, arrival, 0)
            elapsed_s = self._clock.unix_s() - since_s
            ending.wait(max(0.0, self._load.next_due_s(elapsed_s) - elapsed_s))

    def place(self, order: CallOrder) -> None:
        """Hands a call to the engine and returns; its end is counted when it comes."""
        pair = CallPair(order.caller.index, order.callee.index)

        def on_over(end: CallEnd) -> None:
            self.presence.mark_free(pair, self._clock.monotonic_s())
            if end is CallEnd.NOT_PLACED and order.tries < TRIES:
                self._intend(order.intended_at_s, order.arrival, order.tries + 1)
            elif end in (CallEnd.NOT_PLACED, CallEnd.REFUSED):
                self._tally.starts_dropped += 1

        try:
            self._living_bridge().place_call(order, on_over)
        except EngineLost:
            on_over(CallEnd.REFUSED)

    def _intend(self, at_s: float, arrival: Arrival, tries: int) -> None:
        now_s = self._clock.monotonic_s()
        pair = self.presence.pick(self._rng, now_s, arrival.scenario)
        try:
            self._living_bridge()
        except EngineLost:
            pair = None
        if pair is None:
            self._tally.starts_dropped += 1
            return
        self.presence.mark_busy(pair, now_s, arrival.talk_s)
        caller, callee = self._people[pair.caller], self._people[pair.callee]
        self.call_queues[pair.caller].put(CallOrder(caller, callee, at_s, arrival, Tier.PACKETS, tries))
