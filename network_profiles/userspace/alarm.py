"""A timer that stays set while other things wake us: ``timerfd``, which Python offers from 3.13 on only.

A timeout handed to ``select`` is armed and taken back at every call, and each time the kernel programs the machine's
clock anew: in a virtual machine that costs more than moving a packet does.
"""

from __future__ import annotations

import ctypes
import os

_CLOCK_MONOTONIC = 1
_NONBLOCK, _CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_ABSOLUTE = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_S_PER_NS = 1e-9


class _Setting(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("at_s", ctypes.c_long),
        ("at_ns", ctypes.c_long),
    )


class Alarm:
    """``descriptor`` becomes readable when the moment has come, and stays so until the alarm is set again."""

    def __init__(self) -> None:
        self.descriptor: int = _LIBC.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK | _CLOEXEC)
        if self.descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "timerfd_create")
        self._setting = _Setting()
        self._arguments = (self.descriptor, _ABSOLUTE, ctypes.byref(self._setting), None)
        self._set = _LIBC.timerfd_settime
        self._at_s: float | None = None

    def set(self, at_s: float | None) -> None:
        """Sets it to a moment of the monotonic clock, a past one too; None silences it."""
        if at_s == self._at_s:
            return
        self._at_s = at_s
        setting = self._setting
        whole_s = int(at_s or 0.0)
        setting.at_s = whole_s
        # Nought would silence it.
        setting.at_ns = 0 if at_s is None else max(1, int((at_s - whole_s) / _S_PER_NS))
        self._set(*self._arguments)
