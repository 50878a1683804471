"""Counts the VP8 frames that a decoder could show, without decoding them (RFC 7741)."""

from __future__ import annotations

from collections.abc import Callable

from calls.media.rtp.rtcp import ReportBlock

_ASK_AGAIN_S = 1.0


class VideoReceiver:
    """One incoming VP8 stream. A frame counts when it and all frames back to a keyframe are complete."""

    def __init__(self, ask_keyframe: Callable[[int], None]) -> None:
        self._ask_keyframe = ask_keyframe
        self._asked_at_s = -1.0
        self._ssrc: int | None = None
        self._highest = 0
        self._base = 0
        self._frame_whole = False
        self._frame_is_key = False
        self._waits_for_key = True
        self._reported_expected = self._reported_received = 0
        self.frames = 0
        self.frames_broken = 0
        self.received = 0
        self.payload_bytes = 0
        self.last_at_s = 0.0

    @property
    def lost(self) -> int:
        """Number of packets missing in the sequence numbers."""
        return max(0, self._expected() - self.received)

    def on_packet(self, data: bytearray, start: int, end: int, now_s: float) -> None:
        """Counts one RTP packet whose payload is ``data[start:end]``."""
        sequence = data[2] << 8 | data[3]
        ssrc = int.from_bytes(data[8:12])
        if ssrc != self._ssrc:
            self._ssrc, self._highest, self._base = ssrc, sequence, sequence
            self._reported_expected = self._reported_received = self.received = 0
            self._waits_for_key, self._frame_whole = True, False
            ahead = 1
        else:
            ahead = (sequence - self._highest) & 0xFFFF
            if ahead >= 0x8000:
                self.received += 1
                return
            self._highest += ahead
        self.received += 1
        self.payload_bytes += end - start
        self.last_at_s = now_s
        if ahead != 1:
            self._frame_whole, self._waits_for_key = False, True
        self._follow_frame(data, start, end, bool(data[1] & 0x80))
        if self._waits_for_key and now_s - self._asked_at_s > _ASK_AGAIN_S:
            self._asked_at_s = now_s
            self._ask_keyframe(ssrc)

    def report(self) -> ReportBlock | None:
        """Returns the RTCP report block for the time since the last report; None before the first packet."""
        if self._ssrc is None:
            return None
        expected = self._expected()
        new_expected = expected - self._reported_expected
        new_lost = new_expected - (self.received - self._reported_received)
        self._reported_expected, self._reported_received = expected, self.received
        return ReportBlock(
            ssrc=self._ssrc,
            fraction_lost=new_lost / new_expected if new_expected > 0 and new_lost > 0 else 0.0,
            packets_lost=expected - self.received,
            highest_sequence=self._highest,
            jitter_units=0,
            last_sr=0,
            delay_since_sr_s=0.0,
        )

    def _expected(self) -> int:
        return self._highest - self._base + 1 if self._ssrc is not None else 0

    def _follow_frame(self, data: bytearray, start: int, end: int, last: bool) -> None:
        body = _skip_descriptor(data, start, end)
        if body and data[start] & 0x1F == 0x10:
            self._frame_whole = True
            # RFC 6386, 9.1: the lowest bit of the first byte is 0 in a keyframe.
            self._frame_is_key = not data[body] & 1
        if not last:
            return
        if self._frame_whole and (self._frame_is_key or not self._waits_for_key):
            self._waits_for_key = False
            self.frames += 1
        else:
            self.frames_broken += 1
        self._frame_whole = False


def _skip_descriptor(data: bytearray, start: int, end: int) -> int:
    """Returns where the VP8 payload starts after its descriptor (RFC 7741, 4.2); 0 without one."""
    at = start + 1
    if at < end and data[start] & 0x80:
        extended = data[at]
        at += 1
        if extended & 0x80:
            at += 2 if at < end and data[at] & 0x80 else 1
        at += (1 if extended & 0x40 else 0) + (1 if extended & 0x30 else 0)
    return at if at < end else 0
