"""UDP sockets whose arrivals the kernel stamps, on the monotonic clock.

A late read by the process does not change a stamp. Only the standard library is imported.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import Any

HEADERS_BYTES = 28
"""IPv4 and UDP."""
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
_LARGEST_PAYLOAD_BYTES = 2048
_TIMESPEC, _NUMBER = struct.Struct("qq"), struct.Struct("!I")


def open_udp(address: str) -> socket.socket:
    """Returns a UDP socket on a free port of ``address`` in the current network namespace."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    with contextlib.suppress(OSError):
        udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)
    udp.bind((address, 0))
    return udp


def numbered_payload(number: int, packet_bytes: int) -> bytes:
    """Returns a payload that carries ``number`` and makes an IP packet of ``packet_bytes``."""
    return _NUMBER.pack(number).ljust(packet_bytes - HEADERS_BYTES, b"\0")


def wall_to_monotonic_s() -> float:
    """Returns what to add to a kernel stamp for the monotonic time. Ask once per batch of reads."""
    return time.monotonic() - time.time()


def receive(udp: socket.socket, offset_s: float) -> tuple[int, float, Any]:
    """Returns number, monotonic arrival and sender of the next packet. Raises BlockingIOError when none waits."""
    payload, ancillary, _, sender = udp.recvmsg(_LARGEST_PAYLOAD_BYTES, 64, socket.MSG_DONTWAIT)
    seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
    return _NUMBER.unpack_from(payload)[0], seconds + nanoseconds / 1e9 + offset_s, sender
