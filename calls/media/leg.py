"""Runs one side of one call's media: exchanges descriptions, connects one transport, runs the streams over it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from calls.media.errors import BadDescription, MediaError
from calls.media.ice.transport import LegTransport, RemoteTransport
from calls.media.interface import LegSpec, LiveStats, MediaEvent, MediaStats
from calls.media.leg_stats import live_stats, media_stats
from calls.media.probe.live_voice import live_voice
from calls.media.process import MediaProcess
from calls.media.sdp import negotiation, sdp, sdp_write
from calls.media.sdp.negotiation import ReceivePreferences, StreamPlan
from calls.media.streams import LegStreams
from calls.records.record import Tier


class Leg:
    """A leg of tier ``packets`` or ``media``. See ``interface.MediaLeg``."""

    def __init__(self, process: MediaProcess, spec: LegSpec, on_event: Callable[[MediaEvent, float], None]) -> None:
        self.spec = spec
        self.process = process
        self.failure = ""
        self.state = "new"
        self.reached: dict[MediaEvent, float] = {}
        self.peer_clock = ""
        self.peer_voice = ""
        self.peer_link_unreliable = False
        self._on_event = on_event
        self._rng = random.Random(spec.seed)
        self._session_id = self._rng.getrandbits(62)
        self._version = 0
        self._dtls_role = ""
        self._audio: StreamPlan | None = None
        self._video: StreamPlan | None = None
        self._video_mid = ""
        """Mid of the video section, once there is one: a section never leaves a description again."""
        self._offered: tuple[StreamPlan, StreamPlan | None] | None = None
        """What our open offer inside the call asks for."""
        self._moving = False
        self._stranded = False
        """We have left our network, and the offer that said so was rolled back: we must move again."""
        self._stats: MediaStats | None = None
        self._cname = f"rf{self._rng.getrandbits(48):012x}"
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
        self.streams = LegStreams(process, spec, self.transport, self._rng, self._cname, self._first_audio)
        self.transport.rtp_handler = self.streams

    @property
    def tier(self) -> Tier:
        """``packets`` or ``media``."""
        return self.spec.tier

    @property
    def packets_sent(self) -> int:
        """RTP packets, audio and video."""
        return self.streams.packets_sent

    @property
    def packets_received(self) -> int:
        """RTP packets, audio and video."""
        return self.streams.packets_received

    @property
    def datagrams_dropped(self) -> int:
        """Datagrams that our own socket refused, or dropped because its receive buffer was full."""
        return self.transport.send_errors

    async def create_offer(self) -> str:
        """Returns our offer with all candidates."""
        if self.state != "new":
            raise MediaError("this leg has a description already")
        self.state = "offered"
        # RFC 8445, 6.1.1: the offerer controls. It must be set before the answer arrives, because the far end's checks
        # may arrive first.
        self.transport.ice.ice_controlling = True
        self._audio = negotiation.offered_audio()
        self._video = negotiation.offered_video() if self.spec.media == "video" else None
        return self._write([self._local(plan) for plan in (self._audio, self._video) if plan is not None], "actpass")

    async def accept_offer(self, offer: str) -> str:
        """Returns our answer and starts to connect. Raises BadDescription."""
        if self.state != "new":
            raise MediaError("this leg has a description already")
        remote = sdp.parse(offer)
        transport = remote.transport()
        audio = negotiation.audio_plan(remote)
        self._agree(
            remote, audio, negotiation.video_plan(remote) if self.spec.media == "video" else None, we_answer=True
        )
        self._dtls_role = "server" if remote.setup() == "active" else "client"
        answer = self._answer(remote)
        await self._take_candidates(remote)
        self._connect(transport, controlling=remote.ice_lite)
        return answer

    async def accept_answer(self, answer: str) -> None:
        """Starts to connect. Raises BadDescription."""
        if self.state != "offered" or self._audio is None:
            raise MediaError("this leg has made no offer, or has its answer already")
        remote = sdp.parse(answer)
        transport = remote.transport()
        audio = negotiation.confirmed(self._audio, negotiation.audio_plan(remote))
        answered = negotiation.video_plan(remote) if self._video is not None else None
        video = negotiation.confirmed(self._video, answered) if self._video is not None and answered else None
        self._agree(remote, audio, video, we_answer=False)
        self._dtls_role = "client" if remote.setup() == "passive" else "server"
        await self._take_candidates(remote)
        self._connect(transport, controlling=True)

    async def add_candidate(self, candidate: dict[str, Any] | None) -> None:
        """Adds a trickled candidate in the browser's form, or None for the last. Ignores what it cannot use."""
        line = "" if candidate is None else str(candidate.get("candidate") or "")
        if line and self.state != "closed":
            await self.transport.ice.add_remote_sdp(line.removeprefix("a=").removeprefix("candidate:"))

    async def reaccept_offer(self, offer: str) -> str:
        """Returns the answer to an offer inside a running call. Raises BadDescription."""
        remote = sdp.parse(offer)
        transport = remote.transport()
        audio = negotiation.audio_plan(remote)
        if self.state not in ("connecting", "connected"):
            raise MediaError("this leg is in no call")
        restarts = transport.ice_ufrag != self.transport.ice.remote_username
        if restarts and self.state != "connected":
            raise BadDescription("the offer restarts ICE before the first connection stands")
        if restarts:
            self.streams.begin_move(self._on_heard_again)
            await self.transport.restart_ice(transport)
        self._agree(remote, audio, negotiation.video_plan(remote), we_answer=True)
        answer = self._answer(remote)
        await self._take_candidates(remote)
        if restarts:
            self.transport.reconnect()
        return answer

    async def create_reoffer(self, *, send_audio: bool, receive_audio: bool, video: bool) -> str:
        """Returns a new offer inside the running call. Raises MediaError when the leg is in no call."""
        if self._audio is None:
            raise MediaError("this leg is in no call")
        picture = self._video
        if picture is None and (video or self._video_mid):
            picture = negotiation.offered_video()
            picture = replace(picture, mid=self._video_mid or picture.mid)
        if picture is not None:
            picture = replace(picture, send=video, receive=video)
        return self._reoffer(replace(self._audio, send=send_audio, receive=receive_audio), picture)

    async def move(self, bind_address: str) -> str:
        """Leaves the old address for a new one; returns the offer that restarts ICE from there.

        Raises MediaError, or OSError when the address cannot be bound.
        """
        if self._audio is None:
            raise MediaError("this leg is in no call")
        self.streams.begin_move(self._on_heard_again)
        await self.transport.move(bind_address)
        self._moving, self._stranded = True, False
        return self._reoffer(self._audio, self._video)

    async def accept_reanswer(self, answer: str) -> None:
        """Takes the answer to our offer inside the call. Raises BadDescription."""
        if self._offered is None:
            raise MediaError("this leg has made no offer, or has its answer already")
        remote = sdp.parse(answer)
        transport = remote.transport()
        audio = negotiation.confirmed(self._offered[0], negotiation.audio_plan(remote))
        answered, offered = negotiation.video_plan(remote), self._offered[1]
        video = negotiation.confirmed(offered, answered) if offered is not None and answered is not None else None
        if self._moving:
            self.transport.set_remote(transport)
            await self._take_candidates(remote)
        self._offered = None
        self._agree(remote, audio, video, we_answer=False)
        if self._moving:
            self._moving = False
            self.transport.reconnect()

    @property
    def is_moving(self) -> bool:
        """Whether a side has left its network, no audio has arrived on the new path yet, and it still can."""
        receiver = self.streams.audio_receiver
        return receiver is not None and receiver.moving and not self._stranded

    def rollback_offer(self) -> None:
        """Rolls back our offer inside the call in favour of the far end's."""
        self._offered = None
        self._moving, self._stranded = False, self._moving

    @property
    def on_hold(self) -> bool:
        """Whether either direction of the audio is stopped by negotiation."""
        return self._audio is not None and not (self._audio.send and self._audio.receive)

    def set_audio_rate(self, audio_kbit: int, ptime_ms: int) -> None:
        """Requests and sends this bitrate and frame length from now on."""
        self.spec = replace(self.spec, audio_kbit=audio_kbit, ptime_ms=ptime_ms)
        self.streams.update_spec(self.spec)

    def set_muted(self, on: bool) -> None:
        """Sends silence, or speech again, without telling the far end."""
        self.streams.set_muted(on)

    def die(self) -> None:
        """Sends no datagram any more."""
        self.end_talk()
        self.streams.stop_sending()
        self.transport.fall_silent()

    def set_video_sending(self, on: bool) -> None:
        """Starts or stops our video without renegotiation."""
        self.streams.set_video_sending(on)

    def end_talk(self) -> None:
        """Marks the intended end; later packets do not count."""
        self.streams.end_talk()

    def live(self) -> LiveStats:
        """Returns the current figures."""
        return live_stats(self)

    async def close(self) -> MediaStats:
        """Ends the leg; returns the same figures every time."""
        if self._stats is None:
            self.streams.stop()
            self.state = "closed"
            self._stats = media_stats(self)
            await self.transport.close()
            self.process.leg_closed(self)
            self._on_event = _ignore_event
        return self._stats

    def on_milestone(self, event: MediaEvent, reason: str) -> None:
        """Called by the transport with ICE, DTLS, RESTARTED or FAILED."""
        if event is MediaEvent.RESTARTED:
            self._on_event(event, self.process.clock.unix_s())
            self.streams.on_path_validated()
            return
        if event is MediaEvent.FAILED:
            self.failure, self.state = reason, "failed"
            self.streams.stop_sending()
        elif event is MediaEvent.DTLS:
            self.state = "connected"
            self.streams.start()
        self._tell(event, self.process.clock.unix_s())

    def on_peer_left(self) -> None:
        """Called by the transport: the far end closed its DTLS association."""
        self.streams.stop_sending()

    def on_rtcp(self, data: bytes, now_s: float) -> None:
        """Called by the transport with one decrypted compound packet."""
        self.streams.reporter.received(data, now_s)

    def _first_audio(self, now_s: float) -> None:
        self._tell(MediaEvent.FIRST_AUDIO, self.process.unix_of(now_s))

    def _on_heard_again(self, now_s: float) -> None:
        self._on_event(MediaEvent.HEARD_AGAIN, self.process.unix_of(now_s))

    def _tell(self, event: MediaEvent, at_s: float) -> None:
        if event not in self.reached:
            self.reached[event] = at_s
            self._on_event(event, at_s)

    def _agree(self, remote: sdp.Description, audio: StreamPlan, video: StreamPlan | None, *, we_answer: bool) -> None:
        self._audio, self._video = audio, video
        pictures = [section.mid for section in remote.sections if section.kind == "video"]
        self._video_mid = pictures[0] if pictures else self._video_mid
        self.peer_clock, self.peer_voice = remote.clock, remote.voice
        self.peer_link_unreliable = remote.link == sdp.UNRELIABLE
        # Our own peers stamp with the monotonic clock, browsers with the wall clock (measured with Chromium 156).
        ahead_s = 0.0 if remote.clock else self.process.unix_of(0.0)
        self.streams.agree(
            audio,
            video,
            negotiation.receive_preferences(remote),
            peer_is_ours=bool(remote.clock),
            peer_voice=remote.voice,
            sender_clock_s=ahead_s,
            foreign_clock=bool(remote.clock) and remote.clock != self.process.clock_id,
            we_answer=we_answer,
        )

    def _connect(self, transport: RemoteTransport, *, controlling: bool) -> None:
        self.state = "connecting"
        self.transport.connect(transport, controlling=controlling, dtls_role=self._dtls_role)

    def _reoffer(self, audio: StreamPlan, video: StreamPlan | None) -> str:
        self._offered = audio, video
        return self._write([self._local(plan) for plan in (audio, video) if plan is not None], "actpass")

    async def _take_candidates(self, remote: sdp.Description) -> None:
        usable = [await self.transport.ice.add_remote_sdp(candidate) for candidate in remote.candidates()]
        if remote.candidates_complete() and any(usable):
            await self.transport.ice.end_remote_candidates()

    def _answer(self, remote: sdp.Description) -> str:
        agreed = [(remote.section(plan.kind), plan) for plan in (self._audio, self._video) if plan is not None]
        sections: list[sdp_write.LocalStream | sdp.Section] = []
        for section in remote.sections:
            # Compared by identity: a mid may be missing or appear twice.
            plan = next((plan for taken, plan in agreed if taken is section), None)
            sections.append(section if plan is None else self._local(plan))
        return self._write(sections, "passive" if self._dtls_role == "server" else "active")

    def _local(self, plan: StreamPlan) -> sdp_write.LocalStream:
        if plan.kind == "video":
            return sdp_write.LocalStream(plan, self.streams.video_ssrc)
        preferences = ReceivePreferences(self.spec.ptime_ms, self.spec.audio_kbit)
        return sdp_write.LocalStream(plan, self.streams.audio_ssrc, preferences)

    def _write(self, sections: list[sdp_write.LocalStream | sdp.Section], setup: str) -> str:
        self._version += 1
        ice, process = self.transport.ice, self.process
        return sdp_write.write(
            session_id=self._session_id,
            version=self._version,
            clock=process.clock_id,
            voice=live_voice().tag if self.spec.tier is Tier.MEDIA else sdp.CLIP_VOICE,
            unreliable_link=self.spec.link_unreliable,
            cname=self._cname,
            transport=sdp_write.LocalTransport(
                ice.local_username,
                ice.local_password,
                (ice.local_candidate_sdp(),),
                process.certificate.sha256(),
                setup,
            ),
            sections=sections,
        )


def _ignore_event(_event: MediaEvent, _at_s: float) -> None:
    """Replaces the owner's callback, which would keep a closed leg alive."""
