"""Declares media as the engine sees it: the specification of a leg, its events, and its final figures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from calls.media.access_link import AccessLink
from calls.media.probe.recording import RecordedAudio
from calls.records.record import Tier


class MediaEvent(StrEnum):
    """Milestones of a leg. Each is reported with its Unix time in seconds."""

    ICE = "ice"
    DTLS = "dtls"
    FIRST_AUDIO = "first_audio"
    RESTARTED = "restarted"
    """An ICE restart is complete: the leg or its far end has moved. This and HEARD_AGAIN may come repeatedly."""
    HEARD_AGAIN = "heard_again"
    """After a restart: audio arrived on the new path, or none is expected. The move is complete for this side."""
    FAILED = "failed"
    """The leg carries no media any more; ``MediaLeg.failure`` holds the reason code."""


@dataclass(frozen=True, slots=True)
class LegSpec:
    """The specification of one leg."""

    tier: Tier
    """``packets`` (pre-encoded) or ``media`` (encodes and decodes each frame)."""
    media: str
    """``audio`` or ``video`` (audio and video)."""
    bind_address: str
    """The only address whose host candidate is offered, e.g. ``127.0.0.1`` or a link's host end."""
    access_link: AccessLink | None
    audio_kbit: int
    """Opus bitrate that this leg requests, and the most that it sends."""
    ptime_ms: int
    """Opus frame length that this leg requests, and the least that it sends: 20, 40 or 60."""
    seed: int
    talk_spurts: bool = False
    """Tier ``packets``: talks and pauses after ITU-T P.59, with DTX. Otherwise it talks all the time."""
    call_id: str = ""
    """With ``talk_spurts``, both sides derive the same conversation from it."""
    is_caller: bool = True
    moves_are_planned: bool = False
    """The scenario makes a side move to another network. The silence of the move goes to ``move_gap_ms`` and is no gap
    of the call."""
    link_unreliable: bool = False
    """The access link stalls for longer than a call may be silent. The far end is told, for its own record."""


@dataclass(frozen=True, slots=True)
class AudioWindow:
    """What one side received in a window of about 5 s: the inputs of the E-model (ITU-T G.107)."""

    start_at_s: float
    duration_s: float
    expected: int
    """Packets that were due."""
    received: int
    lost: int
    late: int
    """Received after their playout time, in the playout buffer model."""
    burst_ratio: float
    """Mean run of lost or late packets over the run expected of random loss (BurstR of G.107), at least 1."""
    owd_ms: float | None
    """Mean one-way delay of the received packets; None when the sender's clock is unknown."""
    playout_delay_ms: float
    """Delay that the playout buffer added at the end of the window, on top of the fastest packet's."""
    mouth_to_ear_ms: float | None
    """Estimated: frame + codec look-ahead + fastest one-way + playout delay; None when ``owd_ms`` is."""
    audio_kbit: float
    """Payload rate while the far end talked. Under DTX, a window without talk keeps the last rate."""
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
    """Current figures of a leg. Counts are totals since the start, of audio only unless the name says video."""

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
    """Time since the last audio packet; None before the first packet and on hold."""
    owd_ms: float | None
    """One-way delay of the last audio packet."""
    rtt_ms: float | None
    jitter_ms: float | None
    asked_ptime_ms: int | None
    """What the far end requested in its description."""
    asked_audio_kbit: float | None
    sending_ptime_ms: int
    sending_audio_kbit: float
    window: AudioWindow | None
    """The last finished window."""


@dataclass(frozen=True, slots=True)
class MediaStats:
    """A leg's figures at its end. The names are those of ``calls.records.record.LegRecord``."""

    failure: str
    peer_link_unreliable: bool
    """The far end says that its access link is unreliable."""
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
    """Datagrams that were not STUN, DTLS, RTP or RTCP, or that failed authentication."""
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
    """The longest silence while a side moved to another network; None without a move."""
    mouth_to_ear_ms: float | None
    """Tier ``media``: measured by correlation. Otherwise estimated as the sum of the four parts below."""
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
    """Tier ``media``: the received audio for the probe scorer; None when the voice is unknown."""


@dataclass(frozen=True, slots=True)
class MediaHealth:
    """How well the generator kept up since the last call of ``MediaFactory.health``."""

    send_late_p99_ms: float
    send_late_max_ms: float
    packets_sent: int
    """Total since the factory's start, like the two below."""
    packets_received: int
    datagrams_dropped: int
    active_legs: int
    active_probe_legs: int
    callback_errors: int
    """Exceptions in a leg's callbacks on the ticker or a socket: bugs of ours, never the network's."""


class MediaLeg(Protocol):
    """One side of a call's media. Call every method on the loop. None raises for errors of the network."""

    failure: str
    """Reason code of a FAILED event: ice_timeout, ice_failed, ice_error, dtls_timeout, dtls_failed, dtls_error,
    consent_lost, ice_restart_failed. Empty without a failure."""

    async def create_offer(self) -> str:
        """Returns our offer with all candidates."""

    async def accept_offer(self, sdp: str) -> str:
        """Returns our answer and starts to connect. Raises BadDescription."""

    async def accept_answer(self, sdp: str) -> None:
        """Starts to connect. Raises BadDescription."""

    async def add_candidate(self, candidate: dict[str, Any] | None) -> None:
        """Takes a trickled candidate in the browser's form, or None for the last."""

    async def reaccept_offer(self, sdp: str) -> str:
        """Returns the answer to an offer inside a running call: directions, media, preferences, ICE restart.

        Raises BadDescription.
        """

    async def create_reoffer(self, *, send_audio: bool, receive_audio: bool, video: bool) -> str:
        """Returns a new offer inside the running call, with what we want to send and receive.

        Nothing changes before its answer. Raises MediaError when the leg is in no call.
        """

    async def move(self, bind_address: str) -> str:
        """Leaves the old address, which is dead, for a new one; returns the offer that restarts ICE from there.

        aioice has no restart. A fresh aioice connection takes over under the same DTLS association and SRTP streams, so
        keys and counters stay. Raises MediaError, or OSError when the address cannot be bound.
        """

    async def accept_reanswer(self, sdp: str) -> None:
        """Applies the answer to our offer inside the call. Raises BadDescription."""

    @property
    def is_moving(self) -> bool:
        """Whether a side has left its network and no audio has arrived on the new path yet."""

    def rollback_offer(self) -> None:
        """Rolls back our offer inside the call: the far end's came at the same time (RFC 8829, 5.7)."""

    @property
    def on_hold(self) -> bool:
        """Whether either direction of the audio is stopped by negotiation."""

    def set_audio_rate(self, audio_kbit: int, ptime_ms: int) -> None:
        """Requests and sends this rate from now on; the far end learns it with the next offer or answer."""

    def set_muted(self, on: bool) -> None:
        """Sends silence, or speech again, without telling the far end."""

    def die(self) -> None:
        """Sends no datagram any more: the device is gone. ``close`` still returns the figures."""

    def set_video_sending(self, on: bool) -> None:
        """Starts or stops our video without renegotiation."""

    def end_talk(self) -> None:
        """Marks the intended end; later packets do not count. Safe to call twice; ``close`` implies it."""

    def live(self) -> LiveStats:
        """Returns the current figures."""

    async def close(self) -> MediaStats:
        """Ends the leg within a bounded time and releases everything. Safe to call twice."""
