"""The room that a trace leaves: when does a packet's last byte leave the queue's head?

Both kinds answer the same question, packet by packet, in the order of the packets. Neither looks ahead further than
the packet needs, so a trace may go on for ever.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Protocol

from network_profiles.model.traces.generate import RateStretch
from network_profiles.model.traces.mahimahi import OPPORTUNITY_BYTES


class Room(Protocol):
    """Serves packets one after the other."""

    def leaves_at_s(self, ready_s: float, size_bytes: int) -> float:
        """Returns when the last byte of the next packet leaves. It may start at ``ready_s``, which never goes back."""


class WanderingRate:
    """Serves bytes evenly at a rate that changes from stretch to stretch. A stretch of rate 0 serves none."""

    __slots__ = ("_bytes_per_s", "_ends_at_s", "_free_at_s", "_stretches")

    def __init__(self, stretches: Iterator[RateStretch], started_at_s: float) -> None:
        self._stretches = stretches
        self._ends_at_s = started_at_s
        self._free_at_s = started_at_s
        self._bytes_per_s = 0.0

    def leaves_at_s(self, ready_s: float, size_bytes: int) -> float:
        """See ``Room``."""
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
            lasts_s, kbit = next(self._stretches)
            self._ends_at_s += lasts_s
            self._bytes_per_s = kbit * 125.0


class Opportunities:
    """Serves up to 1504 bytes at each moment of a recorded trace, for ever; what is not used then is lost.

    Packets share an opportunity, and one packet may need several. A packet that becomes ready at the very moment of an
    opportunity waits for the next.
    """

    __slots__ = ("_at_ms", "_index", "_left", "_length_s", "_next_at_s", "_started_at_s")

    def __init__(self, at_ms: array[int], started_at_s: float) -> None:
        self._at_ms = at_ms
        self._length_s = at_ms[-1] / 1000.0
        self._started_at_s = started_at_s
        self._go_to(0)

    def leaves_at_s(self, ready_s: float, size_bytes: int) -> float:
        """See ``Room``."""
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
        # Sums of floats may put us one beside: never serve the past.
        while True:
            self._go_to(index)
            if self._next_at_s > ready_s:
                return index
            index += 1
