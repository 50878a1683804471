"""Writes our own session descriptions: one BUNDLE transport, rtcp-mux, all candidates included.

aiortc's writer is not used: it starts from its own RTP and transport objects, which we do not have, and cannot write
our session attributes.
"""

from __future__ import annotations

from dataclasses import dataclass

from calls.media.rtp.rtp_header import TRANSPORT_CC
from calls.media.sdp.negotiation import ReceivePreferences, StreamPlan
from calls.media.sdp.sdp import CLOCK_ATTRIBUTE, LINK_ATTRIBUTE, UNRELIABLE, VOICE_ATTRIBUTE, Section


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Our half of the transport."""

    ice_ufrag: str
    ice_pwd: str
    candidates: tuple[str, ...]
    fingerprint: str
    """SHA-256."""
    setup: str
    """``actpass`` in an offer, ``active`` or ``passive`` in an answer."""


@dataclass(frozen=True, slots=True)
class LocalStream:
    """One stream of ours with its SSRC."""

    plan: StreamPlan
    ssrc: int
    preferences: ReceivePreferences | None = None
    """Audio only."""


def write(
    *,
    session_id: int,
    version: int,
    clock: str,
    voice: str,
    unreliable_link: bool = False,
    cname: str,
    transport: LocalTransport,
    sections: list[LocalStream | Section],
) -> str:
    """Returns the description. A ``Section`` is one of the far end's that we reject."""
    accepted = [section.plan.mid for section in sections if isinstance(section, LocalStream) and section.plan.mid]
    lines = [
        "v=0",
        f"o=ringfence {session_id} {version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        *([f"a=group:BUNDLE {' '.join(accepted)}"] if accepted else []),
        f"a=msid-semantic: WMS {cname}",
        f"a={CLOCK_ATTRIBUTE}:{clock}",
        f"a={VOICE_ATTRIBUTE}:{voice}",
        *([f"a={LINK_ATTRIBUTE}:{UNRELIABLE}"] if unreliable_link else []),
    ]
    for section in sections:
        lines += _refused(section) if isinstance(section, Section) else _stream(section, transport, cname)
    return "\r\n".join(lines) + "\r\n"


def _refused(section: Section) -> list[str]:
    lines = [f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}", "c=IN IP4 0.0.0.0", "a=inactive"]
    return [*lines, f"a=mid:{section.mid}"] if section.mid else lines


def _stream(stream: LocalStream, transport: LocalTransport, cname: str) -> list[str]:
    plan = stream.plan
    codec = _opus(plan, stream.preferences) if plan.kind == "audio" else _vp8(plan)
    lines = [
        f"m={plan.kind} 9 UDP/TLS/RTP/SAVPF {plan.payload_type}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=ice-ufrag:{transport.ice_ufrag}",
        f"a=ice-pwd:{transport.ice_pwd}",
        f"a=fingerprint:sha-256 {transport.fingerprint}",
        f"a=setup:{transport.setup}",
        *([f"a=mid:{plan.mid}"] if plan.mid else []),
        *(f"a=extmap:{number} {uri}" for uri, number in plan.extensions.items()),
        f"a={plan.direction}",
        f"a=msid:{cname} {cname}-{plan.kind}",
        "a=rtcp-mux",
        *codec,
        f"a=ssrc:{stream.ssrc} cname:{cname}",
        *(f"a=candidate:{candidate}" for candidate in transport.candidates),
        "a=end-of-candidates",
    ]
    return lines


def _opus(plan: StreamPlan, preferences: ReceivePreferences | None) -> list[str]:
    parameters = "minptime=10;useinbandfec=1"
    lines = [f"a=rtpmap:{plan.payload_type} opus/48000/2"]
    if TRANSPORT_CC in plan.extensions:
        lines.append(f"a=rtcp-fb:{plan.payload_type} transport-cc")
    if preferences is not None and preferences.audio_kbit is not None:
        parameters += f";maxaveragebitrate={round(preferences.audio_kbit * 1000)}"
    lines.append(f"a=fmtp:{plan.payload_type} {parameters}")
    if preferences is not None and preferences.ptime_ms is not None:
        lines += [f"a=ptime:{preferences.ptime_ms}", f"a=maxptime:{max(60, preferences.ptime_ms)}"]
    return lines


def _vp8(plan: StreamPlan) -> list[str]:
    feedback = ["nack pli", "ccm fir", *(["transport-cc"] if TRANSPORT_CC in plan.extensions else [])]
    return [
        f"a=rtpmap:{plan.payload_type} VP8/90000",
        *(f"a=rtcp-fb:{plan.payload_type} {kind}" for kind in feedback),
    ]
