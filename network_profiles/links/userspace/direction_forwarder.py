"""Forwards packets in one direction of a running link: holds each until the link model's time for it.

A link sleeps between any two packets and wakes with cold caches. So the cost depends on how much code a packet
touches: names are bound once (``Final``), and the queue is two lists.
"""

from __future__ import annotations

import os
import time
from typing import Any, Final

from network_profiles.links.userspace.lateness import Lateness
from network_profiles.model.link import NEVER_S, LinkDirection

MAX_BATCH_PACKETS: Final = 32
"""Most packets read before due packets are written."""
MAX_EARLY_S: Final = 0.0005
"""A packet may leave this early when the process is awake anyway: a wake-up costs more than a packet."""
_BURST_GAP_S: Final = 0.0001
"""Packets that are readable so soon after the last read belong to a burst, and more of it may wait."""
_LARGEST_PACKET_BYTES: Final = 2048
"""More than the MTU of both devices."""
_COMPACT_AFTER_PACKETS: Final = 256
_EMPTY: Final = b""
_read: Final = os.read
_write: Final = os.write
_monotonic: Final = time.monotonic


class DirectionForwarder:
    """Forwards packets from one TUN device to the other."""

    def __init__(self, link: LinkDirection, source: int, sink: int) -> None:
        self.link = link
        self.source = source
        self._sink = sink
        self._waiting: list[bytes] = []
        self._due_at_s: list[float] = []
        self._head = 0
        """Index of the next packet in both lists; those before it have left."""
        self._next_s = NEVER_S
        self._lateness = Lateness()
        self._refused = 0
        self._batch_packets = 1
        self._prompt_reads = 0
        self._last_read_s = -NEVER_S

    def read_packets(self) -> None:
        """Reads packets from the kernel and asks the link model for the arrival of each."""
        now_s = _monotonic()
        # A read that finds nothing costs more than one that finds a packet.
        if now_s - self._last_read_s > _BURST_GAP_S:
            self._batch_packets, self._prompt_reads = 1, 0
        elif self._batch_packets < MAX_BATCH_PACKETS:
            self._prompt_reads += 1
            if self._prompt_reads > 2:
                self._batch_packets *= 2
        try:
            for _ in range(self._batch_packets):
                packet = _read(self.source, _LARGEST_PACKET_BYTES)
                at_s = self.link.arrival_s(now_s, len(packet))
                if at_s < NEVER_S:
                    self._waiting.append(packet)
                    self._due_at_s.append(at_s)
                    if self._next_s == NEVER_S:
                        self._next_s = at_s
                now_s = _monotonic()
        except BlockingIOError:
            pass
        self._last_read_s = now_s

    def write_due_packets(self, now_s: float) -> float:
        """Writes every packet that is due at ``now_s``. Returns the next due time; infinity when none waits."""
        while self._next_s <= now_s + MAX_EARLY_S:
            packet = self._waiting[self._head]
            if now_s > self._next_s:
                self._lateness.add(now_s - self._next_s)
            self._advance()
            try:
                _write(self._sink, packet)
            except OSError:
                self._refused += 1
            now_s = _monotonic()
        return self._next_s

    def _advance(self) -> None:
        self._waiting[self._head] = _EMPTY
        self._head += 1
        if self._head < len(self._waiting):
            self._next_s = self._due_at_s[self._head]
            if self._head < _COMPACT_AFTER_PACKETS:
                return
            del self._waiting[: self._head]
            del self._due_at_s[: self._head]
        else:
            self._next_s = NEVER_S
            self._waiting.clear()
            self._due_at_s.clear()
        self._head = 0

    def counters(self) -> dict[str, Any]:
        """Returns the totals since the start, and the lateness since the previous reading."""
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
