"""One call on the server: its state, its two sides, and what waits to be said."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from reference_service.connection import Connection
from reference_service.protocol import Media

EndReason = Literal["hangup", "declined", "canceled", "no_answer", "peer_lost", "answered_elsewhere"]

MAX_HELD = 500
"""Messages kept for somebody who cannot take them yet; more than a few seconds of a call bring."""


def hold(messages: list[bytes], message: bytes) -> None:
    """Keeps ``message`` for later; what comes after ``MAX_HELD`` is dropped."""
    if len(messages) < MAX_HELD:
        messages.append(message)


class CallState(StrEnum):
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
        """This device has the call now; it gets what was kept."""
        self.stop_grace()
        self.connection = connection
        for message in self.held:
            connection.send(message)
        self.held.clear()

    def stop_grace(self) -> None:
        """The side is back, or the call is over."""
        if self.grace is not None:
            self.grace.cancel()
            self.grace = None


@dataclass(slots=True, eq=False)
class Call:
    """A live call, or one whose end is being written down (state ``ENDED``, people still engaged)."""

    call_id: str
    row: int
    """Key of the call in the log; ``call_id`` is the caller's choice and may come back another day."""
    caller: CallSide
    callee: CallSide
    media: Media
    incoming: bytes
    """The encoded ``call.incoming``, for every device that rings."""
    state: CallState = CallState.TRYING
    ringing_on: list[Connection] = field(default_factory=list)
    """Every device of the callee that shows the call; empty once one has answered."""
    before_answer: list[bytes] = field(default_factory=list)
    """The caller's candidates so far, for a device that joins the ringing late."""
    on_answer: list[bytes] = field(default_factory=list)
    """What the caller said to whoever will answer."""
    early: dict[Connection, list[bytes]] = field(default_factory=dict)
    """Candidates of a device that is about to answer."""
    answer_relayed: bool = False
    held_behind_answer: list[bytes] = field(default_factory=list)
    """What the callee said after an answer that is still on its way: order is kept."""
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
        """Nobody has picked up, and nobody has given up."""
        return self.state in (CallState.TRYING, CallState.RINGING)

    def send_to_callee(self, message: bytes) -> None:
        """To the device that answered, or to every device that rings."""
        if self.is_before_answer:
            for connection in self.ringing_on:
                connection.send(message)
        else:
            self.callee.send(message)

    def send_to_caller(self, message: bytes) -> None:
        """To the caller, never ahead of the answer."""
        if self.state is CallState.ANSWERED and not self.answer_relayed:
            hold(self.held_behind_answer, message)
        else:
            self.caller.send(message)

    def stop_timers(self) -> None:
        """Neither the no-answer limit nor a delayed answer fires any more."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()
