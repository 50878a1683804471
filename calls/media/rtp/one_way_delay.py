"""Measures one-way delay of RTP packets from their abs-send-time extension."""

from __future__ import annotations

from collections.abc import Callable

from calls.histograms import MsHistogram
from calls.media.rtp.rtp_header import ABS_WRAP_S, find_extension, owd_s

_MAX_PLAUSIBLE_OWD_S = 16.0


class OneWayDelay:
    """One incoming stream's delays.

    ``sender_clock_s`` is how far the clock in the far end's abs-send-time is ahead of our monotonic clock. It is
    unknown for another machine. Then ``foreign_rtt_ms`` gives the shortest round trip so far, and the fastest packet is
    taken to have needed half of it. The error is at most that half (RFC 5905, section 8, as in NTP).
    """

    __slots__ = ("_extension_at", "_extension_id", "_fastest_s", "_first_s", "_foreign_rtt_ms", "_sender_clock_s",
                 "histogram", "last_ms")  # fmt: skip

    def __init__(
        self, extension_id: int, sender_clock_s: float, foreign_rtt_ms: Callable[[], float | None] | None
    ) -> None:
        self._extension_id = extension_id
        self._extension_at = 0
        self._sender_clock_s = sender_clock_s
        self._foreign_rtt_ms = foreign_rtt_ms
        self._first_s: float | None = None
        self._fastest_s = 0.0
        self.histogram = MsHistogram()
        self.last_ms: float | None = None
        """Of the last packet that could be measured."""

    def measure(self, data: bytearray, length: int, now_s: float) -> float | None:
        """Returns the packet's one-way delay in ms; None when it carries no usable send time."""
        if not self._extension_id:
            return None
        at = self._extension_at
        # The extension nearly always stands at the same offset as in the last packet.
        if not (at and at + 3 <= length and data[0] & 0x10 and data[at - 1] == self._extension_id << 4 | 2):
            at = self._extension_at = find_extension(data, length, self._extension_id)
            if not at or at + 3 > length:
                return None
        delay_s = owd_s(data, at, now_s + self._sender_clock_s)
        if self._foreign_rtt_ms is not None:
            estimated_s = self._estimate_s(delay_s, self._foreign_rtt_ms())
            if estimated_s is None:
                return None
            delay_s = estimated_s
        elif abs(delay_s) > _MAX_PLAUSIBLE_OWD_S:
            return None
        owd_ms = self.last_ms = delay_s * 1000
        self.histogram.record(owd_ms)
        return owd_ms

    def _estimate_s(self, raw_s: float, rtt_ms: float | None) -> float | None:
        """Estimates the delay under an unrelated clock; None before the first round trip is known."""
        if self._first_s is None:
            self._first_s = raw_s
        half_wrap_s = ABS_WRAP_S / 2
        over_first_s = (raw_s - self._first_s + half_wrap_s) % ABS_WRAP_S - half_wrap_s
        self._fastest_s = min(self._fastest_s, over_first_s)
        return over_first_s - self._fastest_s + rtt_ms / 2000 if rtt_ms is not None else None
