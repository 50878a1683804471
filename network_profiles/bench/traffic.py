"""Sends a video call's packets over many links at once: ``python -m network_profiles.bench.traffic``.

It reads one JSON line: ``{"links": [[pid, host address, device address], …], "lasts_s": …, "settle_s": …}``. It sends
in both directions of every link, waits for the last packets, at most ``settle_s``, and prints one JSON line. For each
link and direction, ``down`` before ``up``, that line has ``{"sent": [[at_s, bytes], …], "received": [[number, at_s],
…]}``. Times are CLOCK_MONOTONIC. The kernel stamps arrivals, so this process may read them late.
"""

from __future__ import annotations

import contextlib
import ctypes
import heapq
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from bedrock import crash

FRAMES_PER_S, FRAME_PACKETS, VIDEO_BYTES = 30.0, 2, 1092
"""VP8 at 500 kbit/s and 640x360, what WebRTC's simulcast table aims at there: the better video call that
``feasibility`` weighs. A frame's packets leave at once, as Chromium's pacer lets them (its burst is
40 ms)."""
AUDIO_PACKETS_PER_S, AUDIO_BYTES = 50.0, 110
"""Opus at 24 kbit/s, a frame of 20 ms a packet, with 50 bytes of IP, UDP and SRTP."""

_HEADERS_BYTES = 28
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
_CLONE_NEWNET = 0x40000000
_TIMESPEC, _NUMBER = struct.Struct("qq"), struct.Struct("!I")
_READ_EVERY_S = 0.2
_LOOK_EVERY_S = 0.02
_LIBC = ctypes.CDLL(None, use_errno=True)


class TrafficDirection(NamedTuple):
    """One direction of one link."""

    sender: socket.socket
    receiver: socket.socket
    sent: list[tuple[float, int]]
    received: list[tuple[int, float]]


def main() -> int:
    """Sends, receives, reports."""
    command = json.loads(sys.stdin.readline())
    directions = [
        direction for pid, host, device in command["links"] for direction in _both_directions(pid, host, device)
    ]
    _send(directions, command["lasts_s"])
    ends_at_s = time.monotonic() + command["settle_s"]
    # The links lose none: when all have come, there is nothing left to wait for.
    while time.monotonic() < ends_at_s and any(
        len(direction.received) < len(direction.sent) for direction in directions
    ):
        time.sleep(_LOOK_EVERY_S)
        _read_all(directions)
    print(
        json.dumps([{"sent": direction.sent, "received": direction.received} for direction in directions]), flush=True
    )
    return 0


def _send(directions: list[TrafficDirection], lasts_s: float) -> None:
    starts_at_s = time.monotonic() + 0.1
    # Streams start spread over their interval: calls do not tick together.
    turns = [
        (starts_at_s + (number + offset) / len(directions) / times_per_s, 1.0 / times_per_s, count, size, direction)
        for number, direction in enumerate(directions)
        for offset, times_per_s, count, size in (
            (0.0, FRAMES_PER_S, FRAME_PACKETS, VIDEO_BYTES),
            (0.5, AUDIO_PACKETS_PER_S, 1, AUDIO_BYTES),
        )
    ]
    due = [(turn[0], place) for place, turn in enumerate(turns)]
    heapq.heapify(due)
    reads_at_s = starts_at_s
    while due[0][0] < starts_at_s + lasts_s:
        at_s, place = due[0]
        wait_s = at_s - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        _, interval_s, count, size, direction = turns[place]
        heapq.heapreplace(due, (at_s + interval_s, place))
        for _ in range(count):
            payload = _NUMBER.pack(len(direction.sent)).ljust(size - _HEADERS_BYTES, b"\0")
            sent_at_s = time.monotonic()
            direction.sender.send(payload)
            direction.sent.append((sent_at_s, size))
        if sent_at_s > reads_at_s:
            _read_all(directions)
            reads_at_s = sent_at_s + _READ_EVERY_S


def _read_all(directions: list[TrafficDirection]) -> None:
    offset_s = time.monotonic() - time.time()
    for direction in directions:
        with contextlib.suppress(BlockingIOError):
            while True:
                payload, ancillary, _, _ = direction.receiver.recvmsg(2048, 64, socket.MSG_DONTWAIT)
                seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
                direction.received.append((_NUMBER.unpack_from(payload)[0], seconds + nanoseconds / 1e9 + offset_s))


def _both_directions(pid: int, host_address: str, device_address: str) -> tuple[TrafficDirection, TrafficDirection]:
    host = _socket(host_address)
    with _inside(pid):
        device = _socket(device_address)
    host.connect(device.getsockname())
    device.connect(host.getsockname())
    return TrafficDirection(host, device, [], []), TrafficDirection(device, host, [], [])


def _socket(address: str) -> socket.socket:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    with contextlib.suppress(OSError):
        udp.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)
    udp.bind((address, 0))
    return udp


@contextlib.contextmanager
def _inside(pid: int) -> Iterator[None]:
    """A socket belongs to the network namespace that it was made in, for good."""
    ours = os.open("/proc/self/ns/net", os.O_RDONLY)
    theirs = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        _enter(theirs)
        yield
    finally:
        _enter(ours)
        os.close(theirs)
        os.close(ours)


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "setns")


def read_report(text: bytes) -> list[dict[str, Any]]:
    """Returns what the process printed."""
    return list(json.loads(text))


if __name__ == "__main__":
    with crash.told("network_profiles.bench.traffic"):
        sys.exit(main())
