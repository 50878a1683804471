"""What a service may say of a call, and when: the states of one side, its words, and the table of what is legal.

A message that the tables do not allow is a finding against the target, ``illegal_<message>``. Messages that may cross
ours on the wire (an answer crossing our cancel) are allowed. What is illegal, by class:

| finding                              | what the service did                                                     |
|--------------------------------------|--------------------------------------------------------------------------|
| illegal_trying, _ringing, _answered, | repeated a step, left the order, or told the wrong side                  |
|   _refused, _incoming                |                                                                          |
| illegal_reoffer, _media, _quality    | said something of a talk that is not on                                  |
| illegal_reanswer, illegal_resumed    | answered what nobody asked                                               |
| illegal_ended                        | ended the call with a reason that cannot be (``hangup`` while it rings)  |
| illegal_ringing, _answered, … of a   | rang somebody for a call that was to ring nobody                         |
|   shadow call                        |                                                                          |
"""

from __future__ import annotations

from enum import StrEnum

from calls.records.record import Side


class CallState(StrEnum):
    """Where one side of a call stands."""

    INVITING = "inviting"
    PROCEEDING = "proceeding"
    RINGING = "ringing"
    CONNECTING = "connecting"
    TALKING = "talking"
    LEAVING = "leaving"
    ENDED = "ended"


class SignalType(StrEnum):
    """What a service may say about a call."""

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
"""What the service may say in each state unasked; ``ended`` has its own table of reasons."""
LEGAL_IN_SHADOW = frozenset({SignalType.TRYING, SignalType.REFUSED, SignalType.ENDED, SignalType.ERROR})
"""Of a call that rings nobody, whatever its state."""
LOST = frozenset({"peer_lost", "dropped_by_service", "signaling_lost"})
"""Ends that may come at any time: the other side, nobody that the service names, or this side was lost."""
ANSWERED_ELSEWHERE = "answered_elsewhere"
_NOT_TAKEN = frozenset({"declined", "no_answer"})
LEGAL_ENDS: dict[tuple[Side, CallState], frozenset[str]] = {
    (Side.CALLER, CallState.INVITING): _NOT_TAKEN,
    (Side.CALLER, CallState.PROCEEDING): _NOT_TAKEN,
    (Side.CALLER, CallState.RINGING): _NOT_TAKEN,
    (Side.CALLER, CallState.CONNECTING): frozenset({"hangup"}),
    (Side.CALLER, CallState.TALKING): frozenset({"hangup"}),
    (Side.CALLER, CallState.LEAVING): _NOT_TAKEN | {"hangup", "canceled"},
    # Declined, too: by another device of the same person.
    (Side.CALLEE, CallState.RINGING): frozenset({"canceled", "declined", "no_answer", "answered_elsewhere"}),
    # An answer may cross a cancel, the service's own limit, or another device's answer.
    (Side.CALLEE, CallState.CONNECTING): frozenset(
        {"hangup", "canceled", "declined", "no_answer", "answered_elsewhere"}
    ),
    (Side.CALLEE, CallState.TALKING): frozenset({"hangup"}),
    (Side.CALLEE, CallState.LEAVING): _NOT_TAKEN | {"hangup", "canceled", "answered_elsewhere"},
}
SHADOWED = "shadowed"
"""Why the service ends a shadow call."""
