"""A kernel timer at an absolute time: ``timerfd``, which Python itself offers only from 3.13 on.

It stays armed while other events wake the process. A timeout of ``select`` is armed and cancelled at every call, and
the kernel programs the machine's clock anew each time. The timers of asyncio and uvloop count whole milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import struct
import time
from typing import Final

_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE: Final = 1
_NS_PER_S: Final = 1_000_000_000
_LIBC = ctypes.CDLL(None, use_errno=True)
_set_timer: Final = _LIBC.timerfd_settime
_VALUE = struct.Struct("@ll")
_VALUE_OFFSET: Final = _VALUE.size
"""An itimerspec is an interval, which stays 0, and a value."""
_put_value: Final = _VALUE.pack_into


class Timer:
    """``descriptor`` becomes readable at the set time, and stays so until the timer is set again."""

    def __init__(self) -> None:
        self.descriptor: int = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self.descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "timerfd_create")
        self._setting = bytearray(2 * _VALUE.size)
        self._at = (ctypes.c_char * len(self._setting)).from_buffer(self._setting)

    def set(self, at_s: float) -> None:
        """Arms the timer for a monotonic time; a past time is allowed."""
        # A value of 0 would disarm it.
        seconds, ns = divmod(max(1, int(at_s * _NS_PER_S)), _NS_PER_S)
        _put_value(self._setting, _VALUE_OFFSET, seconds, ns)
        _set_timer(self.descriptor, _ABSOLUTE, self._at, None)

    def disarm(self) -> None:
        """Disarms the timer, even when its time has come."""
        _put_value(self._setting, _VALUE_OFFSET, 0, 0)
        _set_timer(self.descriptor, _ABSOLUTE, self._at, None)

    def close(self) -> None:
        """Closes the descriptor. Safe to call twice."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
