"""Encrypts and decrypts SRTP in place, with libsrtp through pylibsrtp's binding on a shared buffer.

pylibsrtp's ``Session`` copies every packet twice and allocates memory for each. This module uses the session's context,
which the session still owns, with one buffer for all packets of the process.
"""

from __future__ import annotations

from enum import Enum

import pylibsrtp
from pylibsrtp._binding import ffi, lib

_OK: int = lib.srtp_err_status_ok
_protect, _unprotect = lib.srtp_protect, lib.srtp_unprotect


class Refusal(Enum):
    """Why libsrtp rejected the last packet."""

    REPLAYED = "replayed"
    FORGED = "forged"


_REPLAY_STATUSES = frozenset({9, 10})
"""srtp_err_status_replay_fail and srtp_err_status_replay_old."""


class SrtpContext:
    """One direction's keys. Keeps the pylibsrtp session alive, which owns the context."""

    __slots__ = ("_session", "pointer")

    def __init__(self, session: pylibsrtp.Session) -> None:
        self._session = session
        self.pointer = session._srtp[0]


class PacketBuffer:
    """A buffer for in-place work, one packet at a time. Methods return the new length, 0 when rejected."""

    __slots__ = ("_c_data", "_c_length", "data", "refused_status", "view")

    def __init__(self, data: bytearray) -> None:
        self.data = data
        self.view = memoryview(data)
        self._c_data = ffi.from_buffer(data)
        self._c_length = ffi.new("int *")
        self.refused_status = _OK

    def protect(self, context: SrtpContext, length: int) -> int:
        """Encrypts the RTP packet in the first ``length`` bytes."""
        c_length = self._c_length
        c_length[0] = length
        status = _protect(context.pointer, self._c_data, c_length)
        return c_length[0] if status == _OK else self._refuse(status)

    def unprotect(self, context: SrtpContext, length: int) -> int:
        """Authenticates and decrypts an RTP packet."""
        c_length = self._c_length
        c_length[0] = length
        status = _unprotect(context.pointer, self._c_data, c_length)
        return c_length[0] if status == _OK else self._refuse(status)

    def protect_rtcp(self, context: SrtpContext, length: int) -> int:
        """Like ``protect``, for a compound RTCP packet."""
        self._c_length[0] = length
        status = lib.srtp_protect_rtcp(context.pointer, self._c_data, self._c_length)
        return int(self._c_length[0]) if status == _OK else self._refuse(status)

    def unprotect_rtcp(self, context: SrtpContext, length: int) -> int:
        """Like ``unprotect``, for a compound RTCP packet."""
        self._c_length[0] = length
        status = lib.srtp_unprotect_rtcp(context.pointer, self._c_data, self._c_length)
        return int(self._c_length[0]) if status == _OK else self._refuse(status)

    def refusal(self) -> Refusal:
        """Returns why the last call returned 0."""
        return Refusal.REPLAYED if self.refused_status in _REPLAY_STATUSES else Refusal.FORGED

    def _refuse(self, status: int) -> int:
        self.refused_status = status
        return 0
