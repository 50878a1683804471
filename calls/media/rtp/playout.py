"""Models the listener's playout buffer: how much of the received audio arrived too late to be heard.

The buffer follows Ramjee, Kurose, Towsley, Schulzrinne, "Adaptive playout mechanisms for packetized audio applications
in wide-area networks" (INFOCOM 1994): its target is the smoothed delay plus four deviations. Like the jitter buffers of
today's phones, it grows at once when a packet is late (concealment fills the wait and counts as lost audio). It shrinks
by playing faster, here by at most 2 % of the time.
"""

from __future__ import annotations

FLOOR_MS = 20.0
CEILING_MS = 2000.0
_START_MS = 60.0
_SMOOTHING = 0.998002
"""The paper's alpha."""
_DEVIATIONS = 4.0
_SHRINK = 0.02


class PlayoutBuffer:
    """Takes each packet's transit time. All delays are relative to the fastest packet so far."""

    __slots__ = ("_deviation_ms", "_fastest_ms", "_mean_ms", "delay_ms")

    def __init__(self) -> None:
        self._fastest_ms = float("inf")
        self._mean_ms = 0.0
        self._deviation_ms = _START_MS / _DEVIATIONS / 2
        self.delay_ms = _START_MS
        """Delay that the buffer adds to that of the fastest packet."""

    def offer(self, transit_ms: float, ptime_ms: float) -> float:
        """Takes a packet; returns how much concealment its lateness caused, in packets; 0 when in time.

        ``transit_ms`` is arrival minus media time, with any constant offset.
        """
        if transit_ms < self._fastest_ms:
            if self._fastest_ms != float("inf"):
                # The reference moved: measured values move the other way.
                self._mean_ms += self._fastest_ms - transit_ms
                self.delay_ms = min(CEILING_MS, self.delay_ms + self._fastest_ms - transit_ms)
            self._fastest_ms = transit_ms
        over_ms = transit_ms - self._fastest_ms
        self._mean_ms = _SMOOTHING * self._mean_ms + (1 - _SMOOTHING) * over_ms
        self._deviation_ms = _SMOOTHING * self._deviation_ms + (1 - _SMOOTHING) * abs(over_ms - self._mean_ms)
        if over_ms > self.delay_ms:
            grown_ms = min(over_ms, CEILING_MS)
            late_packets = (grown_ms - self.delay_ms) / ptime_ms
            self.delay_ms = grown_ms
            # Beyond the ceiling the buffer does not grow, and the packet itself is discarded.
            return late_packets + 1.0 if over_ms > CEILING_MS else late_packets
        target_ms = max(FLOOR_MS, self._mean_ms + _DEVIATIONS * self._deviation_ms)
        if target_ms < self.delay_ms:
            self.delay_ms = max(target_ms, self.delay_ms - _SHRINK * ptime_ms)
        return 0.0
