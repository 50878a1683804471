"""Computes a direction's figures from a probe, with bounds from the link model's replay of the same packets.

The bounds lie around the model's mean. The short probe before a matrix cell allows the tolerance plus three standard
deviations of chance: on a 2G link with much jitter its bounds are wide, so a correct link does not fail. The thorough
probe sends enough packets to make chance small. It allows the tolerance alone, or four standard deviations of chance
where its budget was too short to make those smaller.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bedrock.intervals import proportion_bounds
from network_profiles.links.counters import DirectionCounters
from network_profiles.model.shape import Shape
from network_profiles.verification.evidence import Figure
from network_profiles.verification.probe.loss_interval import central_interval, loss_counts
from network_profiles.verification.probe.model_replay import ModelEstimate, estimate, replay
from network_profiles.verification.probe.tolerances import (
    BURST_TOLERANCE_RATIO,
    GOODPUT_TOLERANCE_RATIO,
    JITTER_TOLERANCE_MS,
    JITTER_TOLERANCE_RATIO,
    LATE_P99_LIMIT_MS,
    LOSS_CONFIDENCE,
    OWD_TOLERANCE_MS,
    OWD_TOLERANCE_RATIO,
    P95_TOLERANCE_MS,
    P95_TOLERANCE_RATIO,
    QUEUE_TOLERANCE_MS,
    QUEUE_TOLERANCE_RATIO,
    THOROUGH_SIGMAS,
    thorough_owd_tolerance_ms,
)
from network_profiles.verification.probe.trace import ProbeTrace

_SHORT_SIGMAS = 3.0

Reading = Callable[[ProbeTrace], float]


def judge(side: str, direction: Shape, trace: ProbeTrace, reordered: int, daemon: DirectionCounters) -> list[Figure]:
    """Returns the figures of a short probe. ``daemon`` has the link's own counters during the probe."""
    replies = replay(direction, trace)

    def figure(name: str, profile_value: float, tolerance: float, read: Reading, samples: int) -> Figure:
        model = estimate(read(one) for one in replies)
        allowance = tolerance + _SHORT_SIGMAS * model.deviation
        return Figure(
            side, name, profile_value, _known(read(trace)), model.mean - allowance, model.mean + allowance, samples
        )

    owd_tolerance = max(OWD_TOLERANCE_MS, OWD_TOLERANCE_RATIO * direction.owd_ms)
    figures = [
        figure("owd_ms", direction.owd_ms, owd_tolerance, ProbeTrace.owd_ms, _received_paced(trace)),
        _loss(side, direction, trace),
    ]
    if direction.rate_kbit is not None:
        goodput_tolerance = GOODPUT_TOLERANCE_RATIO * direction.rate_kbit
        figures += [
            figure(
                "goodput_kbit", direction.rate_kbit, goodput_tolerance, ProbeTrace.goodput_kbit, _received_flood(trace)
            ),
            figure(
                "queue_ms", direction.queue_ms, _queue_tolerance(direction), ProbeTrace.queue_ms, _received_flood(trace)
            ),
        ]
    return [*figures, *harness_figures(side, len(trace.paced) + len(trace.flood), reordered, daemon)]


def judge_thoroughly(
    side: str, direction: Shape, trace: ProbeTrace, reordered: int, daemon: DirectionCounters
) -> list[Figure]:
    """Returns the figures of a thorough probe: those of a short one, plus jitter, 95th percentile and loss bursts."""
    replies = replay(direction, trace)

    def figure(name: str, profile_value: float | None, tolerance: float, read: Reading, samples: int) -> Figure:
        return figure_against_model(
            side, name, profile_value, tolerance, read(trace), [read(one) for one in replies], samples
        )

    heard, owd_ms = _received_paced(trace), direction.owd_ms
    owd_tolerance = thorough_owd_tolerance_ms(owd_ms)
    p95_tolerance = max(P95_TOLERANCE_MS, P95_TOLERANCE_RATIO * owd_ms)
    # Keeping order reduces jitter. A tolerance relative to the profile's own value would pass wrong links.
    jitter_ms = estimate(one.jitter_ms() for one in replies).mean
    jitter_tolerance = max(JITTER_TOLERANCE_MS, JITTER_TOLERANCE_RATIO * jitter_ms)
    figures = [
        figure("owd_ms", owd_ms, owd_tolerance, ProbeTrace.owd_ms, heard),
        figure("owd_p95_ms", None, p95_tolerance, ProbeTrace.owd_p95_ms, heard),
        figure("jitter_ms", direction.jitter_ms, jitter_tolerance, ProbeTrace.jitter_ms, heard),
        _loss(side, direction, trace),
    ]
    if 0.0 < direction.loss_ratio < 1.0 and trace.lost():
        burst = direction.loss_burst_packets
        figures.append(
            figure("burst_packets", burst, BURST_TOLERANCE_RATIO * burst, ProbeTrace.burst_packets, trace.lost())
        )
    if direction.rate_kbit is not None:
        tolerance = GOODPUT_TOLERANCE_RATIO * direction.rate_kbit
        figures += [
            figure("goodput_kbit", direction.rate_kbit, tolerance, ProbeTrace.goodput_kbit, _received_flood(trace)),
            figure(
                "queue_ms", direction.queue_ms, _queue_tolerance(direction), ProbeTrace.queue_ms, _received_flood(trace)
            ),
        ]
    return [*figures, *harness_figures(side, len(trace.paced) + len(trace.flood), reordered, daemon)]


def figure_against_model(
    side: str,
    name: str,
    profile_value: float | None,
    tolerance: float,
    got: float,
    replies: Sequence[float],
    samples: int,
) -> Figure:
    """Returns a figure whose bounds come from many replays of the same packets through the link model."""
    model = estimate(replies)
    allowance = max(tolerance, THOROUGH_SIGMAS * _deviation_upper_bound(model))
    wanted = model.mean if profile_value is None else profile_value
    return Figure(
        side, name, wanted, _known(got), model.mean - allowance, model.mean + allowance, samples, expected=model.mean
    )  # fmt: skip


def harness_figures(side: str, packets: int, reordered: int, daemon: DirectionCounters) -> list[Figure]:
    """Returns the figures that must hold on any link: order kept, no drops and little lateness of our own process."""
    figures = [
        Figure(side, "reordered_packets", 0, reordered, 0, 0, packets),
        Figure(side, "harness_drops", 0, daemon.refused + daemon.overrun, 0, 0, packets),
    ]
    if daemon.late_p99_ms is not None:
        figures.append(Figure(side, "late_p99_ms", 0, daemon.late_p99_ms, 0, LATE_P99_LIMIT_MS, packets))
    return figures


def _loss(side: str, direction: Shape, trace: ProbeTrace) -> Figure:
    packets, lost = len(trace.paced), trace.lost()
    counts = loss_counts(packets, direction.loss_ratio, direction.loss_burst_packets)
    low, high = central_interval(counts, LOSS_CONFIDENCE)
    seen = proportion_bounds(lost, packets, (1.0 + LOSS_CONFIDENCE) / 2.0)
    return Figure(
        side, "loss_ratio", direction.loss_ratio, lost / packets, low / packets, high / packets, packets,
        interval=(seen.low, seen.high),
    )  # fmt: skip


def _queue_tolerance(direction: Shape) -> float:
    return max(QUEUE_TOLERANCE_MS, QUEUE_TOLERANCE_RATIO * direction.queue_ms)


def _received_paced(trace: ProbeTrace) -> int:
    return len(trace.paced) - trace.lost()


def _received_flood(trace: ProbeTrace) -> int:
    return sum(packet.received_at_s is not None for packet in trace.flood)


def _deviation_upper_bound(model: ModelEstimate) -> float:
    """Returns an upper bound of the deviation with 90 % confidence, because a dozen runs may underestimate it."""
    if model.runs < 2:
        return model.deviation
    from scipy.special import chdtri

    freedom = model.runs - 1
    return model.deviation * math.sqrt(freedom / float(chdtri(freedom, 0.9)))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
