"""Time that a test holds in its hand: a ticker, an event loop and a clock that no machine can make late."""

from __future__ import annotations

import asyncio
import heapq
import selectors
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any, TypeVar

from calls.media.ticker import Due, Ticker, Timed

START_S = 1000.0
Result = TypeVar("Result")


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

    jump: Callable[[float], bool]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout is None or timeout <= 0:
            return ready if ready or timeout is not None else super().select(None)
        return ready if self.jump(timeout) else super().select(None)


class HeldLoop(asyncio.SelectorEventLoop):
    """An event loop whose time goes on only when everything waits, and then at once to the next timer.

    Work in threads takes no time: it is waited for before time goes on. Nothing that runs in it may hang on sockets to
    somebody whose time is the machine's.
    """

    def __init__(self) -> None:
        self._held_s = START_S
        self._at_work = 0
        selector = _JumpingSelector()
        selector.jump = self._jump
        super().__init__(selector)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._held_s

    def run_in_executor(self, *given: Any) -> Any:
        self._at_work += 1
        future = super().run_in_executor(*given)
        future.add_done_callback(self._worked)
        return future

    def _worked(self, _future: object) -> None:
        self._at_work -= 1

    def _jump(self, seconds: float) -> bool:
        if self._at_work:
            return False
        self._held_s += seconds
        return True


class LoopClock:
    """The time of the running ``HeldLoop``."""

    unix_at_start_s = 1_800_000_000.0

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    def unix_s(self) -> float:
        return self.unix_at_start_s + self.monotonic_s() - START_S


def run_in_held_time(main: Coroutine[Any, Any, Result]) -> Result:
    """Runs ``main`` in a ``HeldLoop`` of its own."""
    with asyncio.Runner(loop_factory=HeldLoop) as runner:
        return runner.run(main)
