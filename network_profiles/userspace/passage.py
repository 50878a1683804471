"""One direction of a running link: packets wait here until the link model's moment for each has come."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import Any

from network_profiles.link import NEVER_S, LinkDirection
from network_profiles.userspace.lateness import Lateness

READ_AT_ONCE = 32
"""Packets taken in before the due ones get their turn."""
EARLY_S = 0.0005
"""A packet leaves this much before its moment when we are awake anyway: to wake up costs more than to move it."""
_ONE_BURST_S = 0.0001
"""Packets that the kernel has for us so soon after the last ones come in a burst, and more of it may be there."""
_LARGEST_PACKET_BYTES = 2048
"""Above the MTU of both devices."""


class Passage:
    """Carries packets from one TUN device to the other."""

    def __init__(self, link: LinkDirection, source: int, sink: int) -> None:
        self.link = link
        self.source = source
        self._sink = sink
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._next_s = NEVER_S
        self._lateness = Lateness()
        self._refused = 0
        self._batch = 1
        self._taken_in_s = -NEVER_S

    def take_in(self) -> None:
        """Asks the link what becomes of each packet that the kernel has for us."""
        now_s = time.monotonic()
        # A read in vain costs more than one that finds a packet.
        self._batch = min(READ_AT_ONCE, 2 * self._batch) if now_s - self._taken_in_s < _ONE_BURST_S else 1
        try:
            for _ in range(self._batch):
                packet = os.read(self.source, _LARGEST_PACKET_BYTES)
                at_s = self.link.comes_out_at_s(now_s, len(packet))
                if at_s < NEVER_S:
                    if not self._waiting:
                        self._next_s = at_s
                    self._waiting.append((at_s, packet))
                now_s = time.monotonic()
        except BlockingIOError:
            pass
        self._taken_in_s = now_s

    def release_due(self, now_s: float) -> float:
        """Writes every packet whose moment has come at ``now_s``. Returns the next one's; infinity: nothing waits."""
        while self._next_s <= now_s + EARLY_S:
            due_at_s, packet = self._waiting.popleft()
            self._next_s = self._waiting[0][0] if self._waiting else NEVER_S
            try:
                os.write(self._sink, packet)
            except OSError:
                self._refused += 1
            if now_s > due_at_s:
                self._lateness.add(now_s - due_at_s)
            now_s = time.monotonic()
        return self._next_s

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
