"""Sends pre-encoded video: frames at absolute deadlines, packets of a frame paced, a keyframe on request."""

from __future__ import annotations

from collections.abc import Sequence

from calls.histograms import MsHistogram
from calls.media.dtls.srtp import PacketBuffer
from calls.media.ice.transport import LegTransport
from calls.media.rtp.rtp_header import RtpHeader
from calls.media.timing.ticker import Ticker, Timed
from calls.media.video.video_clip import FRAME_RATE, VideoFrame

_FRAME_S = 1 / FRAME_RATE
_TICKS_A_FRAME = 90_000 // FRAME_RATE
_PACING_S = 0.004
"""Pause between two packets of a frame: about 2.3 Mbit/s at most, like a phone's pacer."""
_KEYFRAME_EVERY_S = 0.3
"""More frequent requests are answered by the keyframe that is already on its way."""


class VideoSender(Timed):
    """One outgoing video stream."""

    def __init__(
        self,
        transport: LegTransport,
        ticker: Ticker,
        buffer: PacketBuffer,
        header: RtpHeader,
        clip: Sequence[VideoFrame],
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
        self._clip = clip
        self._sequence = first_sequence & 0xFFFF
        self._phase = phase
        self._process_lateness = process_lateness
        self._next_frame = 0
        self._frame: VideoFrame = clip[0]
        self._frame_due_s = 0.0
        self._part = 0
        self._running = False
        self._scheduled = False
        self._keyframe_at_s = 0.0
        self.timestamp = first_timestamp & 0xFFFFFFFF
        self.packets = 0
        self.payload_bytes = 0
        self.frames = 0
        self.keyframe_requests = 0

    @property
    def running(self) -> bool:
        """Whether frames are being sent."""
        return self._running

    def start(self) -> None:
        """Starts with a keyframe. Safe to call twice."""
        if self._running:
            return
        self._running = True
        self._next_frame = self._part = 0
        if not self._scheduled:
            self._scheduled = True
            frames = self._ticker.now_s() / _FRAME_S - self._phase
            self._frame_due_s = (int(frames) + 1 + self._phase) * _FRAME_S
            self._ticker.wake_at(self._frame_due_s, self)

    def stop(self) -> None:
        """Sends nothing more until started again."""
        self._running = False

    def jump_to_keyframe(self) -> None:
        """The far end lost the picture: makes the next frame a keyframe."""
        self.keyframe_requests += 1
        now_s = self._ticker.now_s()
        if now_s - self._keyframe_at_s < _KEYFRAME_EVERY_S:
            return
        self._keyframe_at_s = now_s
        while not self._clip[self._next_frame].keyframe:
            self._next_frame = (self._next_frame + 1) % len(self._clip)

    def timestamp_at(self, now_s: float) -> int:
        """Returns the RTP timestamp that belongs to ``now_s``, for a sender report."""
        return (self.timestamp + int((now_s - self._frame_due_s - _FRAME_S) * 90_000)) & 0xFFFFFFFF

    def due(self, at_s: float) -> None:
        """Sends the packet of this deadline."""
        if not self._running:
            self._scheduled = False
            return
        now_s = self._ticker.now_s()
        self._process_lateness.record((now_s - at_s) * 1000)
        if self._part == 0:
            self._frame = self._clip[self._next_frame]
            self._next_frame = (self._next_frame + 1) % len(self._clip)
            self._frame_due_s = at_s
        payloads = self._frame.payloads
        payload = payloads[self._part]
        self._part += 1
        last = self._part == len(payloads)
        header, data = self._header, self._data
        header.write(data, self._sequence, self.timestamp, last, now_s)
        length = header.length + len(payload)
        data[header.length : length] = payload
        self._transport.send_rtp(length)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.packets += 1
        self.payload_bytes += len(payload)
        if last:
            self.frames += 1
            self._part = 0
            self.timestamp = (self.timestamp + _TICKS_A_FRAME) & 0xFFFFFFFF
            self._ticker.wake_at(self._frame_due_s + _FRAME_S, self)
        else:
            self._ticker.wake_at(at_s + _PACING_S, self)
