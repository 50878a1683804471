"""Probes how a link changes with time: plans the packets, and computes the figures of each outage and segment.

Paced packets run all the time, so both edges of every outage fall between two of them. Each segment of service also
gets a short packet train well above its rate; the train's dispersion shows the rate. The link's seed determines its
outages, so the link model knows their times. Loss and jitter are random; the model is run many times for them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from network_profiles.model import schedule
from network_profiles.model.plain_profile import PlainProfile, PlainTrace, Side
from network_profiles.model.schedule import Segment
from network_profiles.model.shape import PlainShape
from network_profiles.verification.evidence import Figure
from network_profiles.verification.probe.judge import figure_against_model
from network_profiles.verification.probe.model_replay import replay_packets, replay_seeds
from network_profiles.verification.probe.probe_plan import LARGEST_BYTES, PlannedSend, ProbePlan, settled_after_s
from network_profiles.verification.probe.saturation import judge_saturation, saturating_plan
from network_profiles.verification.probe.thorough_plan import PACED_BYTES
from network_profiles.verification.probe.tolerances import (
    EDGE_TOLERANCE_S,
    GOODPUT_TOLERANCE_RATIO,
    thorough_owd_tolerance_ms,
)
from network_profiles.verification.probe.trace import ProbePacket, ProbeTrace, rate_kbit

STARTS_AFTER_S = 0.2
"""First packet after the timeline's start, because the endpoints learn of the start a little later."""
LAST_SEGMENT_S = 5.0
_OUTAGES_WANTED = 2
_INTERVAL_S = 0.005
_UTILISATION = 0.6
_TRAIN_AFTER_S = 0.3
_TRAIN_S = 0.4
_TRAIN_RATE_FACTOR = 1.5
_TRAIN_PACKETS = 40
_MIN_TRAIN_SEGMENT_S = 1.5
_MAX_TRAIN_PACKETS_S = 4000.0
_MIN_SEGMENT_S = 0.15
_PACED = -1


@dataclass(frozen=True, slots=True)
class TimelinePlan:
    """The packets of one direction. ``train_of`` has the segment number of each send, or -1 for a paced packet."""

    segments: tuple[Segment, ...]
    plan: ProbePlan
    train_of: tuple[int, ...]


def timeline_probe_s(profile: PlainProfile, seed: int, budget_s: float) -> float:
    """Returns how long to probe: one cycle of phases, or until the second outage, at most the budget."""
    if profile.down_trace is not None or profile.up_trace is not None:
        return budget_s
    covered = merged_segments(profile, "down", seed, budget_s)
    if profile.phases:
        lasts_s = [phase.lasts_s for phase in profile.phases]
        whole_s = sum(lasts_s) + LAST_SEGMENT_S if profile.repeat else sum(lasts_s[:-1]) + LAST_SEGMENT_S
    else:
        ends_s = [one.ends_s for one in covered if one.shape is None]
        whole_s = ends_s[_OUTAGES_WANTED - 1] + 1.0 if len(ends_s) >= _OUTAGES_WANTED else budget_s
    return min(budget_s, whole_s)


def merged_segments(profile: PlainProfile, side: Side, seed: int, until_s: float) -> tuple[Segment, ...]:
    """Returns how that direction changes from the timeline's start until ``until_s``; empty when it never does."""
    timeline = profile.timeline(side, seed, 0.0)
    joined: list[Segment] = []
    for segment in schedule.timeline_segments(timeline, until_s) if timeline is not None else ():
        if joined and joined[-1].shape == segment.shape:
            joined[-1] = joined[-1]._replace(ends_s=segment.ends_s)
        else:
            joined.append(segment)
    return tuple(joined)


def timeline_plan(profile: PlainProfile, side: Side, seed: int, lasts_s: float) -> TimelinePlan:
    """Returns the packets to send during ``lasts_s`` of the timeline."""
    if _trace_of(profile, side) is not None:
        return TimelinePlan((), saturating_plan(profile.shape(side), STARTS_AFTER_S, lasts_s), ())
    covered = merged_segments(profile, side, seed, lasts_s)
    served = [one.shape for one in covered if one.shape is not None]
    slowest_kbit = min((shape.rate_kbit for shape in served if shape.rate_kbit), default=None)
    on_wire_s = PACED_BYTES * 8 / (slowest_kbit * 1000.0) if slowest_kbit else 0.0
    interval_s = max(_INTERVAL_S, on_wire_s / _UTILISATION)
    paced_sends = int((lasts_s - STARTS_AFTER_S) / interval_s)
    sends = [(PlannedSend(STARTS_AFTER_S + step * interval_s, PACED_BYTES), _PACED) for step in range(paced_sends)]
    for number, one in enumerate(covered):
        sends += [(send, number) for send in _packet_train(one)]
    sends.sort(key=lambda pair: pair[0].at_s)
    settled_s = max((settled_after_s(shape, LARGEST_BYTES) for shape in served), default=0.0)
    plan = ProbePlan(tuple(send for send, _ in sends), len(sends), lasts_s + settled_s)
    return TimelinePlan(covered, plan, tuple(number for _, number in sends))


def judge_timeline(
    side: Side,
    profile: PlainProfile,
    seed: int,
    planned: TimelinePlan,
    packets: Sequence[ProbePacket],
    started_at_s: float,
) -> list[Figure]:
    """Returns the edges of each outage, and the delay and rate of each segment of service.

    ``packets`` are the plan's packets with their arrivals, over a timeline that started at ``started_at_s``.
    """
    replies = []
    for chance in replay_seeds(len(packets)):
        link = profile.direction(side, chance)
        link.follow_timeline(profile.timeline(side, seed, started_at_s))
        replies.append(replay_packets(link, packets))
    if _trace_of(profile, side) is not None:
        return judge_saturation(side, packets, replies, started_at_s)
    figures: list[Figure] = []
    for number, one in enumerate(planned.segments):
        figures += (
            _edges(side, one, packets, replies, started_at_s)
            if one.shape is None
            else _service(side, one, one.shape, number, planned, packets, replies, started_at_s)
        )
    return figures


def _trace_of(profile: PlainProfile, side: Side) -> PlainTrace | None:
    return profile.down_trace if side == "down" else profile.up_trace


def _packet_train(segment: Segment) -> list[PlannedSend]:
    if segment.shape is None or not segment.shape.rate_kbit or segment.ends_s - segment.starts_s < _MIN_TRAIN_SEGMENT_S:
        return []
    rate_bytes_s = segment.shape.rate_kbit * 1000.0 / 8
    size = int(min(LARGEST_BYTES, max(100.0, rate_bytes_s * _TRAIN_S / _TRAIN_PACKETS)))
    interval_s = max(size / rate_bytes_s / _TRAIN_RATE_FACTOR, 1.0 / _MAX_TRAIN_PACKETS_S)
    if interval_s > size / rate_bytes_s:  # the probe cannot exceed this rate
        return []
    starts_s = segment.starts_s + max(_TRAIN_AFTER_S, STARTS_AFTER_S)
    return [PlannedSend(starts_s + step * interval_s, size) for step in range(int(_TRAIN_S / interval_s))]


def _edges(
    side: Side,
    outage: Segment,
    packets: Sequence[ProbePacket],
    replies: Sequence[Sequence[ProbePacket]],
    started_at_s: float,
) -> list[Figure]:
    figures = []
    middle_s = started_at_s + (outage.starts_s + outage.ends_s) / 2.0
    last_s = packets[-1].sent_at_s - started_at_s if packets else 0.0
    for name, wanted_s, which in (("starts_s", outage.starts_s, 0), ("ends_s", outage.ends_s, 1)):
        if not STARTS_AFTER_S < wanted_s < last_s:
            continue

        def read(some: Sequence[ProbePacket], which: int = which) -> float:
            return _gap_around(some, middle_s)[which] - started_at_s

        figure = figure_against_model(
            side, f"outage_{name}@{outage.starts_s:.1f}s", wanted_s, EDGE_TOLERANCE_S, read(packets),
            [read(reply) for reply in replies], len(packets),
        )  # fmt: skip
        figures.append(figure)
    return figures


def _gap_around(packets: Sequence[ProbePacket], moment_s: float) -> tuple[float, float]:
    """Returns when the run of lost packets around a time begins and ends: half-way to the neighbours that arrived."""
    middle = bisect_left(packets, moment_s, key=lambda packet: packet.sent_at_s)
    if middle >= len(packets) or packets[middle].received_at_s is not None:
        return math.nan, math.nan
    first = last = middle
    while first > 0 and packets[first - 1].received_at_s is None:
        first -= 1
    while last < len(packets) - 1 and packets[last + 1].received_at_s is None:
        last += 1
    begins_s = (packets[first - 1].sent_at_s + packets[first].sent_at_s) / 2.0 if first else math.nan
    at_the_end = last == len(packets) - 1
    ends_s = math.nan if at_the_end else (packets[last].sent_at_s + packets[last + 1].sent_at_s) / 2.0
    return begins_s, ends_s


def _service(
    side: Side,
    segment: Segment,
    shape: PlainShape,
    number: int,
    planned: TimelinePlan,
    packets: Sequence[ProbePacket],
    replies: Sequence[Sequence[ProbePacket]],
    started_at_s: float,
) -> list[Figure]:
    if segment.ends_s - segment.starts_s < _MIN_SEGMENT_S:
        return []
    starts_s, ends_s = started_at_s + segment.starts_s, started_at_s + segment.ends_s
    paced = [
        place
        for place, (packet, train) in enumerate(zip(packets, planned.train_of, strict=False))
        if train == _PACED and starts_s <= packet.sent_at_s < ends_s
    ]
    in_train = [place for place, train in enumerate(planned.train_of[: len(packets)]) if train == number]

    def owd_ms(some: Sequence[ProbePacket]) -> float:
        return ProbeTrace([some[place] for place in paced], []).owd_ms()

    def train_kbit(some: Sequence[ProbePacket]) -> float:
        return rate_kbit([some[place] for place in in_train])

    at = f"@{segment.starts_s:.1f}s"
    owd_tolerance = thorough_owd_tolerance_ms(shape.owd_ms)
    owds_ms = [owd_ms(reply) for reply in replies]
    figures = []
    # In a short segment with much loss even a correct link may lose every packet.
    if not (math.isnan(got_ms := owd_ms(packets)) and any(map(math.isnan, owds_ms))):
        figures.append(
            figure_against_model(side, f"owd_ms{at}", shape.owd_ms, owd_tolerance, got_ms, owds_ms, len(paced))
        )
    if in_train and shape.rate_kbit:
        tolerance = GOODPUT_TOLERANCE_RATIO * shape.rate_kbit
        kbits = [train_kbit(reply) for reply in replies]
        figures.append(
            figure_against_model(
                side, f"goodput_kbit{at}", shape.rate_kbit, tolerance, train_kbit(packets), kbits, len(in_train)
            )
        )
    return figures
