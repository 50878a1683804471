"""Calls functions at absolute deadlines, for a whole process from one timer wheel with 1 ms ticks.

The wheel is a dict of ticks, with a heap of the ticks that are not empty. Adding costs a list append, because under
load many deadlines share a tick. It never polls: it sleeps until the next tick that is not empty. Deadlines are rounded
up to a whole tick, so nothing runs early. Every deadline is absolute, so lateness does not add up. After a stall the
missed deadlines run at once and are recorded as late.
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
"""After this time the loop gets a turn, so that a backlog never starves the sockets."""

Due = Callable[[float], None]
"""Called with its scheduled deadline in monotonic seconds."""


class Timed:
    """An object with deadlines. A class, because compiled code calls the method of its own base class without a
    lookup.
    """

    def due(self, at_s: float) -> None:
        """The scheduled deadline ``at_s``, in monotonic seconds, has come."""
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
        """Exceptions that callbacks raised. Each is logged; none reaches the loop."""

    def call_at(self, at_s: float, due: Due) -> None:
        """Calls ``due(at_s)`` at the first tick not before ``at_s``. It cannot be cancelled: ``due`` must check by
        itself.
        """
        self.wake_at(at_s, _Call(due))

    def wake_at(self, at_s: float, sleeper: Timed) -> None:
        """Like ``call_at``, for an object with repeated deadlines: calls ``sleeper.due(at_s)``."""
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
        """Drops everything that waits. Safe to call twice."""
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
