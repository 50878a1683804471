"""Generates cellular traces: service with gaps, and a random rate during service.

The process, per direction:

- **Gaps** (a fade, a tunnel, a change of cell): service of exponential length, mean ``gap_every_s``, then a gap whose
  length is log-normal, median ``gap_median_s`` and ``gap_spread`` its logarithm's standard deviation, cut at
  ``gap_longest_s``. In a gap nothing leaves, and packets wait in the queue.
- **Rate** in service: log-normal around a median, ``spread`` its logarithm's standard deviation, cut at ``peak_ratio``
  times that median (a bearer has a ceiling). The logarithm is an autoregressive process of order one in steps of
  100 ms, whose correlation falls to 1/e after ``coherence_s``.
- The median is chosen so that the long-term mean, with gaps at rate 0, is the direction's ``rate_kbit``.

Both directions of one seed draw their gaps from one random stream: with equal gap parameters they fade together.
The mean of a log-normal variable cut at c: ``exp(s^2/2) Phi(ln c / s - s) + c (1 - Phi(ln c / s))`` times its median.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import NamedTuple

STEP_S = 0.1
"""Time between two changes of the rate."""
MIN_KBIT = 1.0
"""The lowest rate in service."""

RateSegment = tuple[float, float]
"""A duration in seconds and its rate in kbit/s; 0 in a gap."""


class RateProcess(NamedTuple):
    """The parameters of the process. ``network_profiles.model.profile.TraceProcess`` validates them."""

    spread: float
    peak_ratio: float
    coherence_s: float
    gap_every_s: float
    gap_median_s: float
    gap_spread: float
    gap_longest_s: float

    @property
    def mean_gap_s(self) -> float:
        """Mean length of a gap."""
        return self.gap_median_s * cut_log_normal_mean(self.gap_spread, self.gap_longest_s / self.gap_median_s)

    @property
    def gap_share(self) -> float:
        """Share of the time without service."""
        return self.mean_gap_s / (self.mean_gap_s + self.gap_every_s)

    def median_kbit(self, mean_kbit: float) -> float:
        """Returns the median rate in service that gives a long-term mean of ``mean_kbit``."""
        return mean_kbit / (1.0 - self.gap_share) / cut_log_normal_mean(self.spread, self.peak_ratio)


def cut_log_normal_mean(spread: float, cut: float) -> float:
    """Returns the mean of a log-normal variable of median 1, its values limited to ``cut``."""
    if spread == 0:
        return min(1.0, cut)
    at = math.log(cut) / spread
    return math.exp(spread * spread / 2.0) * _normal_cdf(at - spread) + cut * (1.0 - _normal_cdf(at))


def generate(process: RateProcess, mean_kbit: float, *, seed: str, side: str) -> Iterator[RateSegment]:
    """Yields the trace for ever. The same seed and side give the same trace; ``side`` changes only the rate."""
    rates = _rates(process, mean_kbit, random.Random(f"{seed}/{side}/rates"))
    for service_s, gap_s in _gaps(process, random.Random(f"{seed}/gaps")):
        left_s = service_s
        while left_s > STEP_S:
            yield STEP_S, next(rates)
            left_s -= STEP_S
        yield left_s, next(rates)
        yield gap_s, 0.0


def _gaps(process: RateProcess, rng: random.Random) -> Iterator[tuple[float, float]]:
    while True:
        service_s = rng.expovariate(1.0 / process.gap_every_s)
        gap_s = process.gap_median_s * math.exp(process.gap_spread * rng.gauss(0.0, 1.0))
        yield service_s, min(gap_s, process.gap_longest_s)


def _rates(process: RateProcess, mean_kbit: float, rng: random.Random) -> Iterator[float]:
    median_kbit = process.median_kbit(mean_kbit)
    kept = math.exp(-STEP_S / process.coherence_s)
    fresh = math.sqrt(1.0 - kept * kept)
    deviation = rng.gauss(0.0, 1.0)
    while True:
        factor = min(math.exp(process.spread * deviation), process.peak_ratio)
        yield max(MIN_KBIT, median_kbit * factor)
        deviation = kept * deviation + fresh * rng.gauss(0.0, 1.0)


def _normal_cdf(value: float) -> float:
    return 0.5 * (1.0 + math.erf(value / math.sqrt(2.0)))
