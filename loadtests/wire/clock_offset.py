"""Estimates the offset of a worker's clock from the master's over Locust's own channel, as NTP does.

A worker sends its time, and the master answers with its own. Half of the round trip is the uncertainty. The answer with
the shortest recent round trip is the best one. Nothing is corrected: the offset is shown and kept. Beyond a bound it
makes the run invalid, because one-way delays between machines are only as good as this offset.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

KEPT = 16
EVERY_S = 1.0
FAR_OFF_MS = 20.0
"""One audio packet. Clocks that differ by more, the uncertainty left out, spoil every one-way delay."""


@dataclass(frozen=True, slots=True)
class Offset:
    """The master's clock minus ours, and the half round trip that it may be off by. Milliseconds."""

    offset_ms: float
    uncertainty_ms: float

    @property
    def is_far_off(self) -> bool:
        """Whether delays across this gap mean nothing."""
        return abs(self.offset_ms) - self.uncertainty_ms > FAR_OFF_MS


class ClockOffset:
    """The exchanges of one worker with its master."""

    def __init__(self) -> None:
        self._exchanges: deque[Offset] = deque(maxlen=KEPT)

    def receive(self, sent_at_s: float, master_at_s: float, received_at_s: float) -> None:
        """Takes in one answer: our Unix time when we asked, the master's when it answered, ours when it came."""
        half_ms = (received_at_s - sent_at_s) * 500
        if half_ms >= 0:
            self._exchanges.append(Offset((master_at_s - sent_at_s) * 1000 - half_ms, half_ms))

    @property
    def best(self) -> Offset | None:
        """The surest of the last exchanges, None before the first."""
        return min(self._exchanges, key=lambda one: one.uncertainty_ms, default=None)
