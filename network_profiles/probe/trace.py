"""What happened to the packets of a probe in one direction, and the figures read from it.

The same functions read a real probe and the link model's replies to the very same sends, so that a figure's known bias
(a jittery link that keeps order delays more than its median) is in both.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_PACKETS = 5
_TAIL_SHARE = 0.06


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet sent; ``received_at_s`` is None when it never came."""

    size_bytes: int
    sent_at_s: float
    received_at_s: float | None

    @property
    def delay_ms(self) -> float:
        """NaN when it never came."""
        return math.nan if self.received_at_s is None else 1000.0 * (self.received_at_s - self.sent_at_s)


@dataclass(frozen=True, slots=True)
class Trace:
    """The packets in the order they were sent: the trickle, then the flood."""

    paced: Sequence[Packet]
    flood: Sequence[Packet]

    def owd_ms(self) -> float:
        """Median one-way delay of the trickle, its time on the wire included; NaN when too few came."""
        delays = [packet.delay_ms for packet in self.paced if packet.received_at_s is not None]
        return statistics.median(delays) if len(delays) >= LEAST_PACKETS else math.nan

    def lost(self) -> int:
        """Packets of the trickle that never came."""
        return sum(packet.received_at_s is None for packet in self.paced)

    def goodput_kbit(self) -> float:
        """Slope of bytes over arrival time through the flood (least squares); NaN when too few packets came."""
        times, totals = [], []
        total = 0
        for packet in self.flood:
            if packet.received_at_s is not None:
                total += packet.size_bytes
                times.append(packet.received_at_s)
                totals.append(float(total))
        if len(times) < LEAST_PACKETS or times[0] == times[-1]:
            return math.nan
        return statistics.linear_regression(times, totals).slope * 8 / 1000.0

    def queue_ms(self) -> float:
        """Delay of the flood's last packets, which met a full queue, above the trickle's; NaN when too few came."""
        delays = [packet.delay_ms for packet in self.flood if packet.received_at_s is not None]
        if len(delays) < LEAST_PACKETS:
            return math.nan
        tail = delays[-max(LEAST_PACKETS, int(_TAIL_SHARE * len(delays))) :]
        return statistics.median(tail) - self.owd_ms()
