"""Types the hook's data: cumulative counters of the W3C statistics (webrtc-stats), one sample per second."""

from __future__ import annotations

from typing import Any

import msgspec


class _Read(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base class: W3C's names in Python's spelling. A counter that the browser lacks keeps its default."""


class CodecStats(_Read, frozen=True):
    """The codec of a stream."""

    mime_type: str = ""
    payload_type: int = -1
    clock_rate: int = 48_000
    sdp_fmtp_line: str = ""


class InboundStats(_Read, frozen=True):
    """``inbound-rtp``: a stream that this browser received."""

    packets_received: int = 0
    packets_lost: int = 0
    packets_discarded: int = 0
    bytes_received: int = 0
    jitter: float | None = None
    jitter_buffer_delay: float = 0.0
    jitter_buffer_emitted_count: int = 0
    concealed_samples: int = 0
    silent_concealed_samples: int = 0
    total_samples_received: int = 0
    audio_level: float | None = None
    total_audio_energy: float | None = None
    frames_received: int = 0
    frames_decoded: int = 0
    freeze_count: int = 0
    total_freezes_duration: float = 0.0
    codec: CodecStats | None = None


class OutboundStats(_Read, frozen=True):
    """``outbound-rtp``: a stream that this browser sent."""

    active: bool = True
    packets_sent: int = 0
    bytes_sent: int = 0
    frames_sent: int = 0
    frames_encoded: int = 0
    encoder_implementation: str = ""
    quality_limitation_reason: str = ""
    codec: CodecStats | None = None


class RemoteInboundStats(_Read, frozen=True):
    """``remote-inbound-rtp``: our stream in the far end's receiver reports."""

    round_trip_time: float | None = None
    fraction_lost: float | None = None


class CandidateStats(_Read, frozen=True):
    """One end of the selected pair."""

    address: str | None = None
    port: int | None = None
    protocol: str = ""
    candidate_type: str = ""


class CandidatePairStats(_Read, frozen=True):
    """The selected candidate pair."""

    current_round_trip_time: float | None = None
    bytes_sent: int = 0
    bytes_received: int = 0
    local: CandidateStats = CandidateStats()
    remote: CandidateStats = CandidateStats()


class StatsSample(_Read, frozen=True):
    """One sample of one connection."""

    at_ms: float
    audio_in: InboundStats | None = None
    audio_out: OutboundStats | None = None
    audio_remote_in: RemoteInboundStats | None = None
    video_in: InboundStats | None = None
    video_out: OutboundStats | None = None
    pair: CandidatePairStats | None = None

    @property
    def rtt_ms(self) -> float | None:
        """The round trip from RTCP reports; where there are none, from the last connectivity check."""
        media = self.audio_remote_in.round_trip_time if self.audio_remote_in is not None else None
        check = self.pair.current_round_trip_time if self.pair is not None else None
        found = media if media is not None else check
        return found * 1000 if found is not None else None


class PeerConnectionStats(_Read, frozen=True):
    """One RTCPeerConnection of the page, from creation to close."""

    created_at_ms: float
    ice_at_ms: float | None = None
    connected_at_ms: float | None = None
    first_audio_at_ms: float | None = None
    closed_at_ms: float | None = None
    states: list[tuple[float, str]] = []
    samples: list[StatsSample] = []


def read_connections(taken: Any) -> list[PeerConnectionStats]:
    """Returns the hook's connections. Raises msgspec.ValidationError for any other data."""
    return msgspec.convert(taken, list[PeerConnectionStats])


def call_connection(connections: list[PeerConnectionStats]) -> PeerConnectionStats | None:
    """Returns the connection that carried the call: the last one with audio, else the last one created."""
    heard = [connection for connection in connections if connection.first_audio_at_ms is not None]
    return next(reversed(heard or connections), None)
