"""A timer on the loop with microseconds of precision: a Linux timerfd at an absolute monotonic time.

asyncio's and uvloop's own timers count whole milliseconds from a cached clock, so they fire up to 1 ms early or late.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Callable

_ABSOLUTE = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC


class _ITimerSpec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


_libc = ctypes.CDLL(None, use_errno=True)


class Alarm:
    """Calls ``ring`` on the loop at the time set last. Setting it again replaces the time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._fd: int = _libc.timerfd_create(time.CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _ITimerSpec(0, 0, 0, 0)
        self._spec_pointer = ctypes.byref(self._spec)
        loop.add_reader(self._fd, ring)

    def set(self, at_s: float) -> None:
        """Rings at ``at_s`` of CLOCK_MONOTONIC, at once if that has passed; also silences a ring not yet answered."""
        at_ns = max(1, int(at_s * 1e9))
        self._spec.value_s, self._spec.value_ns = divmod(at_ns, 1_000_000_000)
        _libc.timerfd_settime(self._fd, _ABSOLUTE, self._spec_pointer, None)

    def silence(self) -> None:
        """Stops the ring in progress and the one that was set."""
        self._spec.value_s = self._spec.value_ns = 0
        _libc.timerfd_settime(self._fd, 0, self._spec_pointer, None)

    def close(self) -> None:
        """Closes the descriptor. Safe to call twice."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
