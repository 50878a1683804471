"""Defines the events of a leg's inbox, besides the service's messages."""

from __future__ import annotations

from dataclasses import dataclass

from calls.engine.scripts.script import ActionOrder
from calls.media.interface import MediaEvent
from calls.targets.protocol import Signal


@dataclass(frozen=True, slots=True)
class Milestone:
    """The media reached a milestone."""

    event: MediaEvent
    at_s: float


@dataclass(frozen=True, slots=True)
class Leave:
    """The person ends the call."""

    reason: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """The call is over; no further message is sent."""

    reason: str


@dataclass(frozen=True, slots=True)
class Resuming:
    """The session reconnected and asked the service to resume the call."""


@dataclass(frozen=True, slots=True)
class Wake:
    """The deadline has changed."""


@dataclass(frozen=True, slots=True)
class ReduceBitrate:
    """The round trip shows that the network is too narrow for the call."""


Change = ActionOrder | ReduceBitrate
"""Events that change a running call by a new offer."""
Event = Change | Wake | Signal | Milestone | Leave | Stop | Resuming
