"""Replays a probe's packets through the link model, over new links with many seeds."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from network_profiles.model.link import LinkDirection
from network_profiles.model.shape import Shape
from network_profiles.verification.probe.trace import ProbePacket, ProbeTrace

_OFFERS = 60_000
_FEWEST_RUNS, _MOST_RUNS = 12, 64


class ModelEstimate(NamedTuple):
    """Mean and standard deviation of a figure over the model's runs."""

    mean: float
    deviation: float
    runs: int = 0
    """Number of runs behind both."""


def replay(direction: Shape, trace: ProbeTrace) -> list[ProbeTrace]:
    """Returns the same packets replayed over correct links of ``direction``, one link per seed."""
    links = [
        LinkDirection(direction, random.Random(seed)) for seed in replay_seeds(len(trace.paced) + len(trace.flood))
    ]
    return [ProbeTrace(replay_packets(link, trace.paced), replay_packets(link, trace.flood)) for link in links]


def replay_seeds(offers: int) -> range:
    """Returns the seeds for replays of ``offers`` packets: the more packets, the fewer seeds."""
    return range(max(_FEWEST_RUNS, min(_MOST_RUNS, _OFFERS // max(1, offers))))


def replay_packets(link: LinkDirection, packets: Sequence[ProbePacket]) -> list[ProbePacket]:
    """Returns the same packets, sent at the same times, with their arrival over ``link``."""
    return [_offer(link, one) for one in packets]


def estimate(values: Iterable[float]) -> ModelEstimate:
    """Returns the mean and deviation over all values that are not NaN."""
    known = [value for value in values if not math.isnan(value)]
    if len(known) < 2:
        return ModelEstimate(math.nan, math.nan)
    return ModelEstimate(statistics.fmean(known), statistics.stdev(known), len(known))


def _offer(link: LinkDirection, packet: ProbePacket) -> ProbePacket:
    return ProbePacket(packet.size_bytes, packet.sent_at_s, link.offer(packet.sent_at_s, packet.size_bytes).at_s)
