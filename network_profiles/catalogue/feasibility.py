"""What a call needs of a link, in whole IP packets, and what the link gives it, for as much of the time as it does.

A packet of media costs 50 bytes beside what it carries: IPv4 20, UDP 8, RTP 12 (RFC 3550), SRTP's tag 10 (RFC 3711,
80 bit). Rates are those of an empty link: signaling and consent checks come on top.
"""

from __future__ import annotations

from dataclasses import dataclass

from network_profiles.model.plain_profile import plain_profile
from network_profiles.model.profile import Direction, NetworkProfile
from network_profiles.model.schedule import Course, course

HEADERS_BYTES = 50
ALWAYS_RATIO = 0.995
"""Share of the time from which on a format counts as fitting: a drop of half a second in a hundred is a hiccup."""
MOSTLY_RATIO = 0.95
"""Share of the time in service from which on a format is what calls can count on, where the rate wanders."""
VOICE_LOSS_MAX_RATIO = 0.2
"""An engineering choice: of one packet in five, concealment and in-band FEC still make speech that is understood."""
VIDEO_LOSS_MAX_RATIO = 0.1
"""From 10 % loss on, congestion control as in WebRTC (draft-ietf-rmcat-gcc, loss-based control) gives up rate."""
_SETUP_ROUND_TRIPS = 3
"""ICE's check and the two flights of DTLS 1.2, each of which waits for the other side."""


@dataclass(frozen=True, slots=True)
class CallFormat:
    """How a call's media are sent, each way."""

    name: str
    title: str
    media_kbit: float
    packets_per_s: float
    loss_max_ratio: float
    """Random loss beyond which it is of no use, however wide the link."""
    source: str

    @property
    def wire_kbit(self) -> float:
        """kbit/s of whole IP packets."""
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
    """Share of the time in which the link carries it towards the device."""
    up_ratio: float

    @property
    def both_ways(self) -> bool:
        """Whether it fits both ways, all the time but for hiccups."""
        return min(self.down_ratio, self.up_ratio) >= ALWAYS_RATIO

    @property
    def sometimes(self) -> bool:
        """Whether there is time at all in which it fits both ways."""
        return min(self.down_ratio, self.up_ratio) > 0


@dataclass(frozen=True, slots=True)
class Feasibility:
    """What to expect of calls on a profile."""

    profile_id: str
    rtt_ms: float
    """Of the empty link, a small packet's time on the wire included."""
    setup_floor_ms: float
    """No media can flow sooner after the answer: three round trips."""
    fits: tuple[Fit, ...]
    """In the order of ``FORMATS``: the least demanding first."""
    round_trips_ratio: float
    """Share of round trips that random loss lets through, outages apart. Each that is lost is tried again."""
    outage_ratio: float
    """Share of the time in which nothing passes, in the direction that has more of it."""

    def fit(self, wanted: CallFormat) -> Fit:
        """Returns how ``wanted``, one of ``FORMATS``, fits."""
        return self.fits[FORMATS.index(wanted)]

    @property
    def sentence(self) -> str:
        """The best that a call can be here, outages apart."""
        best = next((fit.format for fit in reversed(self.fits) if self._between_outages(fit)), None)
        nothing = f", but for {self.outage_ratio:.0%} of the time shown nothing passes" if self.outage_ratio > 0 else ""
        if best is None:
            return "not even low audio fits: a call must be refused gracefully"
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


def describe(profile: NetworkProfile, *, seed: int = 1) -> Feasibility:
    """Returns what a call needs against what the link gives, over the course that ``seed`` makes of it."""
    numbers = plain_profile(profile)
    down, up = course(numbers, "down", seed=seed), course(numbers, "up", seed=seed)
    on_wire_ms = sum(_on_wire_ms(direction, HEADERS_BYTES) for direction in (profile.down, profile.up))
    rtt_ms = profile.rtt_ms + on_wire_ms
    fits = tuple(Fit(one, _share(down, one), _share(up, one)) for one in FORMATS)
    passing = down.passing_ratio * up.passing_ratio
    outage_ratio = max(_outage_ratio(down), _outage_ratio(up))
    return Feasibility(profile.id, rtt_ms, _SETUP_ROUND_TRIPS * rtt_ms, fits, passing, outage_ratio)


def _share(one: Course, wanted: CallFormat) -> float:
    return one.share_carrying(wanted.wire_kbit, loss_max_ratio=wanted.loss_max_ratio)


def _outage_ratio(one: Course) -> float:
    return sum(outage.lasts_s for outage in one.outages) / one.length_s


def _on_wire_ms(direction: Direction, size_bytes: int) -> float:
    return 0.0 if direction.rate_kbit is None else size_bytes * 8 / direction.rate_kbit
