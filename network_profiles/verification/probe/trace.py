"""What happened to the packets of a probe in one direction, and the figures read from it.

The same functions read a real probe and the link model's replies to the very same sends, so that a figure's known bias
(a jittery link that keeps order delays more than its median) is in both.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_PACKETS = 5
_TAIL_SHARE = 0.06


@dataclass(frozen=True, slots=True)
class ProbePacket:
    """One packet sent; ``received_at_s`` is None when it never came."""

    size_bytes: int
    sent_at_s: float
    received_at_s: float | None

    @property
    def delay_ms(self) -> float:
        """NaN when it never came."""
        return math.nan if self.received_at_s is None else 1000.0 * (self.received_at_s - self.sent_at_s)


@dataclass(frozen=True, slots=True)
class ProbeTrace:
    """The packets in the order they were sent: the trickle, then the flood."""

    paced: Sequence[ProbePacket]
    flood: Sequence[ProbePacket]

    def owd_ms(self) -> float:
        """Median one-way delay of the trickle, its time on the wire included; NaN when too few came."""
        delays = self._paced_delays()
        return statistics.median(delays) if len(delays) >= LEAST_PACKETS else math.nan

    def owd_p95_ms(self) -> float:
        """95th percentile of the same; NaN when too few came."""
        return _quantile(self._paced_delays(), 0.95)

    def jitter_ms(self) -> float:
        """Half the width of the delay's middle 68 %, which for a Gaussian is its standard deviation.

        A single packet held up by a busy machine does not move it.
        """
        delays = self._paced_delays()
        return (_quantile(delays, 0.84) - _quantile(delays, 0.16)) / 2.0

    def burst_packets(self) -> float:
        """Mean length of a run of lost packets of the trickle; NaN when none was lost."""
        runs = [len(list(run)) for gone, run in itertools.groupby(self.paced, _never_came) if gone]
        return statistics.fmean(runs) if runs else math.nan

    def _paced_delays(self) -> list[float]:
        return [packet.delay_ms for packet in self.paced if packet.received_at_s is not None]

    def lost(self) -> int:
        """Packets of the trickle that never came."""
        return sum(packet.received_at_s is None for packet in self.paced)

    def goodput_kbit(self) -> float:
        """Slope of bytes over arrival time through the flood (least squares); NaN when too few packets came."""
        return rate_kbit(self.flood)

    def queue_ms(self) -> float:
        """Delay of the flood's last packets, which met a full queue, above the trickle's; NaN when too few came."""
        delays = [packet.delay_ms for packet in self.flood if packet.received_at_s is not None]
        if len(delays) < LEAST_PACKETS:
            return math.nan
        tail = delays[-max(LEAST_PACKETS, int(_TAIL_SHARE * len(delays))) :]
        return statistics.median(tail) - self.owd_ms()


def rate_kbit(packets: Sequence[ProbePacket]) -> float:
    """Slope of bytes over arrival time (least squares); NaN when too few packets came."""
    arrived = [packet for packet in packets if packet.received_at_s is not None]
    times = [packet.received_at_s or 0.0 for packet in arrived]
    if len(times) < LEAST_PACKETS or times[0] == times[-1]:
        return math.nan
    totals = list(itertools.accumulate(float(packet.size_bytes) for packet in arrived))
    return statistics.linear_regression(times, totals).slope * 8 / 1000.0


def _never_came(packet: ProbePacket) -> bool:
    return packet.received_at_s is None


def _quantile(values: Sequence[float], share: float) -> float:
    if len(values) < LEAST_PACKETS:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
