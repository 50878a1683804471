"""Sends one audio stream at absolute deadlines, and keeps the book on how late each packet was."""

from __future__ import annotations

from typing import Protocol

from calls.histograms import MsHistogram
from calls.media.clips import AudioClip, silence
from calls.media.rtp_header import RtpHeader
from calls.media.srtp import PacketBuffer
from calls.media.ticker import Ticker
from calls.media.transport import LegTransport


class AudioSource(Protocol):
    """Where payloads come from, one a frame."""

    ptime_ms: int
    kbit: int

    starts_spurt: bool
    """The frame just returned is the first after a silence: it carries the marker bit (RFC 3551, 4.1)."""

    def payload(self, due_s: float) -> bytes:
        """Returns the frame that is due now, empty when the source is silent and sends none."""


class ClipSource:
    """A shared clip, started anywhere."""

    __slots__ = ("_at", "_payloads", "kbit", "ptime_ms")
    starts_spurt = False

    def __init__(self, clip: AudioClip, start_at: int) -> None:
        self.ptime_ms = clip.ptime_ms
        self.kbit = clip.kbit
        self._payloads = clip.payloads
        self._at = start_at % len(clip.payloads)

    def payload(self, due_s: float) -> bytes:
        """Returns the next packet of the loop."""
        at = self._at
        self._at = at + 1 if at + 1 < len(self._payloads) else 0
        return self._payloads[at]


class SilentSource:
    """Somebody who is muted: silence, really encoded, in frames of the same length."""

    __slots__ = ("_payload", "kbit", "ptime_ms")
    starts_spurt = False

    def __init__(self, ptime_ms: int, kbit: int) -> None:
        self.ptime_ms = ptime_ms
        self.kbit = kbit
        self._payload = silence(ptime_ms, kbit)

    def payload(self, due_s: float) -> bytes:
        """Returns the same silence."""
        return self._payload


class AudioSender:
    """One outgoing audio stream. ``phase`` in 0..1 spreads the legs of a process over the frame."""

    def __init__(
        self,
        transport: LegTransport,
        ticker: Ticker,
        buffer: PacketBuffer,
        header: RtpHeader,
        source: AudioSource,
        *,
        first_sequence: int,
        first_timestamp: int,
        phase: float,
        process_lateness: MsHistogram,
    ) -> None:
        self._transport = transport
        self._ticker = ticker
        self._data = buffer.data
        self._header = header
        self._sequence = first_sequence & 0xFFFF
        self._phase = phase
        self._process_lateness = process_lateness
        self._running = self._scheduled = False
        self._next_due_s = 0.0
        self._marker = True
        self.source = source
        self.timestamp = first_timestamp & 0xFFFFFFFF
        self.lateness = MsHistogram()
        self.packets = 0
        self.payload_bytes = 0

    def start(self) -> None:
        """Sends from this stream's next place within the frame on. Safe to call twice."""
        if self._running:
            return
        self._running = self._marker = True
        if not self._scheduled:
            self._scheduled = True
            frame_s = self.source.ptime_ms / 1000
            frames = self._ticker.now_s() / frame_s - self._phase
            due_s = (int(frames) + 1 + self._phase) * frame_s
            if self.packets:
                # The media clock has gone on during the pause (RFC 3550, 5.1).
                self.timestamp = (self.timestamp + round((due_s - self._next_due_s) * 48_000)) & 0xFFFFFFFF
            self._next_due_s = due_s
            self._ticker.call_at(self._next_due_s, self._send)

    def stop(self) -> None:
        """Sends nothing more until started again."""
        self._running = False

    def timestamp_at(self, now_s: float) -> int:
        """Returns the RTP timestamp that belongs to ``now_s``, for a sender report."""
        return (self.timestamp + int((now_s - self._next_due_s) * 48_000)) & 0xFFFFFFFF

    def _send(self, due_s: float) -> None:
        if not self._running:
            self._scheduled = False
            return
        now_s = self._ticker.now_s()
        late_ms = (now_s - due_s) * 1000
        self.lateness.record(late_ms)
        self._process_lateness.record(late_ms)
        source, header, data = self.source, self._header, self._data
        payload = source.payload(due_s)
        if payload:
            header.write(data, self._sequence, self.timestamp, self._marker or source.starts_spurt, now_s)
            length = header.length + len(payload)
            data[header.length : length] = payload
            self._transport.send_rtp(length)
            self._marker = False
            self._sequence = (self._sequence + 1) & 0xFFFF
            self.packets += 1
            self.payload_bytes += len(payload)
        self.timestamp = (self.timestamp + 48 * source.ptime_ms) & 0xFFFFFFFF
        self._next_due_s = due_s + source.ptime_ms / 1000
        self._ticker.call_at(self._next_due_s, self._send)
