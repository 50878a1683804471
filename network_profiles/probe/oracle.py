"""What the link model says of a probe: the sends that really happened, through fresh links of many seeds."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from typing import NamedTuple

from network_profiles.link import LinkDirection
from network_profiles.probe.trace import Packet, Trace
from network_profiles.shape import Shape

_OFFERS = 60_000
_FEWEST_RUNS, _MOST_RUNS = 12, 64


class Expected(NamedTuple):
    """Mean and standard deviation of a figure over the model's runs."""

    mean: float
    deviation: float


def replay(direction: Shape, trace: Trace) -> list[Trace]:
    """Returns what became of the same sends on links that are what ``direction`` says, a seed each."""
    offers = len(trace.paced) + len(trace.flood)
    runs = max(_FEWEST_RUNS, min(_MOST_RUNS, _OFFERS // max(1, offers)))
    replies = []
    for seed in range(runs):
        link = LinkDirection(direction, random.Random(seed))
        replies.append(Trace([_offer(link, one) for one in trace.paced], [_offer(link, one) for one in trace.flood]))
    return replies


def expected(replies: list[Trace], figure: Callable[[Trace], float]) -> Expected:
    """Returns the figure over all replies that have it."""
    values = [value for reply in replies if not math.isnan(value := figure(reply))]
    if len(values) < 2:
        return Expected(math.nan, math.nan)
    return Expected(statistics.fmean(values), statistics.stdev(values))


def _offer(link: LinkDirection, packet: Packet) -> Packet:
    return Packet(packet.size_bytes, packet.sent_at_s, link.offer(packet.sent_at_s, packet.size_bytes).at_s)
