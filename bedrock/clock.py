"""Provides clocks. They are passed in wherever time matters, so that a test can control them."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two views of one clock that never goes backwards."""

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary moment; the same in every process of this machine."""

    def unix_s(self) -> float:
        """Seconds since 1970. Advances with ``monotonic_s`` even when the wall clock is stepped."""


class SystemClock:
    """The machine's monotonic clock, anchored to the wall clock once, at creation."""

    def __init__(self) -> None:
        self._anchor_s = time.time() - time.monotonic()

    # The builtin itself: each packet asks for the time two or three times, and a method around it doubles the cost.
    monotonic_s = staticmethod(time.monotonic)

    def unix_s(self) -> float:
        return self._anchor_s + time.monotonic()
