"""Draws the length of conversations: log-normal, cut off at both ends.

Conversation lengths are log-normal far better than exponential (Bolotin, "Telephone circuit holding time
distributions", ITC 14, 1994; Guo et al., "Estimate the call duration distribution parameters in GSM system", 2007).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from statistics import NormalDist

_STEPS = 400


@dataclass(frozen=True, slots=True)
class TalkTime:
    """A log-normal length in seconds, drawn anew when it falls outside ``[min_s, max_s]``."""

    median_s: float
    sigma: float
    """Standard deviation of the logarithm; 0 makes every call ``median_s`` long."""
    min_s: float
    max_s: float

    def draw(self, rng: random.Random) -> float:
        """Returns one length: the inverse of the truncated distribution, so that one draw takes one random number."""
        return self.quantile(rng.random())

    def quantile(self, probability: float) -> float:
        """Returns the length that ``probability`` of all calls stay below, 0..1."""
        if self.sigma == 0:
            return self.median_s
        low, high = self._cut(self.min_s), self._cut(self.max_s)
        inside = min(max(low + probability * (high - low), 1e-12), 1 - 1e-12)
        length_s = self.median_s * math.exp(self.sigma * NormalDist().inv_cdf(inside))
        return min(max(length_s, self.min_s), self.max_s)

    def survival(self, age_s: float) -> float:
        """Returns the share of calls that are longer than ``age_s``."""
        if self.sigma == 0:
            return 1.0 if age_s < self.median_s else 0.0
        if age_s < self.min_s:
            return 1.0
        if age_s >= self.max_s:
            return 0.0
        low, high = self._cut(self.min_s), self._cut(self.max_s)
        return (high - self._cut(age_s)) / (high - low)

    def mean_s(self) -> float:
        """Returns the mean length, by the midpoint rule over the quantiles."""
        return sum(self.quantile((step + 0.5) / _STEPS) for step in range(_STEPS)) / _STEPS

    def _cut(self, at_s: float) -> float:
        return NormalDist().cdf(math.log(at_s / self.median_s) / self.sigma)
