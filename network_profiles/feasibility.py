"""What a voice call needs of a link, in whole IP packets, and what the link gives it.

A packet of Opus costs 50 bytes beside the sound: IPv4 20, UDP 8, RTP 12 (RFC 3550), SRTP's tag 10 (RFC 3711, 80 bit).
"""

from __future__ import annotations

from dataclasses import dataclass

from network_profiles.profile import Direction, NetworkProfile

HEADERS_BYTES = 50
VIDEO_FLOOR_KBIT = 150.0
"""Below it, no picture worth sending fits beside the sound."""
_SETUP_ROUND_TRIPS = 3
"""ICE's check and the two flights of DTLS 1.2, each of which waits for the other side."""


@dataclass(frozen=True, slots=True)
class VoiceFormat:
    """How a call's sound is sent."""

    title: str
    opus_kbit: float
    ptime_ms: float

    @property
    def wire_kbit(self) -> float:
        """kbit/s of whole IP packets."""
        packets_per_s = 1000.0 / self.ptime_ms
        return self.opus_kbit + packets_per_s * HEADERS_BYTES * 8 / 1000.0


DEFAULT_VOICE = VoiceFormat("default Opus, 24 kbit/s in 20 ms frames", 24.0, 20.0)
LOW_VOICE = VoiceFormat("low audio, 12 kbit/s in 60 ms frames", 12.0, 60.0)


@dataclass(frozen=True, slots=True)
class VoiceFit:
    """One format on one link."""

    voice: VoiceFormat
    down: bool
    up: bool

    @property
    def both_ways(self) -> bool:
        return self.down and self.up


@dataclass(frozen=True, slots=True)
class Feasibility:
    """What to expect of calls on a profile."""

    profile_id: str
    rtt_ms: float
    """Of the empty link, a small packet's time on the wire included."""
    setup_floor_ms: float
    """No media can flow sooner after the answer: three round trips."""
    fits: tuple[VoiceFit, ...]
    """Default Opus, then low audio."""
    video: bool
    """Whether a picture has any room, both ways."""

    @property
    def sentence(self) -> str:
        """The best that a call can be here."""
        default, low = (fit.both_ways for fit in self.fits)
        if self.video:
            return "voice and video fit"
        if default:
            return "voice fits, video does not"
        if low:
            return "only low audio fits"
        return "not even low audio fits: a call must be refused gracefully"


def describe(profile: NetworkProfile) -> Feasibility:
    """Returns what a voice call needs against what the link gives."""
    on_wire_ms = sum(_on_wire_ms(direction, HEADERS_BYTES) for direction in (profile.down, profile.up))
    rtt_ms = profile.rtt_ms + on_wire_ms
    fits = tuple(
        VoiceFit(voice, _carries(profile.down, voice.wire_kbit), _carries(profile.up, voice.wire_kbit))
        for voice in (DEFAULT_VOICE, LOW_VOICE)
    )
    with_picture_kbit = DEFAULT_VOICE.wire_kbit + VIDEO_FLOOR_KBIT
    video = _carries(profile.down, with_picture_kbit) and _carries(profile.up, with_picture_kbit)
    return Feasibility(profile.id, rtt_ms, _SETUP_ROUND_TRIPS * rtt_ms, fits, video)


def _carries(direction: Direction, wire_kbit: float) -> bool:
    return direction.rate_kbit is None or wire_kbit <= direction.rate_kbit


def _on_wire_ms(direction: Direction, size_bytes: int) -> float:
    return 0.0 if direction.rate_kbit is None else size_bytes * 8 / direction.rate_kbit
