"""Time that a test holds in its hand: a ticker, an event loop and a clock that no machine can make late.

A test that is marked ``held_time`` runs in a ``HeldLoop``, with its fixtures.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import selectors
import socket
from collections.abc import Callable
from itertools import count
from typing import Any

from bedrock.clock import Clock, SystemClock
from calls.media.timing.alarm import Alarm, MakeAlarm, Ring
from calls.media.timing.ticker import Due, Ticker, Timed

START_S = 1000.0


class HeldTicker(Ticker):
    """Calls what is due only while the test lets its time go on."""

    def __init__(self) -> None:
        self.time_s = START_S
        self._due: list[tuple[float, int, Due]] = []
        self._order = count()

    def now_s(self) -> float:  # type: ignore[override]
        return self.time_s

    def call_at(self, at_s: float, due: Due) -> None:
        heapq.heappush(self._due, (at_s, next(self._order), due))

    def wake_at(self, at_s: float, sleeper: Timed) -> None:
        self.call_at(at_s, sleeper.due)

    def advance_to(self, time_s: float) -> None:
        """Calls what is due up to ``time_s``, each at its own moment."""
        while self._due and self._due[0][0] <= time_s:
            self.time_s, _, due = heapq.heappop(self._due)
            due(self.time_s)
        self.time_s = time_s

    def run_out(self) -> None:
        """Lets time go on until nothing is due any more."""
        while self._due:
            self.advance_to(self._due[0][0])


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Never sleeps: where a selector would, the loop's time jumps to the next timer instead."""

    def __init__(
        self, has_work: Callable[[], bool], may_jump: Callable[[], bool], jump: Callable[[float], None]
    ) -> None:
        super().__init__()
        self._has_work = has_work
        self._may_jump = may_jump
        self._jump = jump
        self._last = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._last.bind(("127.0.0.1", 0))
        self._last.connect(self._last.getsockname())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or self._has_work():
            return ready
        if timeout is None or not self._may_jump():
            return super().select(None)
        self._let_everything_arrive()
        if not (ready := super().select(0)):
            self._jump(timeout)
        return ready

    def close(self) -> None:
        self._last.close()
        super().close()

    def _let_everything_arrive(self) -> None:
        """What was sent over loopback may still wait in the kernel's queue of this core, which is first in, first out:
        once a datagram of our own has come, everything before it has."""
        self._last.send(b"last")
        self._last.recv(8)


class HeldLoop(asyncio.SelectorEventLoop):
    """An event loop whose time goes on only when everything waits, and then at once to the next timer.

    Work in threads takes no time: it is waited for before time goes on. Nothing that runs in it may hang on sockets to
    somebody whose time is the machine's.
    """

    def __init__(self) -> None:
        self._held_s = START_S
        self._at_work = 0
        # One core, one queue of the kernel for all that is sent.
        self._cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {sorted(self._cores)[os.getpid() % len(self._cores)]})
        super().__init__(_JumpingSelector(self._has_work, lambda: not self._at_work, self._jump))
        self._clock_resolution = 0.0  # no timer runs before its moment

    def close(self) -> None:
        if not self.is_closed():
            os.sched_setaffinity(0, self._cores)
        super().close()

    def time(self) -> float:
        return self._held_s

    def run_in_executor(self, *given: Any) -> Any:
        return self.wait_for(super().run_in_executor(*given))

    def wait_for(self, work: asyncio.Future[Any]) -> asyncio.Future[Any]:
        """Lets no time go on before ``work``, which a thread does, is done; returns it."""
        self._at_work += 1
        work.add_done_callback(self._worked)
        return work

    def _worked(self, _future: object) -> None:
        self._at_work -= 1

    def stall(self, seconds: float) -> None:
        """What work that blocks the loop for so long does to it: nothing runs, and the time is gone."""
        self._held_s += seconds

    def _has_work(self) -> bool:
        return bool(self._ready) or self._stopping

    def _jump(self, seconds: float) -> None:
        # A nanosecond past the timer: the ticker counts milliseconds and must find its deadline passed. Otherwise it
        # would set the same time again, and held time would stand still forever.
        self._held_s += seconds + 1e-9


class HeldAlarm(Alarm):
    """Rings by the time of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Ring) -> None:
        self._loop = loop
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at_s: float) -> None:
        self.silence()
        self._timer = self._loop.call_at(at_s, self._ring)

    def silence(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        self.silence()


class LoopClock:
    """The time of a ``HeldLoop``."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.monotonic_s = loop.time

    def unix_s(self) -> float:
        return 1_800_000_000.0 + self.monotonic_s()


def time_of(loop: asyncio.AbstractEventLoop) -> tuple[Clock, MakeAlarm]:
    """Returns what to hand in where time matters: the loop's own, or the machine's."""
    return (LoopClock(loop), HeldAlarm) if isinstance(loop, HeldLoop) else (SystemClock(), Alarm)
