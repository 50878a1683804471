"""Sends one audio stream at absolute deadlines and records how late each packet is."""

from __future__ import annotations

from calls.histograms import MsHistogram
from calls.media.audio.audio_source import AudioSource
from calls.media.dtls.srtp import PacketBuffer
from calls.media.ice.transport import LegTransport
from calls.media.rtp.rtp_header import RtpHeader
from calls.media.timing.ticker import Ticker, Timed


class AudioSender(Timed):
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
        """Starts to send at this stream's place within the frame. Safe to call twice."""
        if self._running:
            return
        self._running = self._marker = True
        if not self._scheduled:
            self._scheduled = True
            frame_s = self.source.ptime_ms / 1000
            frames = self._ticker.now_s() / frame_s - self._phase
            due_s = (int(frames) + 1 + self._phase) * frame_s
            if self.packets:
                # The media clock goes on during the pause (RFC 3550, 5.1).
                self.timestamp = (self.timestamp + round((due_s - self._next_due_s) * 48_000)) & 0xFFFFFFFF
            self._next_due_s = due_s
            self._ticker.wake_at(self._next_due_s, self)

    def stop(self) -> None:
        """Sends nothing more until started again."""
        self._running = False

    def timestamp_at(self, now_s: float) -> int:
        """Returns the RTP timestamp that belongs to ``now_s``, for a sender report."""
        return (self.timestamp + int((now_s - self._next_due_s) * 48_000)) & 0xFFFFFFFF

    def due(self, at_s: float) -> None:
        """Sends the frame of this deadline."""
        if not self._running:
            self._scheduled = False
            return
        now_s = self._ticker.now_s()
        late_ms = (now_s - at_s) * 1000
        self.lateness.record(late_ms)
        self._process_lateness.record(late_ms)
        source, header, data = self.source, self._header, self._data
        payload = source.payload(at_s)
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
        self._next_due_s = at_s + source.ptime_ms / 1000
        self._ticker.wake_at(self._next_due_s, self)
