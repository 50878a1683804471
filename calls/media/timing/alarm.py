"""Provides a loop timer with microsecond precision: those of asyncio and uvloop fire up to 1 ms early or late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from network_profiles.links.timer import Timer

Ring = Callable[[], None]


class Alarm:
    """Calls ``ring`` on the loop at the time set last. Setting it again replaces the time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Ring) -> None:
        self._loop = loop
        self._timer = Timer()
        loop.add_reader(self._timer.descriptor, ring)

    def set(self, at_s: float) -> None:
        """Rings at ``at_s`` of CLOCK_MONOTONIC, at once if that has passed. Also clears a ring that was not handled
        yet.
        """
        self._timer.set(at_s)

    def silence(self) -> None:
        """Clears the ring in progress and the one that was set."""
        self._timer.disarm()

    def close(self) -> None:
        """Closes the descriptor. Safe to call twice."""
        if self._timer.descriptor >= 0:
            self._loop.remove_reader(self._timer.descriptor)
            self._timer.close()


MakeAlarm = Callable[[asyncio.AbstractEventLoop, Ring], Alarm]
"""Passed in with the clock: a test that controls the time must control the alarm as well."""
