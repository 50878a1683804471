"""Lists what a service may say about a call in each state, and the states of one side of a call.

A message that the tables do not allow is a violation by the target, ``illegal_<message>``. Messages that may cross ours
on the wire are allowed, such as an answer that crosses our cancel. Illegal messages by class:

| violation                            | what the service did                                                     |
|--------------------------------------|--------------------------------------------------------------------------|
| illegal_trying, _ringing, _answered, | repeated a step, broke the order, or told the wrong side                 |
|   _refused, _incoming                |                                                                          |
| illegal_reoffer, _media, _quality    | sent a message about a talk that is not in progress                      |
| illegal_reanswer, illegal_resumed    | answered a request that nobody made                                      |
| illegal_ended                        | ended the call with an impossible reason (``hangup`` while it rings)     |
| illegal_ringing, _answered, … of a   | rang somebody for a shadow call                                          |
|   shadow call                        |                                                                          |
"""

from __future__ import annotations

from enum import StrEnum

from calls.records.record import Side


class CallState(StrEnum):
    """State of one side of a call."""

    INVITING = "inviting"
    PROCEEDING = "proceeding"
    RINGING = "ringing"
    CONNECTING = "connecting"
    TALKING = "talking"
    LEAVING = "leaving"
    ENDED = "ended"


class SignalType(StrEnum):
    """A message that a service may send about a call."""

    INCOMING = "incoming"
    TRYING = "trying"
    REFUSED = "refused"
    RINGING = "ringing"
    ANSWERED = "answered"
    CANDIDATE = "candidate"
    REOFFER = "reoffer"
    REANSWER = "reanswer"
    RESUMED = "resumed"
    MEDIA = "media"
    QUALITY = "quality"
    ENDED = "ended"
    ERROR = "error"


_BEFORE_ANSWER = frozenset(
    {SignalType.RINGING, SignalType.ANSWERED, SignalType.CANDIDATE, SignalType.ENDED, SignalType.ERROR}
)
_IN_CALL = frozenset(
    {SignalType.CANDIDATE, SignalType.REOFFER, SignalType.MEDIA, SignalType.QUALITY, SignalType.ENDED, SignalType.ERROR}
)
LEGAL: dict[tuple[Side, CallState], frozenset[SignalType]] = {
    (Side.CALLER, CallState.INVITING): _BEFORE_ANSWER | {SignalType.TRYING, SignalType.REFUSED},
    (Side.CALLER, CallState.PROCEEDING): _BEFORE_ANSWER,
    (Side.CALLER, CallState.RINGING): _BEFORE_ANSWER,
    (Side.CALLER, CallState.CONNECTING): _IN_CALL,
    (Side.CALLER, CallState.TALKING): _IN_CALL,
    (Side.CALLER, CallState.LEAVING): _BEFORE_ANSWER | _IN_CALL | {SignalType.TRYING, SignalType.REFUSED},
    (Side.CALLEE, CallState.RINGING): frozenset({SignalType.CANDIDATE, SignalType.ENDED, SignalType.ERROR}),
    (Side.CALLEE, CallState.CONNECTING): _IN_CALL,
    (Side.CALLEE, CallState.TALKING): _IN_CALL,
    (Side.CALLEE, CallState.LEAVING): _IN_CALL,
}
"""Messages that the service may send unasked in each state. For the reasons of ``ended`` see ``LEGAL_ENDS``."""
LEGAL_IN_SHADOW = frozenset({SignalType.TRYING, SignalType.REFUSED, SignalType.ENDED, SignalType.ERROR})
"""Messages about a shadow call, in any state. A shadow call rings nobody."""
LOST = frozenset({"peer_lost", "dropped_by_service", "signaling_lost"})
"""Reasons of ``ended`` that are legal at any time. The other side was lost, the service dropped the call without
saying who left, or this side was lost."""
ANSWERED_ELSEWHERE = "answered_elsewhere"
_NOT_TAKEN = frozenset({"declined", "no_answer"})
LEGAL_ENDS: dict[tuple[Side, CallState], frozenset[str]] = {
    (Side.CALLER, CallState.INVITING): _NOT_TAKEN,
    (Side.CALLER, CallState.PROCEEDING): _NOT_TAKEN,
    (Side.CALLER, CallState.RINGING): _NOT_TAKEN,
    (Side.CALLER, CallState.CONNECTING): frozenset({"hangup"}),
    (Side.CALLER, CallState.TALKING): frozenset({"hangup"}),
    (Side.CALLER, CallState.LEAVING): _NOT_TAKEN | {"hangup", "canceled"},
    # Also ``declined``, by another device of the same person.
    (Side.CALLEE, CallState.RINGING): frozenset({"canceled", "declined", "no_answer", "answered_elsewhere"}),
    # An answer may cross a cancel, the service's own limit, or another device's answer.
    (Side.CALLEE, CallState.CONNECTING): frozenset(
        {"hangup", "canceled", "declined", "no_answer", "answered_elsewhere"}
    ),
    (Side.CALLEE, CallState.TALKING): frozenset({"hangup"}),
    (Side.CALLEE, CallState.LEAVING): _NOT_TAKEN | {"hangup", "canceled", "answered_elsewhere"},
}
SHADOWED = "shadowed"
"""The reason with which the service ends a shadow call."""
