"""One direction of a running link: packets wait here until the link model's moment for each has come.

A link sleeps between any two packets and wakes with cold caches, so what counts is how much code a packet touches:
names are bound once (``Final``), and the queue is two lists.
"""

from __future__ import annotations

import os
import time
from typing import Any, Final

from network_profiles.links.userspace.lateness import Lateness
from network_profiles.model.link import NEVER_S, LinkDirection

READ_AT_ONCE: Final = 32
"""Packets taken in before the due ones get their turn."""
EARLY_S: Final = 0.0005
"""A packet leaves this much before its moment when we are awake anyway: to wake up costs more than to move it."""
_ONE_BURST_S: Final = 0.0001
"""Packets that the kernel has for us so soon after the last ones come in a burst, and more of it may be there."""
_LARGEST_PACKET_BYTES: Final = 2048
"""Above the MTU of both devices."""
_TIDY_AFTER: Final = 256
_NOTHING: Final = b""
_read: Final = os.read
_write: Final = os.write
_monotonic: Final = time.monotonic


class Passage:
    """Carries packets from one TUN device to the other."""

    def __init__(self, link: LinkDirection, source: int, sink: int) -> None:
        self.link = link
        self.source = source
        self._sink = sink
        self._waiting: list[bytes] = []
        self._due_at_s: list[float] = []
        self._first = 0
        """Where in the lists the next packet is; those before it have left."""
        self._next_s = NEVER_S
        self._lateness = Lateness()
        self._refused = 0
        self._at_once = 1
        self._in_a_row = 0
        self._taken_in_s = -NEVER_S

    def take_in(self) -> None:
        """Asks the link what becomes of each packet that the kernel has for us."""
        now_s = _monotonic()
        # A read in vain costs more than one that finds a packet.
        if now_s - self._taken_in_s > _ONE_BURST_S:
            self._at_once, self._in_a_row = 1, 0
        elif self._at_once < READ_AT_ONCE:
            self._in_a_row += 1
            if self._in_a_row > 2:
                self._at_once *= 2
        try:
            for _ in range(self._at_once):
                packet = _read(self.source, _LARGEST_PACKET_BYTES)
                at_s = self.link.comes_out_at_s(now_s, len(packet))
                if at_s < NEVER_S:
                    self._waiting.append(packet)
                    self._due_at_s.append(at_s)
                    if self._next_s == NEVER_S:
                        self._next_s = at_s
                now_s = _monotonic()
        except BlockingIOError:
            pass
        self._taken_in_s = now_s

    def release_due(self, now_s: float) -> float:
        """Writes every packet whose moment has come at ``now_s``. Returns the next one's; infinity: nothing waits."""
        while self._next_s <= now_s + EARLY_S:
            packet = self._waiting[self._first]
            if now_s > self._next_s:
                self._lateness.add(now_s - self._next_s)
            self._step_on()
            try:
                _write(self._sink, packet)
            except OSError:
                self._refused += 1
            now_s = _monotonic()
        return self._next_s

    def _step_on(self) -> None:
        self._waiting[self._first] = _NOTHING
        self._first += 1
        if self._first < len(self._waiting):
            self._next_s = self._due_at_s[self._first]
            if self._first < _TIDY_AFTER:
                return
            del self._waiting[: self._first]
            del self._due_at_s[: self._first]
        else:
            self._next_s = NEVER_S
            self._waiting.clear()
            self._due_at_s.clear()
        self._first = 0

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
