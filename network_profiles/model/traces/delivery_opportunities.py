"""Computes, on a trace, when a packet's last byte leaves the head of the queue.

There are two kinds, for a rate that varies and for recorded opportunities. Both take the packets in order, one by one.
Neither looks ahead further than the packet needs, so a trace may be endless.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Protocol

from network_profiles.model.traces.generate import RateSegment
from network_profiles.model.traces.mahimahi import OPPORTUNITY_BYTES


class DeliveryOpportunities(Protocol):
    """Gives packets, one after the other, their time of departure."""

    def departure_s(self, ready_s: float, size_bytes: int) -> float:
        """Returns when the last byte of the next packet leaves. ``ready_s``, its earliest start, never decreases."""


class VariableRateOpportunities:
    """Sends bytes evenly, at a rate that changes from segment to segment. A segment of rate 0 sends none."""

    __slots__ = ("_bytes_per_s", "_ends_at_s", "_free_at_s", "_segments")

    def __init__(self, segments: Iterator[RateSegment], started_at_s: float) -> None:
        self._segments = segments
        self._ends_at_s = started_at_s
        self._free_at_s = started_at_s
        self._bytes_per_s = 0.0

    def departure_s(self, ready_s: float, size_bytes: int) -> float:
        """See ``DeliveryOpportunities``."""
        at_s = max(ready_s, self._free_at_s)
        left = float(size_bytes)
        while True:
            if at_s < self._ends_at_s and self._bytes_per_s > 0:
                done_s = at_s + left / self._bytes_per_s
                if done_s <= self._ends_at_s:
                    self._free_at_s = done_s
                    return done_s
                left -= (self._ends_at_s - at_s) * self._bytes_per_s
            at_s = max(at_s, self._ends_at_s)
            lasts_s, kbit = next(self._segments)
            self._ends_at_s += lasts_s
            self._bytes_per_s = kbit * 125.0


class RecordedOpportunities:
    """Sends up to 1504 bytes at each time of a recorded trace, which repeats for ever. Unused bytes are lost.

    Packets share an opportunity, and one packet may need several. A packet that becomes ready exactly at the time of an
    opportunity waits for the next one.
    """

    __slots__ = ("_at_ms", "_index", "_left", "_length_s", "_next_at_s", "_started_at_s")

    def __init__(self, at_ms: array[int], started_at_s: float) -> None:
        self._at_ms = at_ms
        self._length_s = at_ms[-1] / 1000.0
        self._started_at_s = started_at_s
        self._go_to(0)

    def departure_s(self, ready_s: float, size_bytes: int) -> float:
        """See ``DeliveryOpportunities``."""
        if self._next_at_s <= ready_s:
            self._go_to(self._first_after(ready_s))
        left = size_bytes
        while left > self._left:
            left -= self._left
            self._go_to(self._index + 1)
        self._left -= left
        return self._next_at_s

    def _go_to(self, index: int) -> None:
        rounds, place = divmod(index, len(self._at_ms))
        self._index = index
        self._next_at_s = self._started_at_s + rounds * self._length_s + self._at_ms[place] / 1000.0
        self._left = OPPORTUNITY_BYTES

    def _first_after(self, ready_s: float) -> int:
        rounds = max(0, math.floor((ready_s - self._started_at_s) / self._length_s))
        into_round_ms = (ready_s - self._started_at_s - rounds * self._length_s) * 1000.0
        index = rounds * len(self._at_ms) + bisect_right(self._at_ms, into_round_ms)
        # Rounding of floats may pick the opportunity before: never send in the past.
        while True:
            self._go_to(index)
            if self._next_at_s > ready_s:
                return index
            index += 1
