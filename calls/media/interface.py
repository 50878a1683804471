"""What the engine sees of media: the order for a leg, its events, and the figures it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from calls.media.access_link import AccessLink
from calls.media.probe.recording import RecordedAudio
from calls.records.record import Tier


class MediaEvent(StrEnum):
    """Milestones of a leg, told with the Unix second at which it happened."""

    ICE = "ice"
    DTLS = "dtls"
    FIRST_AUDIO = "first_audio"
    RESTARTED = "restarted"
    """An ICE restart stands: the leg or its far end has moved. This and the next come more than once."""
    HEARD_AGAIN = "heard_again"
    """After a restart: audio came over the new path, or none is expected. The move is over for this side."""
    FAILED = "failed"
    """The leg will not carry media (any more); ``MediaLeg.failure`` holds the short reason code."""


@dataclass(frozen=True, slots=True)
class LegSpec:
    """The order for one leg."""

    tier: Tier
    """``packets`` (pre-encoded) or ``media`` (really encodes and decodes)."""
    media: str
    """``audio`` or ``video`` (audio and video)."""
    bind_address: str
    """The one address whose host candidate is offered, e.g. ``127.0.0.1`` or a link's host end."""
    access_link: AccessLink | None
    audio_kbit: int
    """Opus payload rate that this leg wants to receive, and sends at most."""
    ptime_ms: int
    """Opus frame length that this leg wants to receive, and sends at least: 20, 40 or 60."""
    seed: int
    talk_spurts: bool = False
    """Tier ``packets``: talks and falls silent after ITU-T P.59, with DTX; else it talks all the time."""
    call_id: str = ""
    """Both sides of a call with ``talk_spurts`` follow the one conversation that belongs to it."""
    is_caller: bool = True
    moves_are_planned: bool = False
    """A side moves to another network because its scenario says so: the silence that this costs is told as
    ``move_gap_ms`` and is no gap of the call."""
    link_unreliable: bool = False
    """The access link stands still for longer than a call may be silent: the far end is told, for its own record."""


@dataclass(frozen=True, slots=True)
class AudioWindow:
    """What one listener heard in one window of some 5 s: the inputs of the E-model (ITU-T G.107)."""

    start_at_s: float
    duration_s: float
    expected: int
    """Packets that should have been heard."""
    received: int
    lost: int
    late: int
    """Received after their playout time, in the modelled playout buffer."""
    burst_ratio: float
    """Mean run of lost or late packets over the run expected of random loss (G.107's BurstR), at least 1."""
    owd_ms: float | None
    """Mean one-way delay of the packets heard; None when the sender's clock is unknown."""
    playout_delay_ms: float
    """Delay that the playout buffer added at the end of the window, over the fastest packet."""
    mouth_to_ear_ms: float | None
    """Estimated: frame + codec look-ahead + fastest one-way + playout delay; None when ``owd_ms`` is."""
    audio_kbit: float
    """Payload rate while the far end talked; under DTX a window without talk holds the last one."""
    ptime_ms: float
    talk_ratio: float = 1.0
    """Share of the window in which the far end talked."""
    owd_max_ms: float | None = None

    @property
    def effective_loss_ratio(self) -> float:
        """(lost + late) / expected, at most 1."""
        return min(1.0, (self.lost + self.late) / self.expected) if self.expected else 0.0


@dataclass(frozen=True, slots=True)
class LiveStats:
    """A leg as it is now. Counts are totals since the start; audio only unless the name says video."""

    state: str
    """``new``, ``connecting``, ``connected``, ``failed`` or ``closed``."""
    failure: str
    media: str
    """``audio`` or ``video``: what this leg sends now."""
    packets_sent: int
    packets_received: int
    packets_lost: int
    bytes_sent: int
    """All RTP payload, audio and video."""
    bytes_received: int
    video_frames_sent: int
    video_frames_received: int
    last_packet_age_ms: float | None
    """Since the last audio packet heard; None before the first, and on hold."""
    owd_ms: float | None
    """Of the last audio packet heard."""
    rtt_ms: float | None
    jitter_ms: float | None
    asked_ptime_ms: int | None
    """What the far end asked for in its description."""
    asked_audio_kbit: float | None
    sending_ptime_ms: int
    sending_audio_kbit: float
    window: AudioWindow | None
    """The last finished window."""


@dataclass(frozen=True, slots=True)
class MediaStats:
    """A leg's figures at its end, named as the fields of ``calls.records.record.LegRecord``."""

    failure: str
    peer_link_unreliable: bool
    """The far end said so of its access link."""
    ice_at_s: float | None
    dtls_at_s: float | None
    first_audio_at_s: float | None
    packets_sent: int
    packets_received: int
    packets_lost: int
    packets_late: int
    packets_duplicate: int
    packets_reordered: int
    send_errors: int
    """Datagrams that our own socket refused, or dropped because its receive buffer was full."""
    garbage_datagrams: int
    """Datagrams that were none of STUN, DTLS, RTP, RTCP, or that failed authentication."""
    effective_loss_ratio: float | None
    jitter_ms: float | None
    owd_p50_ms: float | None
    owd_p95_ms: float | None
    owd_clock: str
    owd_uncertainty_ms: float | None
    owd_negative: int
    rtt_ms: float | None
    max_gap_ms: float | None
    move_gap_ms: float | None
    """The longest silence while a side moved to another network; None when none did."""
    mouth_to_ear_ms: float | None
    """Tier ``media``: measured by correlation. Else estimated: the sum of the four parts."""
    m2e_frame_ms: float | None
    m2e_lookahead_ms: float | None
    m2e_network_ms: float | None
    m2e_playout_ms: float | None
    talk_spurts: int
    audio_kbit: float | None
    ptime_ms: float | None
    send_late_p99_ms: float | None
    video_frames_sent: int
    video_frames_received: int
    audio_score: float | None
    windows: tuple[AudioWindow, ...]
    heard: RecordedAudio | None
    """Tier ``media``: what was heard, for a judge that takes its time; None when the voice is not known."""


@dataclass(frozen=True, slots=True)
class MediaHealth:
    """How fit the generator was since the last call of ``MediaFactory.health``."""

    send_late_p99_ms: float
    send_late_max_ms: float
    packets_sent: int
    """Total since the factory's start, like the two below."""
    packets_received: int
    datagrams_dropped: int
    active_legs: int
    active_probe_legs: int
    callback_errors: int
    """Exceptions that a leg's own work raised on the ticker or a socket: bugs, never the network's."""


class MediaLeg(Protocol):
    """One side of a call's media. Every method belongs on the loop; none raises for what the network does."""

    failure: str
    """Short reason code of a FAILED event: ice_timeout, ice_failed, ice_error, dtls_timeout, dtls_failed, dtls_error,
    consent_lost, ice_restart_failed; empty while fine."""

    async def create_offer(self) -> str:
        """Returns our offer with all candidates in it."""

    async def accept_offer(self, sdp: str) -> str:
        """Returns our answer and starts to connect. Raises BadDescription."""

    async def accept_answer(self, sdp: str) -> None:
        """Starts to connect. Raises BadDescription."""

    async def add_candidate(self, candidate: dict[str, Any] | None) -> None:
        """Takes a trickled candidate in the browser's form, or None for the last."""

    async def reaccept_offer(self, sdp: str) -> str:
        """Returns the answer to an offer inside a running call: directions, media, wishes, ICE restart.

        Raises BadDescription.
        """

    async def create_reoffer(self, *, send_audio: bool, receive_audio: bool, video: bool) -> str:
        """Returns a new offer inside the running call: what we want to send and hear from now on.

        Nothing changes before its answer. Raises MediaError when the leg is in no call.
        """

    async def move(self, bind_address: str) -> str:
        """Leaves the old address, which is dead, for a new one; returns the offer that restarts ICE from there.

        aioice has no restart: a fresh aioice connection takes over under the living DTLS association and SRTP
        streams, so no key and no counter is lost. Raises MediaError, or OSError when the address cannot be bound.
        """

    async def accept_reanswer(self, sdp: str) -> None:
        """Takes the answer to our offer inside the call. Raises BadDescription."""

    @property
    def is_moving(self) -> bool:
        """Whether a side has left its network and the far end was not heard again yet."""

    def rollback_offer(self) -> None:
        """Our offer inside the call gives way to the far end's, which came at the same time (RFC 8829, 5.7)."""

    @property
    def on_hold(self) -> bool:
        """Whether either direction of the audio is stopped by agreement."""

    def set_audio_rate(self, audio_kbit: int, ptime_ms: int) -> None:
        """Wants to hear, and sends, this much from now on; the far end learns it with the next offer or answer."""

    def set_muted(self, on: bool) -> None:
        """Sends silence, or speech again, without a word to the far end."""

    def die(self) -> None:
        """Not a datagram leaves any more: the device is gone. ``close`` still gives the figures."""

    def set_video_sending(self, on: bool) -> None:
        """Starts or stops our video without renegotiation."""

    def end_talk(self) -> None:
        """Marks the intended end: nothing after it counts. Safe to call twice; ``close`` implies it."""

    def live(self) -> LiveStats:
        """Returns the figures of this moment."""

    async def close(self) -> MediaStats:
        """Ends the leg within a bounded time, leaves nothing behind. Safe to call twice."""
