"""Reads the fixed header of an RTP packet, and computes with its counters, which wrap (RFC 3550).

Only for code off the packet path: the receivers there compute the same inline, because a call costs them time.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_FIXED = struct.Struct("!BBHII")
_VERSION = 2
_RTCP_TYPES = range(192, 224)
"""The second byte of an RTCP packet that shares its port with RTP (RFC 5761)."""


class RtpFields(NamedTuple):
    """The fields of a fixed header that tell packets and streams apart."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int


def read_rtp_fields(data: bytes, offset: int = 0) -> RtpFields | None:
    """Returns the fields of the packet at ``offset``; None for RTCP and for anything else that is not RTP."""
    if len(data) < offset + _FIXED.size:
        return None
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(data, offset)
    if first >> 6 != _VERSION or second in _RTCP_TYPES:
        return None
    return RtpFields(second & 0x7F, sequence, timestamp, ssrc)


def sequence_step(later: int, earlier: int) -> int:
    """Returns by how much a sequence number moved, -32768 to 32767. Either one may be unwrapped already."""
    return (later - earlier + 0x8000) % 0x10000 - 0x8000


def timestamp_step(later: int, earlier: int) -> int:
    """Returns by how many ticks a timestamp moved, -2**31 to 2**31 - 1."""
    return (later - earlier + 0x80000000) % 0x100000000 - 0x80000000


def next_jitter(jitter: float, transit_change: float) -> float:
    """Returns the interarrival jitter after one more packet (RFC 3550, A.8), in the unit of its arguments."""
    return jitter + (abs(transit_change) - jitter) / 16
