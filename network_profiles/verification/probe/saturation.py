"""How a link that follows a trace is watched: kept saturated, so that what arrives, and when, is the trace itself.

The link's seed makes its trace, so the link model says what comes out of the same sends at every moment; only loss and
jitter are chance, and the model is run many times.
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
from network_profiles.verification.probe.judge import (
    GOODPUT_TOLERANCE_RATIO,
    OWD_TOLERANCE_RATIO,
    THOROUGH_OWD_TOLERANCE_MS,
    figure_against_model,
)
from network_profiles.verification.probe.probe_plan import LARGEST_BYTES, PlannedSend, ProbePlan, settled_after_s
from network_profiles.verification.probe.trace import ProbePacket, ProbeTrace

CURVE_TOLERANCE_RATIO = 0.03
EDGE_TOLERANCE_S = 0.05
_LOAD_RATIO = 1.2
_INTERVAL_S = 0.01
_SMALLEST_BYTES = 200
_CURVE_STEP_S = 0.1
_SHORTEST_GAP_S = 0.5
_GAP_ROOM_S = 5.0

Reading = Callable[[Sequence[ProbePacket]], float]


def saturating_plan(shape: PlainShape, starts_after_s: float, lasts_s: float) -> ProbePlan:
    """Returns sends at somewhat more than the mean rate of a trace."""
    rate_bytes_s = _LOAD_RATIO * (shape.rate_kbit or 0.0) * 1000.0 / 8
    size = int(min(LARGEST_BYTES, max(_SMALLEST_BYTES, rate_bytes_s * _INTERVAL_S)))
    count = int((lasts_s - starts_after_s) * rate_bytes_s / size)
    sends = tuple(PlannedSend(starts_after_s + step * size / rate_bytes_s, size) for step in range(count))
    # A gap of the trace may hold up what is queued.
    return ProbePlan(sends, count, lasts_s + settled_after_s(shape, size) + _GAP_ROOM_S)


def judge_saturation(
    side: Side, packets: Sequence[ProbePacket], replies: Sequence[Sequence[ProbePacket]], started_at_s: float
) -> list[Figure]:
    """Returns rate, delay and course of a saturated link against ``replies``, the link model's to the same sends."""
    mean_kbit = statistics.fmean(map(_kbit, replies))
    mean_curve = [statistics.fmean(heights) for heights in zip(*(_curve(one) for one in replies), strict=True)]
    mean_owd_ms = statistics.fmean(ProbeTrace(one, []).owd_ms() for one in replies)
    owd_tolerance = max(THOROUGH_OWD_TOLERANCE_MS, OWD_TOLERANCE_RATIO * mean_owd_ms)
    longest = _longest_gap(replies[0])
    middle_s = sum(longest) / 2.0

    def figure(name: str, says: float | None, tolerance: float, read: Reading) -> Figure:
        return figure_against_model(
            side, name, says, tolerance, read(packets), [read(one) for one in replies], len(packets)
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
    """What came, over the time that it was sent in."""
    took_s = packets[-1].sent_at_s - packets[0].sent_at_s
    return sum(packet.size_bytes for packet in _arrivals(packets)) * 8 / 1000.0 / took_s


def _curve(packets: Sequence[ProbePacket]) -> list[float]:
    """Bytes that had come by each step of time, from the first send to the last."""
    arrived = _arrivals(packets)
    times = [packet.received_at_s or 0.0 for packet in arrived]
    totals = [0, *itertools.accumulate(packet.size_bytes for packet in arrived)]
    first_s, last_s = packets[0].sent_at_s, packets[-1].sent_at_s
    steps = int((last_s - first_s) / _CURVE_STEP_S)
    return [float(totals[bisect_right(times, first_s + step * _CURVE_STEP_S)]) for step in range(steps)]


def _max_deviation(curve: Sequence[float], mean: Sequence[float]) -> float:
    """The farthest that a course strays from the model's, as a share of all that came."""
    if not mean or not mean[-1]:
        return math.nan
    return max(abs(one - other) for one, other in zip(curve, mean, strict=False)) / mean[-1]


def _longest_gap(packets: Sequence[ProbePacket]) -> tuple[float, float]:
    times = [packet.received_at_s or 0.0 for packet in _arrivals(packets)]
    gaps = [(later - earlier, earlier, later) for earlier, later in itertools.pairwise(times)]
    return max(gaps, default=(0.0, 0.0, 0.0))[1:]


def _gap(packets: Sequence[ProbePacket], moment_s: float) -> tuple[float, float]:
    """Returns the arrivals before and after a moment."""
    times = [packet.received_at_s or 0.0 for packet in _arrivals(packets)]
    place = bisect_right(times, moment_s)
    return (times[place - 1], times[place]) if 0 < place < len(times) else (math.nan, math.nan)
