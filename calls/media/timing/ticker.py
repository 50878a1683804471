"""Calls functions at absolute deadlines, all of a process from one 1 ms wheel.

The wheel is a dict of ticks with a heap of the ticks that hold anything: adding costs a list append, since at load
every tick is shared by many. It never polls: with nothing due it sleeps until the next tick that holds something.
Deadlines are rounded up to a whole tick, so nothing runs early, and every deadline is absolute, so lateness never adds
up: after a stall the missed deadlines are worked off at once and show as late.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
from collections.abc import Callable

from bedrock.clock import Clock
from calls.media.timing.alarm import Alarm, MakeAlarm

logger = logging.getLogger(__name__)

_ROUNDING = 1e-4
_LONGEST_RUN_S = 0.02
"""After so long the loop gets a turn, so that a backlog never starves the sockets."""

Due = Callable[[float], None]
"""Called with the deadline that it was scheduled for, in monotonic seconds."""


class Timed:
    """Something with deadlines: compiled code reaches ``due`` of a subclass without a look-up or a bound method."""

    def due(self, at_s: float) -> None:
        """The moment has come that it was scheduled for, in monotonic seconds."""
        raise NotImplementedError


class _Call(Timed):
    """A function that is called once."""

    def __init__(self, due: Due) -> None:
        self._due = due

    def due(self, at_s: float) -> None:
        self._due(at_s)


class Ticker:
    """One per process. ``call_at`` may be called from within a callback, also for a time that has passed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, make_alarm: MakeAlarm = Alarm) -> None:
        self.now_s = clock.monotonic_s
        self._alarm = make_alarm(loop, self._run)
        self._armed_tick = 0
        self._wheel: dict[int, list[tuple[Timed, float]]] = {}
        self._ticks: list[int] = []
        self._running = False
        self._closed = False
        self.callback_errors = 0
        """Exceptions that callbacks raised: each is logged, none reaches the loop."""

    def call_at(self, at_s: float, due: Due) -> None:
        """Calls ``due(at_s)`` at the first tick not before ``at_s``. No cancel: ``due`` checks whether it is moot."""
        self.wake_at(at_s, _Call(due))

    def wake_at(self, at_s: float, sleeper: Timed) -> None:
        """As ``call_at``, for what has deadlines all the time: calls ``sleeper.due(at_s)``."""
        tick = math.ceil(at_s * 1000.0 - _ROUNDING)
        slot = self._wheel.get(tick)
        if slot is not None:
            slot.append((sleeper, at_s))
        elif not self._closed:
            self._wheel[tick] = [(sleeper, at_s)]
            heapq.heappush(self._ticks, tick)
            if not self._running and (not self._armed_tick or tick < self._armed_tick):
                self._arm(tick)

    def pending(self) -> int:
        """Returns how many callbacks wait."""
        return sum(map(len, self._wheel.values()))

    def close(self) -> None:
        """Forgets everything that waits. Safe to call twice."""
        self._closed = True
        self._alarm.close()
        self._wheel.clear()
        self._ticks.clear()

    def _arm(self, tick: int) -> None:
        self._armed_tick = tick
        self._alarm.set(tick * 0.001)

    def _run(self) -> None:
        self._running = True
        ticks, wheel, now_s = self._ticks, self._wheel, self.now_s
        give_up_s = now_s() + _LONGEST_RUN_S
        while ticks and ticks[0] <= (now := now_s()) * 1000.0 and now < give_up_s:
            for sleeper, at_s in wheel.pop(heapq.heappop(ticks)):
                try:
                    sleeper.due(at_s)
                except Exception:
                    self.callback_errors += 1
                    logger.exception("a callback of the ticker failed")
        self._running = False
        if self._closed:
            return
        if ticks:
            self._arm(ticks[0])
        else:
            self._armed_tick = 0
            self._alarm.silence()
