"""Cuts what a listener hears into windows of 5 s, the unit that a voice-quality model judges."""

from __future__ import annotations

from calls.media.interface import AudioWindow

WINDOW_S = 5.0
_SHORTEST_S = 1.0
"""A shorter rest at the end of a call is too little to judge."""
LOOK_AHEAD_MS = 6.5
"""Opus's algorithmic delay beside the frame itself, RFC 6716 (2.5 ms look-ahead and up to 4 ms resampling)."""


class WindowCounter:
    """Counts one window at a time. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.finished: list[AudioWindow] = []
        self._start_s = 0.0
        self._end_s = 0.0
        self._already_lost = 0
        self._clear()

    def start(self, now_s: float) -> None:
        """The first window begins."""
        self._start_s, self._end_s = now_s, now_s + WINDOW_S

    def packet(
        self,
        now_s: float,
        gap: int,
        late: float,
        payload_size: int,
        owd_ms: float | None,
        playout_delay_ms: float,
        ptime_ms: float,
    ) -> None:
        """Counts a packet heard, the ``gap`` packets missing before it and the ``late`` concealment it caused."""
        if now_s >= self._end_s:
            self._close_until(now_s, ptime_ms)
        if gap:
            # Whole windows of silence have counted these already.
            counted = min(gap, self._already_lost)
            gap -= counted
            self._already_lost = 0
        self._received += 1
        if gap:
            self._lost += gap
            self._runs += 1
        if late:
            self._late += late
            self._runs += 1
        self._bytes += payload_size
        if owd_ms is not None:
            self._owd_sum_ms += owd_ms
            self._owd_count += 1
            self._owd_min_ms = min(self._owd_min_ms, owd_ms)
        self._playout_ms = playout_delay_ms

    def found_again(self) -> None:
        """A packet counted as missing came after all, out of order."""
        self._received += 1
        if self._lost:
            self._lost -= 1

    def finish(self, now_s: float, ptime_ms: float) -> None:
        """The call ends: the rest counts when it is long enough to judge."""
        self._close_until(now_s, ptime_ms)
        rest_s = now_s - self._start_s
        if rest_s >= _SHORTEST_S:
            if not self._received:
                self._lost, self._runs = round(rest_s * 1000 / ptime_ms), 1
            self._finish_one(now_s, ptime_ms)

    def _close_until(self, now_s: float, ptime_ms: float) -> None:
        while now_s >= self._end_s:
            if not self._received:
                self._lost = round(WINDOW_S * 1000 / ptime_ms)
                self._runs = 1
                self._already_lost += self._lost
            self._finish_one(self._end_s, ptime_ms)

    def _finish_one(self, end_s: float, ptime_ms: float) -> None:
        duration_s = end_s - self._start_s
        expected = self._received + self._lost
        missing = self._lost + self._late
        share = min(1.0, missing / expected) if expected else 0.0
        owd_ms = self._owd_sum_ms / self._owd_count if self._owd_count else None
        self.finished.append(
            AudioWindow(
                start_at_s=self._start_s,
                duration_s=duration_s,
                expected=expected,
                received=self._received,
                lost=self._lost,
                late=round(self._late),
                burst_ratio=max(1.0, missing / self._runs * (1 - share)) if self._runs else 1.0,
                owd_ms=owd_ms,
                playout_delay_ms=self._playout_ms,
                mouth_to_ear_ms=None
                if owd_ms is None
                else ptime_ms + LOOK_AHEAD_MS + self._owd_min_ms + self._playout_ms,
                audio_kbit=self._bytes * 8 / 1000 / duration_s,
                ptime_ms=ptime_ms,
            )
        )
        self._start_s, self._end_s = end_s, end_s + WINDOW_S
        self._clear()

    def _clear(self) -> None:
        self._received = self._lost = self._runs = self._bytes = self._owd_count = 0
        self._late: float = 0.0
        self._playout_ms: float = 0.0
        self._owd_sum_ms: float = 0.0
        self._owd_min_ms: float = float("inf")
