"""Probes a link that follows a trace: keeps it saturated, so that the arrivals show the trace itself.

The link's seed determines its trace, so the link model knows the arrivals of the same packets. Only loss and jitter are
random; the model is run many times for them.
"""

from __future__ import annotations

import itertools
import math
import statistics
from bisect import bisect_right
from collections.abc import Callable, Sequence

from network_profiles.model.plain_profile import Side
from network_profiles.model.shape import PlainShape
from network_profiles.verification.evidence import Figure
from network_profiles.verification.probe.judge import figure_against_model
from network_profiles.verification.probe.probe_plan import LARGEST_BYTES, PlannedSend, ProbePlan, settled_after_s
from network_profiles.verification.probe.tolerances import (
    CURVE_TOLERANCE_RATIO,
    EDGE_TOLERANCE_S,
    GOODPUT_TOLERANCE_RATIO,
    thorough_owd_tolerance_ms,
)
from network_profiles.verification.probe.trace import ProbePacket, ProbeTrace

_LOAD_RATIO = 1.2
_INTERVAL_S = 0.01
_SMALLEST_BYTES = 200
_CURVE_STEP_S = 0.1
_SHORTEST_GAP_S = 0.5
_GAP_ALLOWANCE_S = 5.0

Reading = Callable[[Sequence[ProbePacket]], float]


def saturating_plan(shape: PlainShape, starts_after_s: float, lasts_s: float) -> ProbePlan:
    """Returns packets at 1.2 times the mean rate of a trace."""
    rate_bytes_s = _LOAD_RATIO * (shape.rate_kbit or 0.0) * 1000.0 / 8
    size = int(min(LARGEST_BYTES, max(_SMALLEST_BYTES, rate_bytes_s * _INTERVAL_S)))
    count = int((lasts_s - starts_after_s) * rate_bytes_s / size)
    sends = tuple(PlannedSend(starts_after_s + step * size / rate_bytes_s, size) for step in range(count))
    # A gap of the trace may delay queued packets.
    return ProbePlan(sends, count, lasts_s + settled_after_s(shape, size) + _GAP_ALLOWANCE_S)


def judge_saturation(
    side: Side, packets: Sequence[ProbePacket], replies: Sequence[Sequence[ProbePacket]], started_at_s: float
) -> list[Figure]:
    """Returns a saturated link's rate, delay and arrival curve, with bounds from ``replies`` of the link model."""
    mean_kbit = statistics.fmean(map(_kbit, replies))
    mean_curve = [statistics.fmean(heights) for heights in zip(*(_curve(one) for one in replies), strict=True)]
    mean_owd_ms = statistics.fmean(ProbeTrace(one, []).owd_ms() for one in replies)
    owd_tolerance = thorough_owd_tolerance_ms(mean_owd_ms)
    longest = _longest_gap(replies[0])
    middle_s = sum(longest) / 2.0

    def figure(name: str, profile_value: float | None, tolerance: float, read: Reading) -> Figure:
        return figure_against_model(
            side, name, profile_value, tolerance, read(packets), [read(one) for one in replies], len(packets)
        )  # fmt: skip

    figures = [
        figure("trace_goodput_kbit", None, GOODPUT_TOLERANCE_RATIO * mean_kbit, _kbit),
        figure(
            "trace_course_off_ratio", 0.0, CURVE_TOLERANCE_RATIO, lambda some: _max_deviation(_curve(some), mean_curve)
        ),
        figure("trace_owd_ms", None, owd_tolerance, lambda some: ProbeTrace(some, []).owd_ms()),
    ]
    if longest[1] - longest[0] >= _SHORTEST_GAP_S:
        figures += [
            figure("gap_starts_s", None, EDGE_TOLERANCE_S, lambda some: _gap(some, middle_s)[0] - started_at_s),
            figure("gap_ends_s", None, EDGE_TOLERANCE_S, lambda some: _gap(some, middle_s)[1] - started_at_s),
        ]
    return figures


def _arrivals(packets: Sequence[ProbePacket]) -> list[ProbePacket]:
    return [packet for packet in packets if packet.received_at_s is not None]


def _kbit(packets: Sequence[ProbePacket]) -> float:
    """Returns the rate of the arrived bytes, over the time of sending."""
    took_s = packets[-1].sent_at_s - packets[0].sent_at_s
    return sum(packet.size_bytes for packet in _arrivals(packets)) * 8 / 1000.0 / took_s


def _curve(packets: Sequence[ProbePacket]) -> list[float]:
    """Returns the bytes arrived by each step of 0.1 s, from the first packet sent to the last."""
    arrived = _arrivals(packets)
    times = [packet.received_at_s or 0.0 for packet in arrived]
    totals = [0, *itertools.accumulate(packet.size_bytes for packet in arrived)]
    first_s, last_s = packets[0].sent_at_s, packets[-1].sent_at_s
    steps = int((last_s - first_s) / _CURVE_STEP_S)
    return [float(totals[bisect_right(times, first_s + step * _CURVE_STEP_S)]) for step in range(steps)]


def _max_deviation(curve: Sequence[float], mean: Sequence[float]) -> float:
    """Returns the largest deviation of a curve from the model's mean, as a share of all arrived bytes."""
    if not mean or not mean[-1]:
        return math.nan
    return max(abs(one - other) for one, other in zip(curve, mean, strict=False)) / mean[-1]


def _longest_gap(packets: Sequence[ProbePacket]) -> tuple[float, float]:
    times = [packet.received_at_s or 0.0 for packet in _arrivals(packets)]
    gaps = [(later - earlier, earlier, later) for earlier, later in itertools.pairwise(times)]
    return max(gaps, default=(0.0, 0.0, 0.0))[1:]


def _gap(packets: Sequence[ProbePacket], moment_s: float) -> tuple[float, float]:
    """Returns the last arrival before a time and the first one after it."""
    times = [packet.received_at_s or 0.0 for packet in _arrivals(packets)]
    place = bisect_right(times, moment_s)
    return (times[place - 1], times[place]) if 0 < place < len(times) else (math.nan, math.nan)
