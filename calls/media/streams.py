"""Starts, changes and stops a leg's audio and video streams, from the key exchange to the end of the talk."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from calls.media.audio.audio_source import AudioSource, ClipSource, SilentSource, SpokenSource
from calls.media.audio.clips import audio_clip, choose
from calls.media.audio.talk_spurts import Conversation, SpurtSource
from calls.media.ice.transport import LegTransport
from calls.media.interface import LegSpec
from calls.media.probe.audio_probe import LiveSource, ProbeListener
from calls.media.process import MediaProcess
from calls.media.reporter import Reporter
from calls.media.rtp.rtcp import picture_loss
from calls.media.rtp.rtp_header import ABS_SEND_TIME, MID, TRANSPORT_CC, RtpHeader, find_extension, payload_span
from calls.media.rtp.rtp_receiver import AudioReceiver
from calls.media.rtp.rtp_sender import AudioSender
from calls.media.rtp.transport_feedback import AUDIO_INTERVAL_S, VIDEO_INTERVAL_S, TransportFeedback
from calls.media.sdp.negotiation import ReceivePreferences, StreamPlan
from calls.media.sdp.sdp import CLIP_VOICE
from calls.media.stream_set import StreamSet
from calls.media.video.video_clip import video_clip
from calls.media.video.video_receiver import VideoReceiver
from calls.media.video.video_sender import VideoSender
from calls.records.record import Tier


class LegStreams(StreamSet):
    """Created with the leg, configured by ``agree`` with the far end's description, started with the keys."""

    def __init__(
        self,
        process: MediaProcess,
        spec: LegSpec,
        transport: LegTransport,
        rng: random.Random,
        cname: str,
        on_first_audio: Callable[[float], None],
    ) -> None:
        super().__init__(rng)
        self._process = process
        self._spec = spec
        self._transport = transport
        self._rng = rng
        self._on_first_audio = on_first_audio
        self._audio: StreamPlan | None = None
        self._video: StreamPlan | None = None
        self._audio_payload_type = self._video_payload_type = -1
        self._transport_cc_id = 0
        self._feedback: TransportFeedback | None = None
        self._peer_voice = ""
        self._video_wanted = True
        self._muted = False
        self._conversation = Conversation(spec.call_id) if spec.talk_spurts else None
        self._started = self._stopped = False
        self.peer_preferences = ReceivePreferences(None, None)
        self.probe: ProbeListener | None = None
        self.reporter = Reporter(self, process, transport, cname)

    def agree(
        self,
        audio: StreamPlan,
        video: StreamPlan | None,
        peer_preferences: ReceivePreferences,
        *,
        peer_is_ours: bool,
        peer_voice: str,
        sender_clock_s: float,
        foreign_clock: bool,
        we_answer: bool,
    ) -> None:
        """Applies what was negotiated, before the start or in a running call.

        ``sender_clock_s``: how far the clock in the far end's abs-send-time is ahead of our monotonic clock.
        ``foreign_clock``: that clock belongs to another machine, so the offset is unknown. ``we_answer``: the far end
        applies the agreement only when it has our answer.
        """
        self._audio, self._video, self.peer_preferences, self._peer_voice = audio, video, peer_preferences, peer_voice
        self._audio_payload_type = audio.payload_type
        self._video_payload_type = video.payload_type if video is not None else -1
        # Our own peers send pre-encoded media at a fixed rate, so feedback is of no use to them.
        self._transport_cc_id = 0 if peer_is_ours else audio.extensions.get(TRANSPORT_CC, 0)
        if self.audio_receiver is None:
            self.audio_receiver = AudioReceiver(
                audio.extensions.get(ABS_SEND_TIME),
                self._on_first_audio,
                sender_clock_s=sender_clock_s,
                foreign_rtt_ms=(lambda: self.reporter.best_rtt_ms) if foreign_clock else None,
            )
        now_s = self._process.ticker.now_s()
        round_trip_s = (self.reporter.rtt_ms or 0.0) / 1000.0
        self.audio_receiver.expect(audio.receive, now_s, now_s + round_trip_s if we_answer else now_s)
        if video is not None and self.video_receiver is None:
            self.video_receiver = VideoReceiver(self._ask_keyframe)
        if self._started:
            self._apply_agreement()

    def start(self) -> None:
        """Starts to send and to report. Called when the SRTP keys are known."""
        if self._started or self._stopped or self._audio is None or self.audio_receiver is None:
            return
        self._started = True
        process = self._process
        if self._spec.tier is Tier.MEDIA:
            receiver = self.audio_receiver
            self.probe = ProbeListener(
                process.ticker, lambda: receiver.playout.delay_ms, live=self._peer_voice != CLIP_VOICE
            )
        self.audio_sender = AudioSender(
            self._transport,
            process.ticker,
            process.out_buffer,
            self._header(self._audio, self.audio_ssrc),
            self._audio_source(),
            first_sequence=self._rng.getrandbits(15),
            first_timestamp=self._rng.getrandbits(32),
            phase=process.next_phase(),
            process_lateness=process.lateness,
        )
        self._apply_agreement()
        self.reporter.start(self._rng.random())
        if self._transport_cc_id:
            self._feedback = TransportFeedback(self.audio_ssrc)
            process.ticker.call_at(process.ticker.now_s() + VIDEO_INTERVAL_S, self._send_feedback)

    def stop_sending(self) -> None:
        """Stops both senders."""
        for sender in (self.audio_sender, self.video_sender):
            if sender is not None:
                sender.stop()

    def end_talk(self) -> None:
        """Marks the intended end; packets received later do not count."""
        if self.audio_receiver is not None:
            self.audio_receiver.stop(self._process.ticker.now_s())
        if self.probe is not None:
            self.probe.close()

    def stop(self) -> None:
        """Ends everything. Safe to call twice."""
        self._stopped = True
        self._on_first_audio = _told
        self.end_talk()
        self.stop_sending()
        self.reporter.stop()
        if self.audio_sender is not None:
            self.audio_sender.source.close()

    def set_video_sending(self, on: bool) -> None:
        """Starts or stops our video, now or as soon as there is a video stream."""
        self._video_wanted = on
        self._apply_video_agreement()

    def update_spec(self, spec: LegSpec) -> None:
        """Sends according to ``spec`` from now on."""
        self._spec = spec
        self._apply_agreement()

    def set_muted(self, on: bool) -> None:
        """Sends silence, or speech again, without telling the far end."""
        self._muted = on
        if self.audio_sender is not None:
            self.audio_sender.source.close()
            self.audio_sender.source = self._audio_source()

    def on_rtp(self, data: bytearray, length: int, now_s: float) -> bool:
        """Takes one decrypted packet; returns False when it is malformed or belongs to no stream of ours."""
        span = payload_span(data, length)
        if span is None:
            return False
        if self._feedback is not None:
            at = find_extension(data, length, self._transport_cc_id)
            if at:
                self._feedback.arrived(data[at] << 8 | data[at + 1], int.from_bytes(data[8:12]), now_s)
        payload_type = data[1] & 0x7F
        start, end = span
        if payload_type == self._audio_payload_type and self.audio_receiver is not None:
            receiver = self.audio_receiver
            if receiver.on_packet(data, length, end - start, now_s) and self.probe is not None:
                self.probe.packet(data[2] << 8 | data[3], bytes(data[start:end]), receiver.ptime_ms, now_s)
            return True
        if payload_type == self._video_payload_type and self.video_receiver is not None:
            self.video_receiver.on_packet(data, start, end, now_s)
            return True
        return False

    def begin_move(self, on_heard_again: Callable[[float], None]) -> None:
        """Notes that a side has left its network; ``on_heard_again`` is called when audio arrives on the new path."""
        if self.audio_receiver is not None:
            self.audio_receiver.begin_move(on_heard_again, planned=self._spec.moves_are_planned)

    def on_path_validated(self) -> None:
        """Notes that ICE has validated the new path."""
        if self.audio_receiver is not None:
            self.audio_receiver.on_path_validated(self._process.ticker.now_s())

    def _header(self, plan: StreamPlan, ssrc: int) -> RtpHeader:
        return RtpHeader(
            payload_type=plan.payload_type,
            ssrc=ssrc,
            abs_send_time_id=plan.extensions.get(ABS_SEND_TIME),
            mid_id=plan.extensions.get(MID),
            mid=plan.mid,
        )

    def _audio_source(self) -> AudioSource:
        """Returns a source with our own frame length and rate, or the far end's longer frames and lower rate."""
        spec, wanted = self._spec, self.peer_preferences
        ptime_ms = max(spec.ptime_ms, wanted.ptime_ms or 0)
        kbit = min(spec.audio_kbit, wanted.audio_kbit or spec.audio_kbit)
        if self._muted:
            return SilentSource(*choose(ptime_ms, kbit))
        if spec.tier is Tier.MEDIA:
            live = LiveSource(asyncio.get_running_loop(), ptime_ms, kbit)
            return SpokenSource(live.ptime_ms, live.kbit, live.payload, live.close)
        clip = audio_clip(*choose(ptime_ms, kbit))
        if self._conversation is not None:
            side = 0 if spec.is_caller else 1
            start_at = self._rng.randrange(len(clip.payloads))
            return SpurtSource(clip, start_at, self._conversation, side, self._process.unix_of)
        return ClipSource(clip, self._rng.randrange(len(clip.payloads)))

    def _apply_agreement(self) -> None:
        """Changes the senders to what was negotiated last."""
        sender = self.audio_sender
        if sender is None or self._audio is None:
            return
        wanted = self._audio_source()
        if (wanted.ptime_ms, wanted.kbit) == (sender.source.ptime_ms, sender.source.kbit):
            wanted.close()
        else:
            sender.source.close()
            sender.source = wanted
        if self._audio.send:
            sender.start()
        else:
            sender.stop()
        self._apply_video_agreement()

    def _apply_video_agreement(self) -> None:
        video, process = self._video, self._process
        if not self._started or self._stopped:
            return
        if video is None or not video.send or not self._video_wanted:
            if self.video_sender is not None:
                self.video_sender.stop()
            return
        if self.video_sender is None:
            self.video_sender = VideoSender(
                self._transport,
                process.ticker,
                process.out_buffer,
                self._header(video, self.video_ssrc),
                video_clip(),
                first_sequence=self._rng.getrandbits(15),
                first_timestamp=self._rng.getrandbits(32),
                phase=process.next_phase(),
                process_lateness=process.lateness,
            )
        self.video_sender.start()

    def _ask_keyframe(self, media_ssrc: int) -> None:
        self.reporter.send_now(picture_loss(self.video_ssrc, media_ssrc))

    def _send_feedback(self, due_s: float) -> None:
        if self._stopped or self._feedback is None:
            return
        packet = self._feedback.take()
        if packet is not None:
            self._transport.send_rtcp(packet)
        interval_s = AUDIO_INTERVAL_S if self._video is None else VIDEO_INTERVAL_S
        self._process.ticker.call_at(due_s + interval_s, self._send_feedback)


def _told(_now_s: float) -> None:
    """Replaces a callback that would keep a closed leg alive."""
