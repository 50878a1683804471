"""Sends a video call's packets over many links at once: ``python -m network_profiles.bench.traffic``.

It reads one JSON line: ``{"links": [[pid, host address, device address], …], "lasts_s": …, "settle_s": …}``. It sends
in both directions of every link, waits for the last packets, at most ``settle_s``, and prints one JSON line. For each
link and direction, ``down`` before ``up``, that line has ``{"sent": [[at_s, bytes], …], "received": [[number, at_s],
…]}``. Times are CLOCK_MONOTONIC. The kernel stamps arrivals, so this process may read them late.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from bedrock import crash
from network_profiles.links.interfaces import enter_network_namespace
from network_profiles.links.timestamped_udp import numbered_payload, open_udp, receive, wall_to_monotonic_s

FRAMES_PER_S, FRAME_PACKETS, VIDEO_BYTES = 30.0, 2, 1092
"""VP8 at 500 kbit/s and 640x360, the target of WebRTC's simulcast table: ``GOOD_VIDEO`` of ``feasibility``. A frame's
packets leave together, as with Chromium's pacer (its burst is 40 ms)."""
AUDIO_PACKETS_PER_S, AUDIO_BYTES = 50.0, 110
"""Opus at 24 kbit/s, one frame of 20 ms per packet, with 50 bytes of IP, UDP, RTP and SRTP headers."""

_READ_EVERY_S = 0.2
_POLL_S = 0.02


class TrafficDirection(NamedTuple):
    """One direction of one link."""

    sender: socket.socket
    receiver: socket.socket
    sent: list[tuple[float, int]]
    received: list[tuple[int, float]]


def main() -> int:
    """Sends, receives and prints the report."""
    command = json.loads(sys.stdin.readline())
    directions = [
        direction for pid, host, device in command["links"] for direction in _both_directions(pid, host, device)
    ]
    _send(directions, command["lasts_s"])
    ends_at_s = time.monotonic() + command["settle_s"]
    # The links lose no packet, so stop waiting when all have arrived.
    while time.monotonic() < ends_at_s and any(
        len(direction.received) < len(direction.sent) for direction in directions
    ):
        time.sleep(_POLL_S)
        _read_all(directions)
    print(
        json.dumps([{"sent": direction.sent, "received": direction.received} for direction in directions]), flush=True
    )
    return 0


def _send(directions: list[TrafficDirection], lasts_s: float) -> None:
    starts_at_s = time.monotonic() + 0.1
    # Streams start spread over their interval, because calls are not synchronised.
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
            payload = numbered_payload(len(direction.sent), size)
            sent_at_s = time.monotonic()
            direction.sender.send(payload)
            direction.sent.append((sent_at_s, size))
        if sent_at_s > reads_at_s:
            _read_all(directions)
            reads_at_s = sent_at_s + _READ_EVERY_S


def _read_all(directions: list[TrafficDirection]) -> None:
    offset_s = wall_to_monotonic_s()
    for direction in directions:
        with contextlib.suppress(BlockingIOError):
            while True:
                number, at_s, _ = receive(direction.receiver, offset_s)
                direction.received.append((number, at_s))


def _both_directions(pid: int, host_address: str, device_address: str) -> tuple[TrafficDirection, TrafficDirection]:
    host = open_udp(host_address)
    with _inside(pid):
        device = open_udp(device_address)
    host.connect(device.getsockname())
    device.connect(host.getsockname())
    return TrafficDirection(host, device, [], []), TrafficDirection(device, host, [], [])


@contextlib.contextmanager
def _inside(pid: int) -> Iterator[None]:
    """Enters the network namespace of ``pid`` for the block. A socket stays in the namespace where it was made."""
    ours = os.open("/proc/self/ns/net", os.O_RDONLY)
    theirs = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        enter_network_namespace(theirs)
        yield
    finally:
        enter_network_namespace(ours)
        os.close(theirs)
        os.close(ours)


def read_report(text: bytes) -> list[dict[str, Any]]:
    """Returns the report that the process printed."""
    return list(json.loads(text))


if __name__ == "__main__":
    with crash.reporting("network_profiles.bench.traffic"):
        sys.exit(main())
