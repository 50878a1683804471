"""A histogram for durations in milliseconds: 2 % wide buckets, one array, mergeable, cheap enough for every packet."""

from __future__ import annotations

import math
from array import array

FLOOR_MS = 0.05
"""Everything at or below counts as this: well under the resolution of the ticker."""
_GROWTH = 1.02
_SCALE = 1.0 / math.log(_GROWTH)
_BUCKETS = int(math.log(120_000.0 / FLOOR_MS) * _SCALE) + 2
_log = math.log


class MsHistogram:
    """Counts of durations from 0.05 ms to 120 s; quantiles are within 2 % of the true value."""

    __slots__ = ("_counts", "count", "max_ms", "min_ms")

    def __init__(self) -> None:
        self._counts = array("L", bytes(8 * _BUCKETS))
        self.count = 0
        self.max_ms = -math.inf
        self.min_ms = math.inf

    def add(self, ms: float) -> None:
        """Counts one duration. Negative ones (a skewed clock) stay visible in ``min_ms``."""
        self.count += 1
        self.max_ms = max(self.max_ms, ms)
        self.min_ms = min(self.min_ms, ms)
        bucket = int(_log(ms / FLOOR_MS) * _SCALE) + 1 if ms > FLOOR_MS else 0
        self._counts[bucket if bucket < _BUCKETS else _BUCKETS - 1] += 1

    def quantile_ms(self, q: float) -> float | None:
        """Returns the value that a share ``q`` of the durations does not exceed, None when empty."""
        if not self.count:
            return None
        wanted = max(1, math.ceil(q * self.count))
        seen = 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                if bucket == 0:
                    return max(0.0, min(FLOOR_MS, self.max_ms))
                middle_ms = FLOOR_MS * math.exp((bucket - 0.5) / _SCALE)
                return min(max(middle_ms, self.min_ms), self.max_ms)
        return self.max_ms

    def merge(self, other: MsHistogram) -> None:
        """Adds the other's counts to these."""
        self._counts = array("L", map(int.__add__, self._counts, other._counts))
        self.count += other.count
        self.max_ms = max(self.max_ms, other.max_ms)
        self.min_ms = min(self.min_ms, other.min_ms)

    def clear(self) -> None:
        """Forgets everything."""
        self._counts = array("L", bytes(8 * _BUCKETS))
        self.count = 0
        self.max_ms = -math.inf
        self.min_ms = math.inf
