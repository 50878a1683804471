"""Holds one call: its phase, its two sides, and the messages that wait."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from reference_service.connection import Connection
from reference_service.protocol import Media

EndReason = Literal["hangup", "declined", "canceled", "no_answer", "peer_lost", "answered_elsewhere"]

MAX_HELD = 500
"""Messages kept for a side that is away: more than a few seconds of a call produce."""


def hold(messages: list[bytes], message: bytes) -> None:
    """Keeps ``message`` for later. Messages beyond ``MAX_HELD`` are dropped."""
    if len(messages) < MAX_HELD:
        messages.append(message)


class CallPhase(StrEnum):
    """trying -> ringing -> answered -> ended; any state may go straight to ended, trying straight to answered."""

    TRYING = "trying"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


@dataclass(slots=True, eq=False)
class CallSide:
    """A person's end of a call. ``connection`` is None before the answer, and while the socket is lost."""

    user: str
    connection: Connection | None = None
    held: list[bytes] = field(default_factory=list)
    grace: asyncio.TimerHandle | None = None

    def send(self, message: bytes) -> None:
        """Sends to this side's device, or keeps the message until it is back."""
        if self.connection is not None:
            self.connection.send(message)
        else:
            hold(self.held, message)

    def bind(self, connection: Connection) -> None:
        """Gives the call to this device, and sends it the messages that were kept."""
        self.stop_grace()
        self.connection = connection
        for message in self.held:
            connection.send(message)
        self.held.clear()

    def stop_grace(self) -> None:
        """Stops waiting for a lost side: it is back, or the call is over."""
        if self.grace is not None:
            self.grace.cancel()
            self.grace = None


@dataclass(slots=True, eq=False)
class Call:
    """A live call, or one whose end is being stored (phase ``ENDED``, its people still busy)."""

    call_id: str
    row: int
    """Key of the call in the log; ``call_id`` is the caller's choice and may come back another day."""
    caller: CallSide
    callee: CallSide
    media: Media
    incoming: bytes
    """The encoded ``call.incoming``, for every device that rings."""
    state: CallPhase = CallPhase.TRYING
    ringing_on: list[Connection] = field(default_factory=list)
    """Every device of the callee that shows the call; empty once one has answered."""
    before_answer: list[bytes] = field(default_factory=list)
    """The caller's candidates so far, for a device that joins the ringing late."""
    on_answer: list[bytes] = field(default_factory=list)
    """The caller's messages to the device that will answer."""
    early: dict[Connection, list[bytes]] = field(default_factory=dict)
    """Candidates of a device that is about to answer."""
    answer_relayed: bool = False
    held_behind_answer: list[bytes] = field(default_factory=list)
    """The callee's messages after an answer that is delayed: the order is kept."""
    open_offers: set[CallSide] = field(default_factory=set)
    """Sides whose ``call.reoffer`` has no answer yet."""
    end_reason: EndReason | None = None
    ended_by: str | None = None
    written: asyncio.Future[None] | None = None
    """Resolves when the log of an ended call is on disk."""
    timers: list[asyncio.TimerHandle] = field(default_factory=list)

    def side_of(self, user: str) -> CallSide | None:
        """The side of ``user``, or None for a stranger."""
        if user == self.caller.user:
            return self.caller
        return self.callee if user == self.callee.user else None

    def other(self, side: CallSide) -> CallSide:
        """The far side."""
        return self.callee if side is self.caller else self.caller

    @property
    def is_before_answer(self) -> bool:
        """Whether the call has been neither answered nor ended."""
        return self.state in (CallPhase.TRYING, CallPhase.RINGING)

    def send_to_callee(self, message: bytes) -> None:
        """Sends to the device that answered, or to every device that rings."""
        if self.is_before_answer:
            for connection in self.ringing_on:
                connection.send(message)
        else:
            self.callee.send(message)

    def send_to_caller(self, message: bytes) -> None:
        """Sends to the caller, never before the answer."""
        if self.state is CallPhase.ANSWERED and not self.answer_relayed:
            hold(self.held_behind_answer, message)
        else:
            self.caller.send(message)

    def stop_timers(self) -> None:
        """Cancels the no-answer limit and a delayed answer."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()
