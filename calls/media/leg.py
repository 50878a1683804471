"""One side of one call's media: descriptions in and out, a transport, a sender and a receiver for each stream."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from calls.media import negotiation, sdp, sdp_write
from calls.media.errors import BadDescription, MediaError
from calls.media.interface import LegSpec, LiveStats, MediaEvent, MediaStats
from calls.media.leg_stats import live_stats, media_stats
from calls.media.negotiation import StreamPlan, Wishes
from calls.media.process import MediaProcess
from calls.media.reporter import Reporter
from calls.media.rtp_header import ABS_SEND_TIME, MID, RtpHeader, payload_span
from calls.media.rtp_receiver import AudioReceiver
from calls.media.rtp_sender import AudioSender
from calls.media.transport import LegTransport


class Leg:
    """A leg of tier ``packets`` or ``media``. See ``interface.MediaLeg``."""

    def __init__(self, process: MediaProcess, spec: LegSpec, on_event: Callable[[MediaEvent, float], None]) -> None:
        self.spec = spec
        self.process = process
        self.failure = ""
        self.state = "new"
        self.reached: dict[MediaEvent, float] = {}
        self.asked = Wishes(None, None)
        self.audio: StreamPlan | None = None
        self.video: StreamPlan | None = None
        self.peer_clock = ""
        self.audio_sender: AudioSender | None = None
        self.audio_receiver: AudioReceiver | None = None
        self.reporter: Reporter | None = None
        self.closed: MediaStats | None = None
        self._on_event = on_event
        self._rng = random.Random(spec.seed)
        self._session_id = self._rng.getrandbits(62)
        self._version = 0
        self._audio_payload_type = -1
        self._offerer = False
        self._cname = f"rf{self._rng.getrandbits(48):012x}"
        self.audio_ssrc = self._rng.getrandbits(32)
        self.video_ssrc = self._rng.getrandbits(32)
        self.transport = LegTransport(
            self,
            process.hub,
            bind_address=spec.bind_address,
            certificate=process.certificate,
            link=spec.access_link,
            limits=process.limits,
            in_buffer=process.in_buffer,
            out_buffer=process.out_buffer,
            now_s=process.ticker.now_s,
        )

    async def create_offer(self) -> str:
        """Returns our offer with all candidates in it."""
        self._offerer = True
        self.audio = negotiation.offered_audio()
        self.video = negotiation.offered_video() if self.spec.media == "video" else None
        plans = [plan for plan in (self.audio, self.video) if plan is not None]
        return self._write([self._local(plan) for plan in plans], "actpass")

    async def accept_offer(self, offer: str) -> str:
        """Returns our answer and starts to connect. Raises BadDescription."""
        if self.state != "new" or self._offerer:
            raise MediaError("this leg has a description already")
        remote = sdp.parse(offer)
        transport = remote.transport()
        self._agree(remote)
        setup = "passive" if remote.setup() == "active" else "active"
        answer = self._write(self._answer_sections(remote), setup)
        await self._take_candidates(remote)
        self._connect(transport, controlling=remote.ice_lite, dtls_role="server" if setup == "passive" else "client")
        return answer

    async def accept_answer(self, answer: str) -> None:
        """Starts to connect. Raises BadDescription."""
        if self.state != "new" or self.audio is None:
            raise MediaError("this leg has made no offer, or has its answer already")
        remote = sdp.parse(answer)
        transport = remote.transport()
        audio = negotiation.confirmed(self.audio, negotiation.audio_plan(remote))
        video = negotiation.confirmed(self.video, negotiation.video_plan(remote)) if self.video is not None else None
        self.audio, self.video = audio, video
        self.asked, self.peer_clock = negotiation.wishes(remote), remote.clock
        await self._take_candidates(remote)
        self._connect(transport, controlling=True, dtls_role="client" if remote.setup() == "passive" else "server")

    async def add_candidate(self, candidate: dict[str, Any] | None) -> None:
        """Takes a trickled candidate in the browser's form, or None for the last; what it cannot use it ignores."""
        line = "" if candidate is None else str(candidate.get("candidate") or "")
        if line:
            await self.transport.ice.add_remote_sdp(line.removeprefix("a=").removeprefix("candidate:"))

    async def reaccept_offer(self, offer: str) -> str:
        """Returns the answer to an offer inside a running call. Raises BadDescription."""
        remote = sdp.parse(offer)
        if remote.transport().ice_ufrag != self.transport.ice.remote_username:
            raise BadDescription("the offer restarts ICE, which needs a new leg")
        self._agree(remote)
        self._retune()
        return self._write(self._answer_sections(remote), "passive" if self.dtls_role == "server" else "active")

    def set_video_sending(self, on: bool) -> None:
        """Starts or stops our video without renegotiation."""

    def end_talk(self) -> None:
        """Marks the intended end."""
        if self.audio_receiver is not None:
            self.audio_receiver.stop(self.process.ticker.now_s())

    def live(self) -> LiveStats:
        """Returns the figures of this moment."""
        return live_stats(self)

    async def close(self) -> MediaStats:
        """Ends the leg; returns its figures, the same ones every time."""
        if self.closed is None:
            self.end_talk()
            if self.audio_sender is not None:
                self.audio_sender.stop()
            if self.reporter is not None:
                self.reporter.stop()
            self.state = "closed"
            self.closed = media_stats(self)
            await self.transport.close()
            self.process.leg_closed(self)
        return self.closed

    def on_milestone(self, event: MediaEvent, reason: str) -> None:
        """From the transport: ICE, DTLS or FAILED."""
        if event is MediaEvent.FAILED:
            self.failure, self.state = reason, "failed"
            if self.audio_sender is not None:
                self.audio_sender.stop()
        elif event is MediaEvent.DTLS:
            self.state = "connected"
            self._start_streams()
        self._tell(event, self.process.clock.unix_s())

    def on_keyframe_request(self) -> None:
        """From the reporter: the far end cannot decode our video."""

    @property
    def sends_video(self) -> bool:
        """Whether our video is on its way now."""
        return False

    video_frames_sent = 0
    video_frames_received = 0

    @property
    def datagrams_sent(self) -> int:
        """RTP packets sent, audio and video."""
        return self.audio_sender.packets if self.audio_sender is not None else 0

    @property
    def datagrams_received(self) -> int:
        """RTP packets received, audio and video."""
        return self.audio_receiver.received if self.audio_receiver is not None else 0

    @property
    def bytes_sent(self) -> int:
        """RTP payload, audio and video."""
        return self.audio_sender.payload_bytes if self.audio_sender is not None else 0

    @property
    def bytes_received(self) -> int:
        """RTP payload, audio and video."""
        return self.audio_receiver.payload_bytes if self.audio_receiver is not None else 0

    def audio_score(self) -> float | None:
        """Returns the likeness of heard to sent audio."""
        return None

    def mouth_to_ear_ms(self) -> float | None:
        """Returns the measured mouth-to-ear delay."""
        return None

    def on_peer_left(self) -> None:
        """From the transport: the far end closed its DTLS association."""
        if self.audio_sender is not None:
            self.audio_sender.stop()

    def on_rtp(self, data: bytearray, length: int, now_s: float) -> None:
        """From the transport: one decrypted packet."""
        span = payload_span(data, length)
        payload_type = data[1] & 0x7F
        if span is None:
            self.transport.garbage += 1
        elif self.audio_receiver is not None and payload_type == self._audio_payload_type:
            self.audio_receiver.on_packet(data, length, span[1] - span[0], now_s)

    def on_rtcp(self, data: bytes, now_s: float) -> None:
        """From the transport: one decrypted compound packet."""
        if self.reporter is not None:
            self.reporter.received(data, now_s)

    def _tell(self, event: MediaEvent, at_s: float) -> None:
        if event not in self.reached:
            self.reached[event] = at_s
            self._on_event(event, at_s)

    def _agree(self, remote: sdp.Description) -> None:
        self.audio = negotiation.audio_plan(remote)
        self.video = negotiation.video_plan(remote) if self.spec.media == "video" else None
        self.asked, self.peer_clock = negotiation.wishes(remote), remote.clock

    def _connect(self, transport: Any, *, controlling: bool, dtls_role: str) -> None:
        self.state = "connecting"
        self._audio_payload_type = self.audio.payload_type if self.audio is not None else -1
        self.dtls_role = dtls_role
        self.audio_receiver = AudioReceiver(
            self.audio.extensions.get(ABS_SEND_TIME) if self.audio else None, self._first_audio
        )
        self.transport.connect(transport, controlling=controlling, dtls_role=dtls_role)

    async def _take_candidates(self, remote: sdp.Description) -> None:
        usable = [await self.transport.ice.add_remote_sdp(candidate) for candidate in remote.candidates()]
        if remote.candidates_complete() and any(usable):
            await self.transport.ice.end_remote_candidates()

    def _first_audio(self, now_s: float) -> None:
        self._tell(MediaEvent.FIRST_AUDIO, self.process.unix_of(now_s))

    def _start_streams(self) -> None:
        if self.audio is None:
            return
        extensions = self.audio.extensions
        header = RtpHeader(
            payload_type=self.audio.payload_type,
            ssrc=self.audio_ssrc,
            abs_send_time_id=extensions.get(ABS_SEND_TIME),
            mid_id=extensions.get(MID),
            mid=self.audio.mid,
        )
        self.audio_sender = AudioSender(
            self.transport,
            self.process.ticker,
            self.process.out_buffer,
            header,
            self.process.audio_source(self.spec, self.asked, self._rng),
            first_sequence=self._rng.getrandbits(15),
            first_timestamp=self._rng.getrandbits(32),
            phase=self.process.next_phase(),
            process_lateness=self.process.lateness,
        )
        self.reporter = Reporter(self, self._cname)
        if self.audio.send:
            self.audio_sender.start()
        self.reporter.start(self._rng.random())

    def _retune(self) -> None:
        if self.audio_sender is not None:
            self.audio_sender.source = self.process.audio_source(self.spec, self.asked, self._rng)

    def _answer_sections(self, remote: sdp.Description) -> list[sdp_write.LocalStream | sdp.Section]:
        agreed = {plan.mid: plan for plan in (self.audio, self.video) if plan is not None}
        return [
            self._local(agreed[section.mid]) if section.port and section.mid in agreed else section
            for section in remote.sections
        ]

    def _local(self, plan: StreamPlan) -> sdp_write.LocalStream:
        if plan.kind == "video":
            return sdp_write.LocalStream(plan, self.video_ssrc)
        return sdp_write.LocalStream(plan, self.audio_ssrc, Wishes(self.spec.ptime_ms, self.spec.audio_kbit))

    def _write(self, sections: list[sdp_write.LocalStream | sdp.Section], setup: str) -> str:
        self._version += 1
        ice = self.transport.ice
        local = sdp_write.LocalTransport(
            ice.local_username,
            ice.local_password,
            (ice.local_candidate_sdp(),),
            self.process.certificate.sha256(),
            setup,
        )
        return sdp_write.write(
            session_id=self._session_id,
            version=self._version,
            clock=self.process.clock_id,
            cname=self._cname,
            transport=local,
            sections=sections,
        )
