"""A histogram for durations in milliseconds: 2 % wide buckets, one array, mergeable, cheap enough for every packet."""

from __future__ import annotations

import math
from array import array

FLOOR_MS = 0.05
"""Everything at or below shares one bucket: well under the resolution of the ticker."""
_GROWTH = 1.02
_SCALE = 1.0 / math.log(_GROWTH)
_OFFSET = 1.0 - math.log(FLOOR_MS) * _SCALE
_CEILING_MS = 120_000.0
_BUCKETS = int(math.log(_CEILING_MS) * _SCALE + _OFFSET) + 1
_log = math.log


class MsHistogram:
    """Counts of durations from 0.05 ms to 120 s; every figure is within 2 % of the true one."""

    __slots__ = ("_counts", "_lowest_ms")

    def __init__(self) -> None:
        self._counts = array("L", bytes(8 * _BUCKETS))
        self._lowest_ms = math.inf

    def add(self, ms: float) -> None:
        """Counts one duration. Negative ones (a skewed clock) stay visible in ``min_ms``."""
        if ms > FLOOR_MS:
            try:
                self._counts[int(_log(ms) * _SCALE + _OFFSET)] += 1
            except IndexError:
                self._counts[-1] += 1
        else:
            self._counts[0] += 1
            self._lowest_ms = min(self._lowest_ms, ms)

    @property
    def count(self) -> int:
        """How many durations were counted."""
        return sum(self._counts)

    @property
    def min_ms(self) -> float:
        """The shortest, exact below FLOOR_MS; infinite when empty."""
        if self._counts[0]:
            return self._lowest_ms
        return next((_middle_ms(bucket) for bucket, count in enumerate(self._counts) if count), math.inf)

    @property
    def max_ms(self) -> float:
        """The longest; negative infinite when empty."""
        last = next((bucket for bucket in range(_BUCKETS - 1, -1, -1) if self._counts[bucket]), None)
        return -math.inf if last is None else _middle_ms(last)

    def quantile_ms(self, q: float) -> float | None:
        """Returns the value that a share ``q`` of the durations does not exceed, None when empty."""
        total = self.count
        wanted = max(1, math.ceil(q * total))
        seen = 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                return _middle_ms(bucket)
        return None

    def merge(self, other: MsHistogram) -> None:
        """Adds the other's counts to these."""
        self._counts = array("L", map(int.__add__, self._counts, other._counts))
        self._lowest_ms = min(self._lowest_ms, other._lowest_ms)

    def clear(self) -> None:
        """Forgets everything."""
        self._counts = array("L", bytes(8 * _BUCKETS))
        self._lowest_ms = math.inf


def _middle_ms(bucket: int) -> float:
    return math.exp((bucket + 0.5 - _OFFSET) / _SCALE) if bucket else FLOOR_MS
