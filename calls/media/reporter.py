"""Sends a leg's RTCP reports every 2.5 s and computes round trips from the far end's reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calls.media.rtp import rtcp

if TYPE_CHECKING:
    from calls.media.ice.transport import LegTransport
    from calls.media.process import MediaProcess
    from calls.media.stream_set import StreamSet

INTERVAL_S = 2.5
_FIRST_S = 0.5


class Reporter:
    """Runs from the key exchange to the end of the leg."""

    def __init__(self, streams: StreamSet, process: MediaProcess, transport: LegTransport, cname: str) -> None:
        self._streams: StreamSet | None = streams
        self._process = process
        self._transport = transport
        self._cname = cname
        self._stopped = False
        self._heard_sr = 0
        self._heard_sr_at_s = 0.0
        self.rtt_ms: float | None = None
        """Round trip of the last report."""
        self.best_rtt_ms: float | None = None
        self.remote_loss_ratio: float | None = None
        """Loss of our audio in the far end's last interval, as it reports."""

    def start(self, phase: float) -> None:
        """Sends the first report soon, so that round trips are known early. ``phase`` 0..1 spreads the legs."""
        self._process.ticker.call_at(self._process.ticker.now_s() + _FIRST_S + phase, self._report)

    def stop(self) -> None:
        """Stops reporting and releases the streams, which refer back to this reporter."""
        self._stopped = True
        self._streams = None

    def received(self, data: bytes, now_s: float) -> None:
        """Takes a compound packet of the far end."""
        streams = self._streams
        if streams is None:
            return
        for event in rtcp.parse(data):
            if isinstance(event, rtcp.ReportBlock):
                if event.ssrc == streams.audio_ssrc:
                    self._read_block(event, now_s)
            elif isinstance(event, rtcp.SenderReport):
                receiver = streams.audio_receiver
                if receiver is not None and event.ssrc == receiver.ssrc:
                    self._heard_sr, self._heard_sr_at_s = event.middle_ntp, now_s
            elif isinstance(event, rtcp.KeyframeRequest):
                streams.on_keyframe_request()

    def send_now(self, feedback: bytes) -> None:
        """Sends feedback at once, in the compound form that RFC 4585 requires."""
        streams = self._streams
        if streams is None:
            return
        block = self._audio_block(streams, self._process.ticker.now_s())
        report = rtcp.receiver_report(streams.audio_ssrc, [block] if block is not None else [])
        self._transport.send_rtcp(report + rtcp.source_description(streams.audio_ssrc, self._cname) + feedback)

    def _read_block(self, block: rtcp.ReportBlock, now_s: float) -> None:
        self.remote_loss_ratio = block.fraction_lost
        rtt_s = rtcp.round_trip_s(block, self._process.unix_of(now_s))
        if rtt_s is not None:
            self.rtt_ms = max(0.0, rtt_s * 1000)
            self.best_rtt_ms = self.rtt_ms if self.best_rtt_ms is None else min(self.rtt_ms, self.best_rtt_ms)

    def _audio_block(self, streams: StreamSet, now_s: float) -> rtcp.ReportBlock | None:
        receiver = streams.audio_receiver
        if receiver is None:
            return None
        return receiver.report(self._heard_sr, now_s - self._heard_sr_at_s if self._heard_sr else 0.0)

    def _report(self, due_s: float) -> None:
        streams = self._streams
        if self._stopped or streams is None:
            return
        now_s = self._process.ticker.now_s()
        self._transport.send_rtcp(self._compound(streams, now_s))
        self._process.ticker.call_at(due_s + INTERVAL_S, self._report)

    def _compound(self, streams: StreamSet, now_s: float) -> bytes:
        unix_s = self._process.unix_of(now_s)
        video_block = streams.video_receiver.report() if streams.video_receiver is not None else None
        blocks = [block for block in (self._audio_block(streams, now_s), video_block) if block is not None]
        parts = []
        for ssrc, sender in ((streams.audio_ssrc, streams.audio_sender), (streams.video_ssrc, streams.video_sender)):
            if sender is not None and sender.packets:
                timestamp = sender.timestamp_at(now_s)
                parts.append(rtcp.sender_report(ssrc, unix_s, timestamp, sender.packets, sender.payload_bytes, blocks))
                blocks = []
        if not parts:
            parts.append(rtcp.receiver_report(streams.audio_ssrc, blocks))
        return b"".join([*parts, rtcp.source_description(streams.audio_ssrc, self._cname)])
