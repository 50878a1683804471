"""Reads session descriptions (RFC 8866, RFC 9429) from our own peers, browsers and hostile senders. No input is
trusted.

aiortc's parser is not used. It sets no bound on its input, fails with AssertionError, StopIteration or KeyError on
malformed lines, and drops ``ptime``, ``bundle-only`` and our own session attributes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from calls.media.errors import BadDescription
from calls.media.ice.transport import RemoteTransport

MAX_DESCRIPTION_BYTES = 64 * 1024
MAX_SECTIONS = 64
MAX_FINGERPRINTS = 16
"""More fingerprints or sections describe no real call, and every section copies the session's fingerprints."""
MAX_TOKEN_CHARS = 256
"""Of an ICE user fragment or password (RFC 8839, 5.4), and of a mid."""
CLOCK_ATTRIBUTE = "x-ringfence-clock"
"""Session attribute: the machine whose monotonic clock stamps abs-send-time."""
VOICE_ATTRIBUTE = "x-ringfence-voice"
"""Session attribute: what the far end says. Either the ``tag`` of a live voice that follows the clock, or a clip."""
CLIP_VOICE = "clip"
"""A clip that started at any time: the likeness can be measured, the delay cannot."""


LINK_ATTRIBUTE = "x-ringfence-link"
"""Session attribute: ``rough`` when calls may break on the far end's access link; otherwise left out."""
UNRELIABLE = "rough"
_SESSION_ATTRIBUTES = frozenset({"group", "ice-lite", CLOCK_ATTRIBUTE, VOICE_ATTRIBUTE, LINK_ATTRIBUTE})


@dataclass(slots=True)
class Codec:
    """One payload type of a media section."""

    payload_type: int
    name: str
    """Lower case, e.g. ``opus``."""
    clock_rate: int
    parameters: dict[str, str] = field(default_factory=dict)
    feedback: set[str] = field(default_factory=set)
    """RTCP feedback, e.g. ``nack pli``."""


@dataclass(slots=True)
class Section:
    """One m-line with its attributes."""

    kind: str
    port: int
    protocol: str
    formats: list[str]
    mid: str = ""
    direction: str = "sendrecv"
    codecs: dict[int, Codec] = field(default_factory=dict)
    extensions: dict[str, int] = field(default_factory=dict)
    """URI to id."""
    candidates: list[str] = field(default_factory=list)
    end_of_candidates: bool = False
    ptime_ms: int | None = None
    ice_ufrag: str = ""
    ice_pwd: str = ""
    fingerprints: list[tuple[str, str]] = field(default_factory=list)
    setup: str = ""
    bundle_only: bool = False
    """Port 0 does not reject this section: it shares another section's transport (RFC 9143, 6)."""

    def codec(self, name: str) -> Codec | None:
        """Returns the first codec of that name."""
        return next((codec for codec in self.codecs.values() if codec.name == name), None)


@dataclass(slots=True)
class Description:
    """A whole description."""

    sections: list[Section]
    bundle: list[str]
    """Mids of the BUNDLE group, in order."""
    ice_lite: bool = False
    clock: str = ""
    voice: str = ""
    link: str = ""

    def taken(self) -> list[Section]:
        """Returns the sections that are not rejected. Port 0 rejects a section unless it is ``bundle-only``."""
        return [s for s in self.sections if s.port or (s.bundle_only and s.mid and s.mid in self.bundle)]

    def section(self, kind: str) -> Section | None:
        """Returns the first section of that kind that is not rejected."""
        return next((section for section in self.taken() if section.kind == kind), None)

    def transport(self) -> RemoteTransport:
        """Returns the transport that all bundled sections share. Raises BadDescription when it is incomplete."""
        carrier = next((s for s in self.taken() if s.ice_ufrag and s.ice_pwd), None)
        if carrier is None:
            raise BadDescription("the description has no ICE user fragment and password")
        if not carrier.fingerprints:
            raise BadDescription("the description has no certificate fingerprint")
        return RemoteTransport(carrier.ice_ufrag, carrier.ice_pwd, self.ice_lite, tuple(carrier.fingerprints))

    def setup(self) -> str:
        """Returns the DTLS role attribute: actpass, active or passive."""
        return next((section.setup for section in self.taken() if section.setup), "")

    def candidates(self) -> list[str]:
        """Returns every candidate of the shared transport, without ``candidate:``, each once."""
        return list(dict.fromkeys(c for section in self.taken() for c in section.candidates))

    def candidates_complete(self) -> bool:
        """Returns whether no further candidate will be trickled."""
        return any(section.end_of_candidates for section in self.sections)


def parse(text: str) -> Description:
    """Reads a description. Raises BadDescription with the line that makes no sense."""
    if not isinstance(text, str) or not _is_text(text):
        raise BadDescription("the description is not text of at most 64 KiB")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or lines[0] != "v=0":
        raise BadDescription("the description does not start with v=0")
    description = Description([], [])
    session = Section("session", 1, "", [])
    section = session
    for line in lines:
        try:
            if line.startswith("m="):
                if len(description.sections) == MAX_SECTIONS:
                    raise BadDescription(f"the description has more than {MAX_SECTIONS} media sections")
                section = _media_line(line, session)
                description.sections.append(section)
            elif line.startswith("a="):
                name, _, value = line[2:].partition(":")
                if section is session and name in _SESSION_ATTRIBUTES:
                    _session_attribute(description, name, value)
                else:
                    _attribute(section, name, value)
        except (ValueError, IndexError, KeyError, OverflowError):
            raise BadDescription(f"the description has a line that makes no sense: {line[:120]!r}") from None
    if not description.sections:
        raise BadDescription("the description has no media")
    return description


def _is_text(text: str) -> bool:
    """Whether ``text`` has a bounded length and can be encoded as UTF-8, which a lone surrogate cannot."""
    try:
        return len(text) <= MAX_DESCRIPTION_BYTES and len(text.encode()) <= MAX_DESCRIPTION_BYTES
    except UnicodeEncodeError:
        return False


def _media_line(line: str, session: Section) -> Section:
    kind, port, protocol, *formats = line[2:].split()
    return Section(
        kind=kind,
        port=_whole(port.partition("/")[0], 65535),
        protocol=protocol,
        formats=formats,
        direction=session.direction,
        ice_ufrag=session.ice_ufrag,
        ice_pwd=session.ice_pwd,
        fingerprints=list(session.fingerprints),
        setup=session.setup,
    )


def _session_attribute(description: Description, name: str, value: str) -> None:
    if name == "ice-lite":
        description.ice_lite = True
    elif name == CLOCK_ATTRIBUTE:
        description.clock = value
    elif name == VOICE_ATTRIBUTE:
        description.voice = value
    elif name == LINK_ATTRIBUTE:
        description.link = value
    elif value.startswith("BUNDLE"):
        description.bundle = value.split()[1:]


def _attribute(section: Section, name: str, value: str) -> None:
    if name in ("sendrecv", "sendonly", "recvonly", "inactive"):
        section.direction = name
    elif name == "mid":
        section.mid = _token(value.strip())
    elif name == "ice-ufrag":
        section.ice_ufrag = _token(value.strip())
    elif name == "ice-pwd":
        section.ice_pwd = _token(value.strip())
    elif name == "setup":
        section.setup = value
    elif name == "candidate":
        section.candidates.append(value)
    elif name == "end-of-candidates":
        section.end_of_candidates = True
    elif name == "fingerprint":
        algorithm, digest = value.split()
        if len(section.fingerprints) == MAX_FINGERPRINTS:
            raise ValueError("too many fingerprints")
        section.fingerprints.append((algorithm.lower(), digest))
    elif name == "bundle-only":
        section.bundle_only = True
    elif name == "ptime":
        section.ptime_ms = _milliseconds(value)
    elif name in ("rtpmap", "fmtp", "rtcp-fb", "extmap"):
        _codec_attribute(section, name, value)


def _codec_attribute(section: Section, name: str, value: str) -> None:
    key, rest = [*value.split(None, 1), "", ""][:2]
    if not rest and name != "rtpmap":
        return  # without parameters the line has no meaning, which is no error
    if name == "extmap":
        section.extensions[rest.split()[0]] = _whole(key.partition("/")[0], 65535)
    elif name == "rtpmap":
        encoding, rate, *_ = rest.split("/")
        section.codecs[_payload_type(key)] = Codec(_payload_type(key), encoding.lower(), _whole(rate, 10**9))
    else:
        chosen = section.codecs.values() if key == "*" else filter(None, [section.codecs.get(_payload_type(key))])
        for codec in chosen:
            if name == "rtcp-fb":
                codec.feedback.add(rest)
            else:
                pairs = (pair.strip().partition("=") for pair in rest.split(";"))
                codec.parameters.update({parameter: setting for parameter, _, setting in pairs if parameter})


def _payload_type(text: str) -> int:
    return _whole(text, 127)


def _whole(text: str, high: int) -> int:
    """Returns an integer in [0, high], written in plain digits. Raises ValueError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 10) or int(text) > high:
        raise ValueError("not a whole number in range")
    return int(text)


def _milliseconds(text: str) -> int:
    """Returns a packet time, which may have decimals. Raises ValueError for anything but a finite number."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("not a time")
    return int(value)


def _token(text: str) -> str:
    """Returns ``text`` when it is printable ASCII of a bounded length without spaces. Raises ValueError."""
    if len(text) > MAX_TOKEN_CHARS or not (text.isascii() and (text.isprintable() or not text)) or " " in text:
        raise ValueError("not a token")
    return text
