"""Negotiates two descriptions: payload type, extension ids and directions per stream, and the far end's preferences."""

from __future__ import annotations

from dataclasses import dataclass, replace

from calls.media.errors import BadDescription
from calls.media.rtp.rtp_header import ABS_SEND_TIME, MID, TRANSPORT_CC
from calls.media.sdp.sdp import Description, Section

OPUS = "opus"
VP8 = "vp8"
_EXTENSIONS = (ABS_SEND_TIME, MID)
_OFFERED = {ABS_SEND_TIME: 2, TRANSPORT_CC: 3, MID: 4}
_LONGEST_ID = 14
_LONGEST_BITRATE = 9
"""In digits. Python refuses to parse numbers of thousands of digits."""
_SENDS = ("sendrecv", "sendonly")
_RECEIVES = ("sendrecv", "recvonly")


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One agreed stream."""

    kind: str
    mid: str
    payload_type: int
    extensions: dict[str, int]
    """URI to id, for the extensions that both ends know."""
    send: bool
    """The far end wants to receive our stream."""
    receive: bool
    """The far end sends its own stream."""

    @property
    def direction(self) -> str:
        """Our direction as an SDP attribute."""
        if self.send:
            return "sendrecv" if self.receive else "sendonly"
        return "recvonly" if self.receive else "inactive"


@dataclass(frozen=True, slots=True)
class ReceivePreferences:
    """What a side wants to receive. In RFC 7587, ptime and maxaveragebitrate apply to receiving."""

    ptime_ms: int | None
    audio_kbit: float | None


def offered_audio() -> StreamPlan:
    """Returns the audio stream that we offer."""
    return StreamPlan("audio", "0", 111, dict(_OFFERED), send=True, receive=True)


def offered_video() -> StreamPlan:
    """Returns the video stream that we offer."""
    return StreamPlan("video", "1", 96, dict(_OFFERED), send=True, receive=True)


def audio_plan(description: Description) -> StreamPlan:
    """Returns the audio stream of the far end's description. Raises BadDescription without Opus."""
    section = description.section("audio")
    if section is None:
        raise BadDescription("the description has no audio")
    plan = _plan(section, OPUS)
    if plan is None:
        raise BadDescription("the description's audio is not Opus over DTLS-SRTP")
    return plan


def video_plan(description: Description) -> StreamPlan | None:
    """Returns the video stream of the far end's description; None without VP8."""
    section = description.section("video")
    return _plan(section, VP8) if section is not None else None


def receive_preferences(description: Description) -> ReceivePreferences:
    """Returns what the far end wants to receive."""
    section = description.section("audio")
    codec = section.codec(OPUS) if section is not None else None
    if section is None or codec is None:
        return ReceivePreferences(None, None)
    asked = codec.parameters.get("maxaveragebitrate", "")
    ptime_ms = section.ptime_ms if section.ptime_ms and 1 <= section.ptime_ms <= 120 else None
    is_number = asked.isascii() and asked.isdecimal() and len(asked) <= _LONGEST_BITRATE
    kbit = int(asked) / 1000 if is_number and 500 <= int(asked) <= 510_000 else None
    return ReceivePreferences(ptime_ms, kbit)


def confirmed(ours: StreamPlan, theirs: StreamPlan) -> StreamPlan:
    """Returns our offered stream as the far end's answer confirms it."""
    common = {uri: ours.extensions[uri] for uri in theirs.extensions if uri in ours.extensions}
    return replace(
        theirs, mid=ours.mid, extensions=common, send=ours.send and theirs.send, receive=ours.receive and theirs.receive
    )


def _plan(section: Section, codec_name: str) -> StreamPlan | None:
    codec = section.codec(codec_name)
    if codec is None or "SAVPF" not in section.protocol:
        return None
    wanted = (*_EXTENSIONS, TRANSPORT_CC) if "transport-cc" in codec.feedback else _EXTENSIONS
    return StreamPlan(
        kind=section.kind,
        mid=section.mid,
        payload_type=codec.payload_type,
        extensions={
            uri: number for uri, number in section.extensions.items() if uri in wanted and 1 <= number <= _LONGEST_ID
        },
        send=section.direction in _RECEIVES,
        receive=section.direction in _SENDS,
    )
