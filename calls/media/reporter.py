"""A leg's RTCP: sender and receiver reports every few seconds, round trips out of the far end's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calls.media import rtcp

if TYPE_CHECKING:
    from calls.media.leg import Leg

INTERVAL_S = 2.5
_FIRST_S = 0.5


class Reporter:
    """Runs from DTLS to the end of the leg."""

    def __init__(self, leg: Leg, cname: str) -> None:
        self._leg = leg
        self._cname = cname
        self._stopped = False
        self._heard_sr = 0
        self._heard_sr_at_s = 0.0
        self.rtt_ms: float | None = None
        """Of the last report."""
        self.best_rtt_ms: float | None = None
        self.remote_loss_ratio: float | None = None
        """What the far end says it lost of ours in its last interval."""

    def start(self, phase: float) -> None:
        """Reports soon for the first time, so that round trips are known early; ``phase`` 0..1 spreads the legs."""
        self._leg.process.ticker.call_at(self._leg.process.ticker.now_s() + _FIRST_S + phase, self._report)

    def stop(self) -> None:
        """Reports no more."""
        self._stopped = True

    def received(self, data: bytes, now_s: float) -> None:
        """Takes a compound packet of the far end."""
        leg = self._leg
        for event in rtcp.parse(data):
            if isinstance(event, rtcp.ReportBlock) and event.ssrc == leg.audio_ssrc:
                self.remote_loss_ratio = event.fraction_lost
                rtt_s = rtcp.round_trip_s(event, leg.process.unix_of(now_s))
                if rtt_s is not None:
                    self.rtt_ms = max(0.0, rtt_s * 1000)
                    self.best_rtt_ms = min(self.rtt_ms, self.best_rtt_ms or self.rtt_ms)
            elif isinstance(event, rtcp.SenderReport):
                receiver = leg.audio_receiver
                if receiver is not None and event.ssrc == receiver.ssrc:
                    self._heard_sr, self._heard_sr_at_s = event.middle_ntp, now_s
            elif isinstance(event, rtcp.KeyframeRequest):
                leg.on_keyframe_request()

    def _report(self, due_s: float) -> None:
        if self._stopped:
            return
        leg = self._leg
        sender, receiver = leg.audio_sender, leg.audio_receiver
        now_s = leg.process.ticker.now_s()
        block = receiver.report(self._heard_sr, now_s - self._heard_sr_at_s) if receiver is not None else None
        blocks = [block] if block is not None else []
        if sender is not None and sender.packets:
            report = rtcp.sender_report(
                leg.audio_ssrc,
                leg.process.unix_of(now_s),
                sender.timestamp_at(now_s),
                sender.packets,
                sender.payload_bytes,
                blocks,
            )
        else:
            report = rtcp.receiver_report(leg.audio_ssrc, blocks)
        leg.transport.send_rtcp(report + rtcp.source_description(leg.audio_ssrc, self._cname))
        leg.process.ticker.call_at(due_s + INTERVAL_S, self._report)
