"""Ends a run on SIGINT, SIGTERM or SIGHUP: once, in order, and not again while it ends."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from bedrock.end_signals import end_signals


def handle_end_signals() -> None:
    """Has SIGTERM, and SIGHUP unless nohup(1) has it ignored, do what Ctrl-C does."""
    for number in end_signals():
        signal.signal(number, interrupt_once)


def interrupt_once(_number: int, _frame: FrameType | None) -> None:
    """Interrupts the run as Ctrl-C does, once: a closed terminal and timeout(1) both send more than one signal."""
    for number in end_signals():
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextlib.contextmanager
def ignore_end_signals() -> Iterator[None]:
    """Ignores a second Ctrl-C or SIGTERM while a run ends: the end of a run is bounded in time by itself."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
