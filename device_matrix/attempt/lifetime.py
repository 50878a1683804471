"""Ends a pytest process of the matrix: orderly when asked, at once when that takes too long, never as an orphan.

A signal handler that raises inside Playwright's event loop would break the code that closes the browser. So the
handler of a worker only records a stop request and kills the browser. Whatever waits for the browser then fails at
once, and every context closes as usual. The attempt's next step raises KeyboardInterrupt.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Protocol

from bedrock.clock import Clock, SystemClock
from bedrock.end_signals import end_signals
from calls.bridge.closing import ClosingWatch

PR_SET_PDEATHSIG = 1
"""prctl(2)."""
ORDERLY_END_S = 30.0
"""The time for a cell to end once its browser is dead. Its far end may take 10 s to answer and 4 s to sign a user out;
then link, capture and files close. The far end's own end comes on top, for as long as it reports progress."""
POLL_S = 0.2


class Killable(Protocol):
    """A browser with everything that it started."""

    def kill(self) -> None:
        """Kills what runs now."""


class StopRequest:
    """A request to stop: set by a signal, checked between the steps of an attempt."""

    def __init__(self, clock: Clock | None = None, leave: Callable[[int], object] = os._exit) -> None:
        """``leave`` ends this process at once, with an exit code."""
        self.requested = False
        self._groups: list[Killable] = []
        self._watch = ClosingWatch(clock or SystemClock(), ORDERLY_END_S)
        self._leave = leave

    def check(self) -> None:
        """Raises KeyboardInterrupt after a stop request."""
        if self.requested:
            raise KeyboardInterrupt

    def note_progress(self, step: str, left: int, limit_s: float) -> None:
        """Records how far the far end has come with its own end. A far end that makes progress is waited for."""
        self._watch.hear(step, left, limit_s)

    @contextlib.contextmanager
    def kills_on_stop(self, group: Killable) -> Iterator[None]:
        """While inside, a stop request kills ``group``."""
        self._groups.append(group)
        try:
            yield
        finally:
            self._groups.remove(group)

    @contextlib.contextmanager
    def handling_signals(self) -> Iterator[None]:
        """While inside, Ctrl-C, SIGTERM and a closed terminal become a stop request."""
        numbers = (signal.SIGINT, *end_signals())
        previous = [(number, signal.signal(number, self._on_signal)) for number in numbers]
        try:
            yield
        finally:
            for number, handler in previous:
                signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            return
        self.requested = True
        self._watch.begin()
        for group in self._groups:
            group.kill()
        # Waits for anything but the browser have their own limits, and their sum may be too long. When we leave, our
        # children die with us; the next sweep removes what is left in a control group.
        threading.Thread(target=self._leave_when_overdue, name="last moment", daemon=True).start()

    def _leave_when_overdue(self) -> None:
        while not self._watch.is_overdue:
            time.sleep(POLL_S)
        self._leave(1)


def interrupt_on(number: signal.Signals) -> None:
    """Makes the signal ``number`` do what Ctrl-C does."""
    signal.signal(number, _interrupt)


def die_with_parent() -> None:
    """Sends this process SIGTERM when the process that started it dies, however that dies."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
