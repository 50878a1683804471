"""Holds what a probe saw of one direction against the profile.

A figure's bounds are the model's mean over the same sends, give or take the tolerance and three standard deviations of
chance: a short probe of a jittery 2G link has wide bounds and says so, rather than failing links that are right.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from network_profiles.counters import DirectionCounters
from network_profiles.evidence import Figure
from network_profiles.probe.loss_interval import central_interval, loss_counts
from network_profiles.probe.oracle import expected, replay
from network_profiles.probe.trace import Trace
from network_profiles.shape import Shape

GOODPUT_TOLERANCE_RATIO = 0.03
OWD_TOLERANCE_MS, OWD_TOLERANCE_RATIO = 2.0, 0.02
QUEUE_TOLERANCE_MS, QUEUE_TOLERANCE_RATIO = 2.0, 0.10
LOSS_CONFIDENCE = 0.99
LATE_P99_LIMIT_MS = 10.0
_SIGMAS = 3.0


def judge(side: str, direction: Shape, trace: Trace, reordered: int, daemon: DirectionCounters) -> list[Figure]:
    """Returns the figures of one direction. ``daemon`` is what the link's own process counted during the probe."""
    replies = replay(direction, trace)

    def figure(name: str, wanted: float, tolerance: float, read: Callable[[Trace], float], samples: int) -> Figure:
        model = expected(replies, read)
        give = tolerance + _SIGMAS * model.deviation
        got = read(trace)
        return Figure(
            side, name, wanted, None if math.isnan(got) else got, model.mean - give, model.mean + give, samples
        )

    heard = len(trace.paced) - trace.lost()
    owd_tolerance = max(OWD_TOLERANCE_MS, OWD_TOLERANCE_RATIO * direction.owd_ms)
    figures = [figure("owd_ms", direction.owd_ms, owd_tolerance, Trace.owd_ms, heard), _loss(side, direction, trace)]
    if direction.rate_kbit is not None:
        flooded = sum(packet.received_at_s is not None for packet in trace.flood)
        goodput_tolerance = GOODPUT_TOLERANCE_RATIO * direction.rate_kbit
        queue_tolerance = max(QUEUE_TOLERANCE_MS, QUEUE_TOLERANCE_RATIO * direction.queue_ms)
        figures += [
            figure("goodput_kbit", direction.rate_kbit, goodput_tolerance, Trace.goodput_kbit, flooded),
            figure("queue_ms", direction.queue_ms, queue_tolerance, Trace.queue_ms, flooded),
        ]
    packets = len(trace.paced) + len(trace.flood)
    return [
        *figures,
        Figure(side, "reordered_packets", 0, reordered, 0, 0, packets),
        Figure(side, "harness_drops", 0, daemon.refused + daemon.overrun, 0, 0, packets),
        Figure(side, "late_p99_ms", 0, daemon.late_p99_ms, 0, LATE_P99_LIMIT_MS, packets),
    ]


def _loss(side: str, direction: Shape, trace: Trace) -> Figure:
    packets = len(trace.paced)
    counts = loss_counts(packets, direction.loss_ratio, direction.loss_burst_packets)
    low, high = central_interval(counts, LOSS_CONFIDENCE)
    return Figure(
        side, "loss_ratio", direction.loss_ratio, trace.lost() / packets, low / packets, high / packets, packets
    )
