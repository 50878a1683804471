"""What comes into a leg's inbox, besides what the service says."""

from __future__ import annotations

from dataclasses import dataclass

from calls.engine.scripts.script import ActionOrder
from calls.media.interface import MediaEvent
from calls.targets.protocol import Signal


@dataclass(frozen=True, slots=True)
class Milestone:
    """The media came so far."""

    event: MediaEvent
    at_s: float


@dataclass(frozen=True, slots=True)
class Leave:
    """The person ends the call."""

    reason: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """The call is over without another word."""

    reason: str


@dataclass(frozen=True, slots=True)
class Resuming:
    """The session came back and asked the service to go on with the call."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Nothing happened; the deadline is another now."""


@dataclass(frozen=True, slots=True)
class ReduceBitrate:
    """The round trip says that the network is too narrow for what the call asks of it."""


Change = ActionOrder | ReduceBitrate
"""What changes a running call by an offer inside it."""
Event = Change | Wake | Signal | Milestone | Leave | Stop | Resuming
