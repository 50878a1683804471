"""How a pytest process of the matrix ends: orderly when asked, at once when that takes too long, never as an orphan.

An exception thrown by a signal into the middle of Playwright's event loop would break the very thing that closes the
browser. So a worker's signal only notes the wish and kills the browser: whatever waits for it fails at once, every
context unwinds as it always does, and the next step of the attempt turns the wish into KeyboardInterrupt.
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
"""For a cell to come to its end once its browser is dead: its far end may take 10 s to answer and 4 s to sign a person
out, and link, capture and files come after. The far end's own end comes on top, for as long as it makes progress."""
POLL_S = 0.2


class Killable(Protocol):
    """A browser with everything that it started."""

    def kill(self) -> None:
        """Kills what runs now."""


class StopRequest:
    """Set by a signal, looked at between the steps of an attempt."""

    def __init__(self, clock: Clock | None = None, leave: Callable[[int], object] = os._exit) -> None:
        """``leave`` ends this process at once, with an exit code."""
        self.requested = False
        self._groups: list[Killable] = []
        self._watch = ClosingWatch(clock or SystemClock(), ORDERLY_END_S)
        self._leave = leave

    def check(self) -> None:
        """Raises KeyboardInterrupt once the end was asked for."""
        if self.requested:
            raise KeyboardInterrupt

    def note_progress(self, step: str, left: int, limit_s: float) -> None:
        """Takes in how far the far end is with its end: whoever makes progress is waited for."""
        self._watch.hear(step, left, limit_s)

    @contextlib.contextmanager
    def kills_on_stop(self, group: Killable) -> Iterator[None]:
        """While inside, the wish to end kills ``group``."""
        self._groups.append(group)
        try:
            yield
        finally:
            self._groups.remove(group)

    @contextlib.contextmanager
    def handling_signals(self) -> Iterator[None]:
        """While inside, Ctrl-C, SIGTERM and a closed terminal set the wish."""
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
        # What waits for something else than the browser has limits of its own; together they may exceed what is
        # decent. Our children die with us, and what is left in a control group is the next sweep's.
        threading.Thread(target=self._leave_when_overdue, name="last moment", daemon=True).start()

    def _leave_when_overdue(self) -> None:
        while not self._watch.is_overdue:
            time.sleep(POLL_S)
        self._leave(1)


def interrupt_on(number: signal.Signals) -> None:
    """Makes ``number`` do what Ctrl-C does."""
    signal.signal(number, _interrupt)


def die_with_parent() -> None:
    """Sends this process SIGTERM when the process that started it dies, however that dies."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
