"""Defines the messages of a client: typed, bounded, decoded in one pass.

Every message is one JSON object with a ``type``. Unknown fields are ignored, so that an old service talks to a newer
client; an unknown type or a wrong field is a ``Rejected``, which the socket answers with ``error`` and survives.

How calls behave where it is not obvious:

- **Several devices.** Every device of the callee rings. The first ``call.answer`` wins; the others get ``call.ended``
  with ``answered_elsewhere``, also one whose answer comes too late. A decline on one device declines on all.
- **A cancel that crosses the answer** is still a cancel: both sides get ``canceled``, since the caller had not heard
  the answer when it gave up.
- **Glare.** When two people call each other, the invitation that is read first rings; the other is refused ``busy``,
  and its caller is shown the first call again.
- **Hold, upgrade, another network** are a ``call.reoffer`` and its ``call.reanswer``; the service passes descriptions
  on unread. When both offer at once the caller's offer stands, and who answers takes its own back. A ``call.reanswer``
  without an offer is an ``illegal_transition``.
- **A lost socket** ends its calls with ``peer_lost`` after 5 s, unless a new socket of the same person says
  ``call.resume`` before: it gets ``call.resumed`` and all that was said meanwhile. A call that is over by then is told
  with its own ``call.ended``.
- **Shadow calls.** ``call.shadow`` is checked, routed and stored like an invitation, and refused for the same reasons.
  It rings nobody, makes nobody busy and shows in no history. The caller gets ``call.trying`` once it is on disk, then
  ``call.ended`` with ``shadowed`` and the number of ``devices`` that would have rung.
- **Rate limits.** A client that sends too much gets ``error`` with ``rate_limited`` and, where the service knows it,
  ``retry_after_s``; over HTTP it is a 429 with ``Retry-After``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from reference_service.settings import MAX_SDP_CHARS, MAX_TEXT_CHARS

Whole = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""A 64-bit integer: JSON has no bound, SQLite has this one."""

Ref = Annotated[str, Meta(max_length=128)] | Whole | None
"""The client's own id of a request. The reply repeats it."""

Moment = Annotated[int, Meta(ge=0, le=1 << 62)]
"""A place in time or in a thread: ``at_ms`` or ``seq``."""

Name = Annotated[str, Meta(min_length=1, max_length=64)]
CallId = Annotated[str, Meta(min_length=1, max_length=128)]
Sdp = Annotated[str, Meta(max_length=MAX_SDP_CHARS)]
Media = Literal["audio", "video"]
Who = Literal["following", "close_friends", "everyone", "nobody"]
Reason = Annotated[str, Meta(max_length=64)]


class Incoming(Struct, frozen=True, tag_field="type"):
    """A message from a client."""


class Hello(Incoming, frozen=True, tag="hello"):
    """The first message on every socket: signs the user in."""

    token: Annotated[str, Meta(max_length=512)]
    client: Annotated[str, Meta(max_length=200)] = ""


class Ping(Incoming, frozen=True, tag="ping"):
    """Asks for a ``pong`` with the same ``n``: the client's own round-trip probe."""

    n: Whole | float | None = None


class MessageSend(Incoming, frozen=True, tag="message.send"):
    """A text for ``to``; acknowledged once it is on disk."""

    to: Name
    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_CHARS)]
    ref: Ref = None


class ThreadList(Incoming, frozen=True, tag="thread.list"):
    """The user's threads, latest first; ``before`` (``last.seq`` of the last one seen) asks for the next page."""

    ref: Ref = None
    before: Moment | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class ThreadRead(Incoming, frozen=True, tag="thread.read"):
    """One page of a thread, oldest first, with the calls of the same span; the newest page marks the thread read."""

    with_: Name = msgspec.field(name="with")
    ref: Ref = None
    before: Moment | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class ContactsList(Incoming, frozen=True, tag="contacts.list"):
    """The contacts again, with fresh presence."""

    ref: Ref = None


class CallHistory(Incoming, frozen=True, tag="call.history"):
    """Who called, when and how long: the user's own calls, latest first."""

    ref: Ref = None
    before: Moment | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class ControlGet(Incoming, frozen=True, tag="control.get"):
    """Asks who may call the user."""

    ref: Ref = None


class ControlSet(Incoming, frozen=True, tag="control.set"):
    """Sets who may call the user from now on."""

    who: Who
    ref: Ref = None


class ControlBlock(Incoming, frozen=True, tag="control.block"):
    """Bars ``name`` from calling and writing; ends a call that is on with that person."""

    name: Name
    ref: Ref = None


class ControlUnblock(Incoming, frozen=True, tag="control.unblock"):
    """Removes a block."""

    name: Name
    ref: Ref = None


class ControlReport(Incoming, frozen=True, tag="control.report"):
    """Reports a person, or one call with that person, to the operator."""

    name: Name
    reason: Annotated[str, Meta(max_length=500)] = ""
    call_id: CallId | None = None
    ref: Ref = None


class CallMessage(Incoming, frozen=True):
    """Any message about one call."""

    call_id: CallId


class CallInvite(CallMessage, frozen=True, tag="call.invite"):
    """Starts a call; ``call_id`` is the caller's choice and must be new."""

    to: Name
    media: Media
    sdp: Sdp


class CallShadow(CallMessage, frozen=True, tag="call.shadow"):
    """A call that is checked and routed but rings nobody."""

    to: Name
    media: Media
    sdp: Sdp


class CallRinging(CallMessage, frozen=True, tag="call.ringing"):
    """The callee's device rings."""


class CallAnswer(CallMessage, frozen=True, tag="call.answer"):
    """The callee picks up."""

    media: Media
    sdp: Sdp


class Candidate(Struct, frozen=True):
    """An ICE candidate as ``RTCIceCandidate.toJSON()`` writes it."""

    candidate: Annotated[str, Meta(max_length=1024)]
    sdpMid: Annotated[str, Meta(max_length=64)] | None = None
    sdpMLineIndex: Annotated[int, Meta(ge=0, le=65535)] | None = None
    usernameFragment: Annotated[str, Meta(max_length=256)] | UnsetType | None = UNSET


class CallCandidate(CallMessage, frozen=True, tag="call.candidate"):
    """A trickled candidate; ``null`` says there are no more."""

    candidate: Candidate | None


class CallDecline(CallMessage, frozen=True, tag="call.decline"):
    """The callee declines the call."""


class CallCancel(CallMessage, frozen=True, tag="call.cancel"):
    """The caller ends the call before the answer."""


class CallHangup(CallMessage, frozen=True, tag="call.hangup"):
    """Either side ends the call."""


class CallReoffer(CallMessage, frozen=True, tag="call.reoffer"):
    """A new description in the call: an upgrade to video, a new network, a restore."""

    media: Media
    sdp: Sdp
    reason: Reason = ""


class CallReanswer(CallMessage, frozen=True, tag="call.reanswer"):
    """Answers a ``call.reoffer``."""

    media: Media
    sdp: Sdp


class CallMedia(CallMessage, frozen=True, tag="call.media"):
    """The sender now sends, and wants to receive, only this media. Needs no new description."""

    media: Literal["audio", "video", "low_audio"]
    reason: Reason = ""


class CallQuality(CallMessage, frozen=True, tag="call.quality"):
    """How the call is for the sender; relayed and kept in the call log."""

    level: Literal["good", "fair", "poor"]
    rtt_ms: float | None = None
    loss_ratio: float | None = None


class CallResume(CallMessage, frozen=True, tag="call.resume"):
    """Moves the user's side of a call to this socket, after the old one was lost."""


AnyMessage = (
    Hello
    | Ping
    | MessageSend
    | ThreadList
    | ThreadRead
    | ContactsList
    | CallHistory
    | ControlGet
    | ControlSet
    | ControlBlock
    | ControlUnblock
    | ControlReport
    | CallInvite
    | CallShadow
    | CallRinging
    | CallAnswer
    | CallCandidate
    | CallDecline
    | CallCancel
    | CallHangup
    | CallReoffer
    | CallReanswer
    | CallMedia
    | CallQuality
    | CallResume
)


class Rejected(Exception):
    """A message that the service refuses. ``code`` and ``message`` are sent to the client unchanged."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        ref: object = None,
        call_id: object = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.code = code
        self.message = message
        self.ref = ref
        self.call_id = call_id


_decoder: msgspec.json.Decoder[AnyMessage] = msgspec.json.Decoder(AnyMessage)
_encoder = msgspec.json.Encoder()
_known_types = {str(kind.__struct_config__.tag) for kind in AnyMessage.__args__}


def decode(data: str | bytes) -> AnyMessage:
    """Returns the message in ``data``. Raises Rejected with ``bad_json``, ``unknown_type`` or ``bad_message``."""
    try:
        return _decoder.decode(data)
    except msgspec.ValidationError as problem:
        raise _explain(data, str(problem)) from None
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise Rejected("bad_json", "a message must be one JSON object") from None


def _explain(data: str | bytes, problem: str) -> Rejected:
    try:
        raw = msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):  # it has a second fault: it is not JSON
        raw = None
    if not isinstance(raw, dict):
        return Rejected("bad_json", "a message must be one JSON object")
    kind, ref, call_id = raw.get("type"), raw.get("ref"), raw.get("call_id")
    marks: dict[str, Any] = {
        "ref": ref[:128] if isinstance(ref, str) else ref if isinstance(ref, int) and abs(ref) < 1 << 63 else None,
        "call_id": call_id[:128] if isinstance(call_id, str) else None,
    }
    if kind not in _known_types if isinstance(kind, str) else True:
        return Rejected("unknown_type", f"there is no message type {str(kind)[:60]!r}", **marks)
    return Rejected("bad_message", f"{kind}: {problem}", **marks)


def encode(kind: str, /, **fields: object) -> bytes:
    """Returns one outgoing message as JSON."""
    return _encoder.encode({"type": kind, **fields})


def encode_error(refusal: Rejected) -> bytes:
    """Returns an ``error``; ``ref``, ``call_id`` and ``retry_after_s`` are there only when the cause had one."""
    marks = {
        name: value for name in ("ref", "call_id", "retry_after_s") if (value := getattr(refusal, name)) is not None
    }
    return encode("error", **marks, code=refusal.code, message=refusal.message)
