"""Reads the reference service's JSON messages and translates call messages into signals."""

from __future__ import annotations

from typing import Any

import msgspec

from calls.call.call_rules import SignalType
from calls.targets.protocol import Signal


class PolicyMessage(msgspec.Struct, frozen=True):
    """``policy`` of ``welcome``."""

    degradation: bool = False
    no_answer_s: float | None = None


class Message(msgspec.Struct, frozen=True):
    """All fields of the service's messages that we use; others are skipped."""

    type: str
    call_id: str = ""
    from_: str = msgspec.field(default="", name="from")
    media: str = ""
    sdp: str = ""
    code: str | int = ""
    message: str = ""
    reason: str | None = None
    by: str | None = None
    candidate: dict[str, Any] | None = None
    ref: str | int | None = None
    n: int | float | None = None
    retry_after_s: float | None = None
    policy: PolicyMessage | None = None


_decoder = msgspec.json.Decoder(Message)
_encoder = msgspec.json.Encoder()
_MEANING = {
    "call.incoming": SignalType.INCOMING,
    "call.trying": SignalType.TRYING,
    "call.refused": SignalType.REFUSED,
    "call.ringing": SignalType.RINGING,
    "call.answered": SignalType.ANSWERED,
    "call.candidate": SignalType.CANDIDATE,
    "call.reoffer": SignalType.REOFFER,
    "call.reanswer": SignalType.REANSWER,
    "call.resumed": SignalType.RESUMED,
    "call.media": SignalType.MEDIA,
    "call.quality": SignalType.QUALITY,
    "call.ended": SignalType.ENDED,
    "error": SignalType.ERROR,
}


def decode(data: str | bytes) -> Message:
    """Returns the message. Raises msgspec.DecodeError when it is not valid."""
    return _decoder.decode(data)


def encode(kind: str, /, **fields: object) -> str:
    """Returns one message as JSON text."""
    return _encoder.encode({"type": kind, **fields}).decode()


def signal_of(message: Message, me: str) -> Signal | None:
    """Returns the signal in ``message`` for the person ``me``; None when it is not about a call."""
    what = _MEANING.get(message.type)
    if what is None or not message.call_id:
        return None
    return Signal(
        what=what,
        call_id=message.call_id,
        peer=message.from_,
        media=message.media,
        sdp=message.sdp,
        code=_end_code(message, me) if what is SignalType.ENDED else str(message.code),
        candidate=message.candidate,
    )


def _end_code(message: Message, me: str) -> str:
    """``peer_lost`` has three meanings: the peer was lost, we were, or the service names nobody and drops the call."""
    if message.reason == "peer_lost" and message.by in (None, ""):
        return "dropped_by_service"
    if message.reason == "peer_lost" and message.by == me:
        return "signaling_lost"
    return message.reason or ""
