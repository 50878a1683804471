"""Compares a call's needs with a link: which formats fit, and for what share of the time. Counts whole IP packets.

A media packet has 50 bytes of headers: IPv4 20, UDP 8, RTP 12 (RFC 3550), SRTP's tag 10 (RFC 3711, 80 bit). Rates are
those of an empty link: signaling and consent checks come on top.
"""

from __future__ import annotations

from dataclasses import dataclass

from network_profiles.model.plain_profile import plain_profile
from network_profiles.model.profile import Direction, NetworkProfile
from network_profiles.model.schedule import Schedule, build_schedule

HEADERS_BYTES = 50
ALWAYS_RATIO = 0.995
"""A format fits when the link carries it for at least this share of the time: 0.5 s of 100 s may be missing."""
MOSTLY_RATIO = 0.95
"""Where the rate varies, calls can rely on a format that fits for at least this share of the time in service."""
VOICE_LOSS_MAX_RATIO = 0.2
"""An engineering choice: with one packet in five lost, concealment and in-band FEC keep speech intelligible."""
VIDEO_LOSS_MAX_RATIO = 0.1
"""Above 10 % loss, WebRTC's congestion control (draft-ietf-rmcat-gcc, loss-based) reduces the rate."""
_SETUP_ROUND_TRIPS = 3
"""One for ICE's check and two for DTLS 1.2: each flight waits for the other side."""


@dataclass(frozen=True, slots=True)
class CallFormat:
    """How a call's media are sent in each direction."""

    name: str
    title: str
    media_kbit: float
    packets_per_s: float
    loss_max_ratio: float
    """Random loss above which the format is unusable at any rate."""
    source: str

    @property
    def wire_kbit(self) -> float:
        """Rate of whole IP packets."""
        return self.media_kbit + self.packets_per_s * HEADERS_BYTES * 8 / 1000.0


DEFAULT_VOICE = CallFormat(
    "voice",
    "Opus, 24 kbit/s in 20 ms frames",
    24.0,
    50.0,
    VOICE_LOSS_MAX_RATIO,
    "20 ms are the default frame of RFC 7587; 24 kbit/s are what WebRTC clients send for speech",
)
LOW_VOICE = CallFormat(
    "low_voice",
    "Opus, 12 kbit/s in 60 ms frames",
    12.0,
    1000.0 / 60.0,
    VOICE_LOSS_MAX_RATIO,
    "60 ms is the longest single frame of Opus (RFC 6716); 12 kbit/s end RFC 7587's range for narrowband speech",
)
VIDEO = CallFormat(
    "video",
    "voice and VP8 at 150 kbit/s",
    DEFAULT_VOICE.media_kbit + 150.0,
    DEFAULT_VOICE.packets_per_s + 30.0,
    VIDEO_LOSS_MAX_RATIO,
    "the least that WebRTC's simulcast table gives 640x360; 15 pictures of two packets a second",
)
GOOD_VIDEO = CallFormat(
    "good_video",
    "voice and VP8 at 500 kbit/s",
    DEFAULT_VOICE.media_kbit + 500.0,
    DEFAULT_VOICE.packets_per_s + 60.0,
    VIDEO_LOSS_MAX_RATIO,
    "what WebRTC's simulcast table aims at for 640x360; 30 pictures of two packets a second",
)
FORMATS = (LOW_VOICE, DEFAULT_VOICE, VIDEO, GOOD_VIDEO)


@dataclass(frozen=True, slots=True)
class Fit:
    """One format on one link."""

    format: CallFormat
    down_ratio: float
    """Share of the time in which the link carries the format towards the device."""
    up_ratio: float

    @property
    def both_ways(self) -> bool:
        """Whether it fits in both directions for at least ``ALWAYS_RATIO`` of the time."""
        return min(self.down_ratio, self.up_ratio) >= ALWAYS_RATIO

    @property
    def sometimes(self) -> bool:
        """Whether it fits for some of the time in each direction."""
        return min(self.down_ratio, self.up_ratio) > 0


@dataclass(frozen=True, slots=True)
class Feasibility:
    """What calls can expect of a profile."""

    profile_id: str
    rtt_ms: float
    """Round trip of the empty link, with a small packet's time on the wire."""
    setup_floor_ms: float
    """Least time from answer to first media: three round trips."""
    fits: tuple[Fit, ...]
    """In the order of ``FORMATS``, the least demanding first."""
    round_trips_ratio: float
    """Share of round trips that random loss lets through, outages left out. A lost one is tried again."""
    outage_ratio: float
    """Share of the time in outages, in the direction with more of them."""

    def fit(self, wanted: CallFormat) -> Fit:
        """Returns the fit of ``wanted``, one of ``FORMATS``."""
        return self.fits[FORMATS.index(wanted)]

    @property
    def sentence(self) -> str:
        """One sentence: the best format that fits, outages left out."""
        best = next((fit.format for fit in reversed(self.fits) if self._between_outages(fit)), None)
        nothing = f"; nothing passes for {self.outage_ratio:.0%} of the time shown" if self.outage_ratio > 0 else ""
        if best is None:
            return "not even low audio fits: the service must refuse a call with a clear message"
        fits = {
            LOW_VOICE: "only low audio fits",
            DEFAULT_VOICE: "voice fits, video does not",
            VIDEO: "voice and a small picture fit",
            GOOD_VIDEO: "voice and video fit",
        }
        return fits[best] + nothing

    def _between_outages(self, fit: Fit) -> bool:
        in_service = 1.0 - self.outage_ratio
        return in_service > 0 and min(fit.down_ratio, fit.up_ratio) >= MOSTLY_RATIO * in_service


def assess_feasibility(profile: NetworkProfile, *, seed: int = 1) -> Feasibility:
    """Returns what calls can expect of ``profile``, over the schedule that ``seed`` gives it."""
    numbers = plain_profile(profile)
    down, up = build_schedule(numbers, "down", seed=seed), build_schedule(numbers, "up", seed=seed)
    on_wire_ms = sum(_on_wire_ms(direction, HEADERS_BYTES) for direction in (profile.down, profile.up))
    rtt_ms = profile.rtt_ms + on_wire_ms
    fits = tuple(Fit(one, _share(down, one), _share(up, one)) for one in FORMATS)
    passing = down.passing_ratio * up.passing_ratio
    outage_ratio = max(_outage_ratio(down), _outage_ratio(up))
    return Feasibility(profile.id, rtt_ms, _SETUP_ROUND_TRIPS * rtt_ms, fits, passing, outage_ratio)


def _share(one: Schedule, wanted: CallFormat) -> float:
    return one.share_carrying(wanted.wire_kbit, loss_max_ratio=wanted.loss_max_ratio)


def _outage_ratio(one: Schedule) -> float:
    return sum(outage.lasts_s for outage in one.outages) / one.length_s


def _on_wire_ms(direction: Direction, size_bytes: int) -> float:
    return 0.0 if direction.rate_kbit is None else size_bytes * 8 / direction.rate_kbit
