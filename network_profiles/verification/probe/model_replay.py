"""What the link model says of a probe: the sends that really happened, through fresh links of many seeds."""

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
    """That both were read from."""


def replay(direction: Shape, trace: ProbeTrace) -> list[ProbeTrace]:
    """Returns what became of the same sends on links that are what ``direction`` says, a seed each."""
    links = [
        LinkDirection(direction, random.Random(seed)) for seed in replay_seeds(len(trace.paced) + len(trace.flood))
    ]
    return [ProbeTrace(replay_packets(link, trace.paced), replay_packets(link, trace.flood)) for link in links]


def replay_seeds(offers: int) -> range:
    """Returns as many seeds as a replay of so many packets can afford."""
    return range(max(_FEWEST_RUNS, min(_MOST_RUNS, _OFFERS // max(1, offers))))


def replay_packets(link: LinkDirection, packets: Sequence[ProbePacket]) -> list[ProbePacket]:
    """Returns what ``link`` makes of the same sends at the same moments."""
    return [_offer(link, one) for one in packets]


def estimate(values: Iterable[float]) -> ModelEstimate:
    """Returns a figure over all replies that have it."""
    known = [value for value in values if not math.isnan(value)]
    if len(known) < 2:
        return ModelEstimate(math.nan, math.nan)
    return ModelEstimate(statistics.fmean(known), statistics.stdev(known), len(known))


def _offer(link: LinkDirection, packet: ProbePacket) -> ProbePacket:
    return ProbePacket(packet.size_bytes, packet.sent_at_s, link.offer(packet.sent_at_s, packet.size_bytes).at_s)
