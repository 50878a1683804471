"""One direction of a running link: packets wait here until the link model's moment for each has come."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import Any

from network_profiles.link import LinkDirection
from network_profiles.userspace.lateness import Lateness

READ_AT_ONCE = 32
"""Packets taken in before the due ones get their turn."""
_LARGEST_PACKET_BYTES = 65535


class Passage:
    """Carries packets from one TUN device to the other."""

    def __init__(self, link: LinkDirection, source: int, sink: int) -> None:
        self.link = link
        self.source = source
        self._sink = sink
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._lateness = Lateness()
        self._refused = 0

    def take_in(self) -> None:
        """Asks the link what becomes of each packet that the kernel has for us."""
        for _ in range(READ_AT_ONCE):
            try:
                packet = os.read(self.source, _LARGEST_PACKET_BYTES)
            except BlockingIOError:
                return
            at_s = self.link.offer(time.monotonic(), len(packet)).at_s
            if at_s is not None:
                self._waiting.append((at_s, packet))

    def release_due(self) -> float | None:
        """Writes every packet whose moment has come. Returns the next one's moment, None when nothing waits."""
        waiting = self._waiting
        while waiting:
            due_at_s, packet = waiting[0]
            now_s = time.monotonic()
            if due_at_s > now_s:
                return due_at_s
            waiting.popleft()
            try:
                os.write(self._sink, packet)
            except OSError:
                self._refused += 1
            self._lateness.add(now_s - due_at_s)
        return None

    def counters(self) -> dict[str, Any]:
        """Returns the totals since the start, and the lateness since the last reading."""
        link = self.link
        counted = {
            "packets": link.packets,
            "bytes": link.bytes,
            "delivered_packets": link.delivered_packets,
            "delivered_bytes": link.delivered_bytes,
            "drops": {str(cause): count for cause, count in link.dropped.items()},
            "refused": self._refused,
            "late_p99_ms": self._lateness.percentile_ms(0.99),
            "late_max_ms": self._lateness.max_ms,
        }
        self._lateness.reset()
        return counted
