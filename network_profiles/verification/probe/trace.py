"""Computes delay, loss, rate and queue depth from the packets of a probe in one direction.

The same functions read a real probe and the link model's replay of the same packets. So a known bias of a figure (a
link with jitter that keeps order has a higher median delay) is in both.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bedrock.quantile import quantile

LEAST_PACKETS = 5
_TAIL_SHARE = 0.06


@dataclass(frozen=True, slots=True)
class ProbePacket:
    """One packet sent; ``received_at_s`` is None when it never arrived."""

    size_bytes: int
    sent_at_s: float
    received_at_s: float | None

    @property
    def delay_ms(self) -> float:
        """One-way delay; NaN when it never arrived."""
        return math.nan if self.received_at_s is None else 1000.0 * (self.received_at_s - self.sent_at_s)


@dataclass(frozen=True, slots=True)
class ProbeTrace:
    """The packets in the order of sending: paced ones, then the flood."""

    paced: Sequence[ProbePacket]
    flood: Sequence[ProbePacket]

    def owd_ms(self) -> float:
        """Median one-way delay of the paced packets, with the time on the wire; NaN when too few arrived."""
        delays = self._paced_delays()
        return statistics.median(delays) if len(delays) >= LEAST_PACKETS else math.nan

    def owd_p95_ms(self) -> float:
        """95th percentile of the same delay; NaN when too few arrived."""
        return _quantile_or_nan(self._paced_delays(), 0.95)

    def jitter_ms(self) -> float:
        """Half the width of the middle 68 % of the delays; for a Gaussian this is the standard deviation.

        A single packet that a busy machine delayed does not change it.
        """
        delays = self._paced_delays()
        return (_quantile_or_nan(delays, 0.84) - _quantile_or_nan(delays, 0.16)) / 2.0

    def burst_packets(self) -> float:
        """Mean length of a run of lost paced packets; NaN when none was lost."""
        runs = [len(list(run)) for is_lost, run in itertools.groupby(self.paced, _is_lost) if is_lost]
        return statistics.fmean(runs) if runs else math.nan

    def _paced_delays(self) -> list[float]:
        return [packet.delay_ms for packet in self.paced if packet.received_at_s is not None]

    def lost(self) -> int:
        """Number of paced packets that never arrived."""
        return sum(packet.received_at_s is None for packet in self.paced)

    def goodput_kbit(self) -> float:
        """Rate of the flood: slope of bytes over arrival time (least squares); NaN when too few arrived."""
        return rate_kbit(self.flood)

    def queue_ms(self) -> float:
        """Delay of the flood's last packets, which met a full queue, minus ``owd_ms``; NaN when too few arrived."""
        delays = [packet.delay_ms for packet in self.flood if packet.received_at_s is not None]
        if len(delays) < LEAST_PACKETS:
            return math.nan
        tail = delays[-max(LEAST_PACKETS, int(_TAIL_SHARE * len(delays))) :]
        return statistics.median(tail) - self.owd_ms()


def rate_kbit(packets: Sequence[ProbePacket]) -> float:
    """Slope of bytes over arrival time (least squares); NaN when too few packets arrived."""
    arrived = [packet for packet in packets if packet.received_at_s is not None]
    times = [packet.received_at_s or 0.0 for packet in arrived]
    if len(times) < LEAST_PACKETS or times[0] == times[-1]:
        return math.nan
    totals = list(itertools.accumulate(float(packet.size_bytes) for packet in arrived))
    return statistics.linear_regression(times, totals).slope * 8 / 1000.0


def _is_lost(packet: ProbePacket) -> bool:
    return packet.received_at_s is None


def _quantile_or_nan(values: Sequence[float], share: float) -> float:
    """Returns a quantile of ``values``; NaN when they are too few."""
    found = quantile(values, share) if len(values) >= LEAST_PACKETS else None
    return math.nan if found is None else found
