"""What the link model says of a probe: the sends that really happened, through fresh links of many seeds."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from network_profiles.model.link import LinkDirection
from network_profiles.model.shape import Shape
from network_profiles.verification.probe.trace import Packet, Trace

_OFFERS = 60_000
_FEWEST_RUNS, _MOST_RUNS = 12, 64


class Expected(NamedTuple):
    """Mean and standard deviation of a figure over the model's runs."""

    mean: float
    deviation: float
    runs: int = 0
    """That both were read from."""


def replay(direction: Shape, trace: Trace) -> list[Trace]:
    """Returns what became of the same sends on links that are what ``direction`` says, a seed each."""
    links = [LinkDirection(direction, random.Random(seed)) for seed in seeds(len(trace.paced) + len(trace.flood))]
    return [Trace(offer_all(link, trace.paced), offer_all(link, trace.flood)) for link in links]


def seeds(offers: int) -> range:
    """Returns as many seeds as a replay of so many packets can afford."""
    return range(max(_FEWEST_RUNS, min(_MOST_RUNS, _OFFERS // max(1, offers))))


def offer_all(link: LinkDirection, packets: Sequence[Packet]) -> list[Packet]:
    """Returns what ``link`` makes of the same sends at the same moments."""
    return [_offer(link, one) for one in packets]


def expected(values: Iterable[float]) -> Expected:
    """Returns a figure over all replies that have it."""
    known = [value for value in values if not math.isnan(value)]
    if len(known) < 2:
        return Expected(math.nan, math.nan)
    return Expected(statistics.fmean(known), statistics.stdev(known), len(known))


def _offer(link: LinkDirection, packet: Packet) -> Packet:
    return Packet(packet.size_bytes, packet.sent_at_s, link.offer(packet.sent_at_s, packet.size_bytes).at_s)
