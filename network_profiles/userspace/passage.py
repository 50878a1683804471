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
EARLY_S = 0.0005
"""A packet leaves this much before its moment when we are awake anyway: to wake up costs more than to move it."""
_LARGEST_PACKET_BYTES = 2048
"""Above the MTU of both devices."""


class Passage:
    """Carries packets from one TUN device to the other."""

    def __init__(self, link: LinkDirection, source: int, sink: int) -> None:
        self.link = link
        self.source = source
        self._sink = sink
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._lateness = Lateness()
        self._refused = 0
        self._batch = 1

    def take_in(self) -> None:
        """Asks the link what becomes of each packet that the kernel has for us."""
        offer, source, keep = self.link.offer, self.source, self._waiting.append
        # A read in vain costs as much as one that finds a packet: look for as many as there were last time.
        count, most = 0, self._batch
        try:
            while count < most:
                packet = os.read(source, _LARGEST_PACKET_BYTES)
                count += 1
                at_s = offer(time.monotonic(), len(packet))[0]
                if at_s is not None:
                    keep((at_s, packet))
            self._batch = min(READ_AT_ONCE, 2 * most)
        except BlockingIOError:
            self._batch = max(1, count)

    def release_due(self) -> float | None:
        """Writes every packet whose moment has come. Returns the next one's moment, None when nothing waits."""
        waiting = self._waiting
        if not waiting:
            return None
        now_s = time.monotonic()
        while waiting:
            due_at_s, packet = waiting[0]
            if due_at_s > now_s + EARLY_S:
                return due_at_s
            waiting.popleft()
            try:
                os.write(self._sink, packet)
            except OSError:
                self._refused += 1
            if now_s > due_at_s:
                self._lateness.add(now_s - due_at_s)
            now_s = time.monotonic()
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
