"""Counts how late packets left against the link model's time. High lateness shows a slow machine."""

from __future__ import annotations

from typing import Final

STEP_MS: Final = 0.05
STEPS: Final = 2000


class Lateness:
    """A histogram in steps of 0.05 ms up to 100 ms, and the maximum."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Clears all counts."""
        self._counts = [0] * (STEPS + 1)
        self._packets = 0
        self.max_ms = 0.0

    def add(self, late_s: float) -> None:
        """Counts one packet."""
        late_ms = late_s * 1000.0
        self._counts[min(STEPS, int(late_ms / STEP_MS))] += 1
        self._packets += 1
        self.max_ms = max(self.max_ms, late_ms)

    def percentile_ms(self, share: float) -> float:
        """Returns the upper edge of the step with that percentile; 0 when nothing was counted."""
        left = share * self._packets
        for step, count in enumerate(self._counts):
            left -= count
            if count and left <= 0:
                return min((step + 1) * STEP_MS, self.max_ms)
        return 0.0
