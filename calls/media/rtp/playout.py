"""The listener's playout buffer, modelled: how much of what arrived came too late to be heard.

The buffer follows Ramjee, Kurose, Towsley, Schulzrinne, "Adaptive playout mechanisms for packetized audio applications
in wide-area networks" (INFOCOM 1994): its target is the smoothed delay plus four deviations. As the jitter buffers of
today's phones do, it grows at once when a packet comes after its time (the wait is filled with concealment, and counts
as lost audio) and shrinks by playing faster, here by at most 2 % of the time.
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
    """Fed with each packet's transit time; all delays are over the fastest packet so far."""

    __slots__ = ("_deviation_ms", "_fastest_ms", "_mean_ms", "delay_ms")

    def __init__(self) -> None:
        self._fastest_ms = float("inf")
        self._mean_ms = 0.0
        self._deviation_ms = _START_MS / _DEVIATIONS / 2
        self.delay_ms = _START_MS
        """What the buffer adds to the fastest packet's way."""

    def offer(self, transit_ms: float, ptime_ms: float) -> float:
        """Takes a packet; returns how much concealment it caused by coming late, in packets, 0 when in time.

        ``transit_ms`` is arrival minus media time, with any constant offset.
        """
        if transit_ms < self._fastest_ms:
            if self._fastest_ms != float("inf"):
                # The yardstick moved: what was measured against it moves the other way.
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
            # Beyond the ceiling the buffer does not follow, and the packet itself is thrown away.
            return late_packets + 1.0 if over_ms > CEILING_MS else late_packets
        target_ms = max(FLOOR_MS, self._mean_ms + _DEVIATIONS * self._deviation_ms)
        if target_ms < self.delay_ms:
            self.delay_ms = max(target_ms, self.delay_ms - _SHRINK * ptime_ms)
        return 0.0
