"""Builds a leg's figures from its streams, receiver and transport: live, and for the record."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from calls.media.ice.transport import LegTransport
from calls.media.interface import AudioWindow, LegSpec, LiveStats, MediaEvent, MediaStats
from calls.media.probe.live_voice import LIVE, live_voice
from calls.media.probe.recording import RecordedAudio
from calls.media.process import MediaProcess
from calls.media.rtp.rtp_header import ABS_UNITS_A_SECOND
from calls.media.rtp.rtp_receiver import AudioReceiver
from calls.media.rtp.windows import LOOK_AHEAD_MS
from calls.media.streams import LegStreams

_CLOCK_SLACK_MS = 3.0


class MeasuredLeg(Protocol):
    """The parts of a leg that its figures come from."""

    process: MediaProcess
    spec: LegSpec
    state: str
    failure: str
    reached: dict[MediaEvent, float]
    """Unix seconds of each milestone."""
    transport: LegTransport
    streams: LegStreams
    peer_clock: str
    """The far end's name for its monotonic clock; empty for a foreign client, such as a browser."""
    peer_voice: str
    """The far end's tag for the speech that it sends; empty for a foreign client."""
    peer_link_unreliable: bool


def live_stats(leg: MeasuredLeg) -> LiveStats:
    """Returns the current figures."""
    streams = leg.streams
    receiver, sender, reporter = streams.audio_receiver, streams.audio_sender, streams.reporter
    heard = receiver is not None and receiver.first_at_s is not None
    listens = heard and receiver is not None and not receiver.paused
    age_s = max(0.0, leg.process.ticker.now_s() - receiver.last_at_s) if listens and receiver is not None else None
    window = receiver.last_window() if receiver is not None else None
    return LiveStats(
        state=leg.state,
        failure=leg.failure,
        media="video" if streams.sends_video else "audio",
        packets_sent=sender.packets if sender is not None else 0,
        packets_received=receiver.received if receiver is not None else 0,
        packets_lost=receiver.lost if receiver is not None else 0,
        bytes_sent=streams.bytes_sent,
        bytes_received=streams.bytes_received,
        video_frames_sent=streams.video_sender.frames if streams.video_sender is not None else 0,
        video_frames_received=streams.video_receiver.frames if streams.video_receiver is not None else 0,
        last_packet_age_ms=age_s * 1000 if age_s is not None else None,
        owd_ms=receiver.last_owd_ms if receiver is not None and owd_clock(leg) else None,
        rtt_ms=reporter.rtt_ms,
        jitter_ms=receiver.jitter_ms if heard and receiver is not None else None,
        asked_ptime_ms=streams.peer_preferences.ptime_ms,
        asked_audio_kbit=streams.peer_preferences.audio_kbit,
        sending_ptime_ms=sender.source.ptime_ms if sender is not None else leg.spec.ptime_ms,
        sending_audio_kbit=float(sender.source.kbit if sender is not None else leg.spec.audio_kbit),
        window=_dated(leg, window) if window is not None else None,
    )


def media_stats(leg: MeasuredLeg) -> MediaStats:
    """Returns the leg's figures for its record."""
    streams = leg.streams
    receiver, sender, reporter = streams.audio_receiver, streams.audio_sender, streams.reporter
    heard = receiver if receiver is not None and receiver.first_at_s is not None else None
    clock = owd_clock(leg)
    owd = heard.owd if heard is not None and clock else None
    windows = tuple(_dated(leg, window) for window in heard.windows()) if heard is not None else ()
    late = round(heard.late_packets) if heard is not None else 0
    return MediaStats(
        failure=leg.failure,
        peer_link_unreliable=leg.peer_link_unreliable,
        ice_at_s=leg.reached.get(MediaEvent.ICE),
        dtls_at_s=leg.reached.get(MediaEvent.DTLS),
        first_audio_at_s=leg.reached.get(MediaEvent.FIRST_AUDIO),
        packets_sent=sender.packets if sender is not None else 0,
        packets_received=heard.received if heard is not None else 0,
        packets_lost=heard.lost if heard is not None else 0,
        packets_late=late,
        packets_duplicate=(heard.duplicates if heard is not None else 0) + leg.transport.replayed,
        packets_reordered=heard.reordered if heard is not None else 0,
        send_errors=leg.transport.send_errors,
        garbage_datagrams=leg.transport.garbage,
        effective_loss_ratio=min(1.0, (heard.lost + heard.late_packets) / heard.expected)
        if heard is not None
        else None,
        jitter_ms=heard.jitter_ms if heard is not None else None,
        owd_p50_ms=owd.quantile_ms(0.5) if owd is not None else None,
        owd_p95_ms=owd.quantile_ms(0.95) if owd is not None else None,
        owd_clock=clock if owd is not None else "",
        owd_uncertainty_ms=_owd_uncertainty_ms(leg, clock) if owd is not None else None,
        owd_negative=owd.negative if owd is not None else 0,
        rtt_ms=reporter.rtt_ms,
        max_gap_ms=heard.max_gap_ms if heard is not None else None,
        move_gap_ms=heard.move_gap_ms if heard is not None else None,
        mouth_to_ear_ms=_mouth_to_ear_ms(leg, heard),
        m2e_frame_ms=heard.ptime_ms if heard is not None else None,
        m2e_lookahead_ms=LOOK_AHEAD_MS if heard is not None else None,
        m2e_network_ms=owd.min_ms if owd is not None else None,
        m2e_playout_ms=heard.playout.delay_ms if heard is not None else None,
        talk_spurts=heard.spurts if heard is not None else 0,
        audio_kbit=_heard_kbit(heard),
        ptime_ms=heard.ptime_ms if heard is not None else None,
        send_late_p99_ms=sender.lateness.quantile_ms(0.99) if sender is not None else None,
        video_frames_sent=streams.video_sender.frames if streams.video_sender is not None else 0,
        video_frames_received=streams.video_receiver.frames if streams.video_receiver is not None else 0,
        audio_score=_audio_score(leg),
        windows=windows,
        heard=_heard_audio(leg),
    )


def owd_clock(leg: MeasuredLeg) -> str:
    """Returns how one-way delays are known: ``same_clock``, ``estimated`` from round trips, or empty when they are not.

    Our own peers name their clock. A foreign client, such as a browser on this machine, counts as ``same_clock`` when
    its fastest packet took no longer than a round trip. Another machine's clock satisfies that only by chance (64 s
    wrap).
    """
    receiver = leg.streams.audio_receiver
    if receiver is None or receiver.last_owd_ms is None:
        return ""
    if leg.peer_clock:
        return "same_clock" if leg.peer_clock == leg.process.clock_id else "estimated"
    rtt_ms = leg.streams.reporter.best_rtt_ms
    if rtt_ms is None:
        return ""
    return "same_clock" if -_CLOCK_SLACK_MS <= receiver.owd.min_ms <= rtt_ms + _CLOCK_SLACK_MS else ""


def _owd_uncertainty_ms(leg: MeasuredLeg, clock: str) -> float | None:
    """Returns the largest possible clock error: the stamp's resolution, a browser's clock slack, or half a round
    trip.
    """
    if clock == "estimated":
        rtt_ms = leg.streams.reporter.best_rtt_ms
        return rtt_ms / 2 if rtt_ms is not None else None
    return 1000 / ABS_UNITS_A_SECOND if leg.peer_clock else _CLOCK_SLACK_MS


def _mouth_to_ear_ms(leg: MeasuredLeg, heard: AudioReceiver | None) -> float | None:
    if leg.streams.probe is not None and _knows_the_voice(leg) and leg.peer_clock == leg.process.clock_id:
        return leg.streams.probe.mouth_to_ear_ms()
    if heard is None or not owd_clock(leg):
        return None
    return heard.ptime_ms + LOOK_AHEAD_MS + heard.owd.min_ms + heard.playout.delay_ms


def _audio_score(leg: MeasuredLeg) -> float | None:
    """None also when the far end's voice is unknown."""
    probe = leg.streams.probe
    return probe.audio_score() if probe is not None and leg.peer_voice else None


def _knows_the_voice(leg: MeasuredLeg) -> bool:
    """Whether the far end is a probe whose speech at any time is known to us."""
    return leg.peer_voice == live_voice().tag


def _heard_audio(leg: MeasuredLeg) -> RecordedAudio | None:
    segment = leg.streams.probe.recording.finish() if leg.streams.probe is not None else None
    if segment is None or not leg.peer_voice.startswith(LIVE):
        return None
    # Audio of a probe with another voice is kept, too: its row says that the voice is unknown.
    return RecordedAudio(*segment, leg.peer_voice, leg.peer_clock == leg.process.clock_id)


def _heard_kbit(heard: AudioReceiver | None) -> float | None:
    """Bitrate while the far end talked."""
    return heard.talk_bytes * 8 / heard.talk_ms if heard is not None and heard.talk_ms else None


def _dated(leg: MeasuredLeg, window: AudioWindow) -> AudioWindow:
    known = bool(owd_clock(leg))
    return replace(
        window,
        start_at_s=leg.process.unix_of(window.start_at_s),
        owd_ms=window.owd_ms if known else None,
        mouth_to_ear_ms=window.mouth_to_ear_ms if known else None,
    )
