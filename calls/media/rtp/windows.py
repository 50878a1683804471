"""Divides what a listener receives into windows of 5 s, the unit of the voice quality model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from calls.media.interface import AudioWindow

WINDOW_S = 5.0
_SHORTEST_S = 1.0
"""A shorter rest at the end of a call is not scored."""
_SHORTEST_TALK_MS = 1000.0
"""With less talk than this in a window, the rate comes from all talk up to now."""
LOOK_AHEAD_MS = 6.5
"""Opus's algorithmic delay in addition to the frame (RFC 6716: 2.5 ms look-ahead, up to 4 ms of resampling)."""


@dataclass(slots=True)
class _WindowCounts:
    """Counts of the window in progress."""

    received: int = 0
    lost: int = 0
    late: float = 0.0
    runs: int = 0
    """Uninterrupted runs of lost or late packets."""
    talk_bytes: int = 0
    talk_ms: float = 0.0
    owd_sum_ms: float = 0.0
    owd_count: int = 0
    owd_min_ms: float = math.inf
    owd_max_ms: float = -math.inf
    playout_delay_ms: float = 0.0


class WindowCounter:
    """Counts one window at a time. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.finished: list[AudioWindow] = []
        self._start_s = 0.0
        self._end_s = 0.0
        self._already_lost = 0
        self._talk_bytes = 0
        self._talk_ms = 0.0
        self._kbit = 0.0
        """Kept where too little was said to measure it (G.107: codec impairment does not change in a pause)."""
        self._tally = _WindowCounts()

    def start(self, now_s: float) -> None:
        """Starts the first window, or the first after a hold."""
        self._start_s, self._end_s = now_s, now_s + WINDOW_S
        self._already_lost = 0
        self._tally = _WindowCounts()

    def packet(
        self,
        now_s: float,
        gap: int,
        late: float,
        payload_size: int,
        owd_ms: float | None,
        playout_delay_ms: float,
        ptime_ms: float,
        talk: bool = True,
    ) -> None:
        """Counts a packet, the ``gap`` packets missing before it, and the concealment ``late`` that it caused.

        ``talk`` is False for comfort noise, which says nothing about the codec's rate.
        """
        if now_s >= self._end_s:
            self._close_until(now_s, ptime_ms)
        tally = self._tally
        tally.received += 1
        if gap:
            # Windows without packets have already counted some of these as lost.
            gap = max(0, gap - self._already_lost)
            tally.lost += gap
            tally.runs += 1 if gap else 0
        self._already_lost = 0
        if late:
            tally.late += late
            tally.runs += 1
        if talk:
            tally.talk_bytes += payload_size
            tally.talk_ms += ptime_ms
        tally.playout_delay_ms = playout_delay_ms
        if owd_ms is not None:
            tally.owd_sum_ms += owd_ms
            tally.owd_count += 1
            tally.owd_min_ms = min(tally.owd_min_ms, owd_ms)
            tally.owd_max_ms = max(tally.owd_max_ms, owd_ms)

    def reordered_packet(self) -> None:
        """Counts a packet that was counted as missing and arrived out of order."""
        self._tally.received += 1
        self._tally.lost = max(0, self._tally.lost - 1)

    def finish(self, now_s: float, ptime_ms: float) -> None:
        """The call ends. The rest counts when it is long enough to score."""
        self._close_until(now_s, ptime_ms)
        if now_s - self._start_s >= _SHORTEST_S:
            self._finish_one(now_s, ptime_ms)

    def _close_until(self, now_s: float, ptime_ms: float) -> None:
        while now_s >= self._end_s:
            self._finish_one(self._end_s, ptime_ms)

    def _finish_one(self, end_s: float, ptime_ms: float) -> None:
        tally, duration_s = self._tally, end_s - self._start_s
        if not tally.received:
            tally.lost, tally.runs = round(duration_s * 1000 / ptime_ms), 1
            self._already_lost += tally.lost
        expected = tally.received + tally.lost
        missing = tally.lost + tally.late
        loss_ratio = min(1.0, missing / expected)
        owd_ms = tally.owd_sum_ms / tally.owd_count if tally.owd_count else None
        self._talk_bytes += tally.talk_bytes
        self._talk_ms += tally.talk_ms
        if tally.talk_ms >= _SHORTEST_TALK_MS:
            self._kbit = tally.talk_bytes * 8 / tally.talk_ms
        elif self._talk_ms:
            self._kbit = self._talk_bytes * 8 / self._talk_ms
        talked_ms = tally.talk_ms + tally.lost * ptime_ms
        ear_ms = ptime_ms + LOOK_AHEAD_MS + tally.owd_min_ms + tally.playout_delay_ms
        self.finished.append(
            AudioWindow(
                start_at_s=self._start_s,
                duration_s=duration_s,
                expected=expected,
                received=tally.received,
                lost=tally.lost,
                late=round(tally.late),
                burst_ratio=max(1.0, missing / tally.runs * (1 - loss_ratio)) if tally.runs else 1.0,
                owd_ms=owd_ms,
                playout_delay_ms=tally.playout_delay_ms,
                mouth_to_ear_ms=ear_ms if owd_ms is not None else None,
                audio_kbit=self._kbit,
                ptime_ms=ptime_ms,
                talk_ratio=min(1.0, talked_ms / (duration_s * 1000)),
                owd_max_ms=tally.owd_max_ms if owd_ms is not None else None,
            )
        )
        self._start_s, self._end_s = end_s, end_s + WINDOW_S
        self._tally = _WindowCounts()
