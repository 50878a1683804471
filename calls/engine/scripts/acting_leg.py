"""Declares what a scenario's actions may do with a leg, so that actions and legs do not import each other."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from calls.call.state_machine import CallMachine
from calls.engine.context import Context
from calls.engine.leg_owner import LegOwner
from calls.engine.records.leg_record import LegFacts
from calls.media.interface import MediaLeg

ResultT = TypeVar("ResultT")


@dataclass(slots=True)
class DesiredMedia:
    """The directions and kinds of media that this side's next offer asks for."""

    send_audio: bool = True
    receive_audio: bool = True
    video: bool = False


class ActingMedia(Protocol):
    """The media of a leg, as actions change it."""

    @property
    def leg(self) -> MediaLeg | None:
        """None before there is media."""

    @property
    def desired(self) -> DesiredMedia:
        """What the next offer asks for; actions change it."""

    @property
    def low_audio(self) -> bool:
        """This side sends audio at a low bitrate, and no video."""

    def mute(self, *, on: bool) -> None:
        """Mutes or unmutes this side."""

    async def step(self, work: Awaitable[ResultT], reason: str) -> ResultT:
        """Returns the result of ``work``. Raises an exception with ``reason`` when it fails."""


class ActingLeg(Protocol):
    """A leg whose scenario acts on it."""

    @property
    def context(self) -> Context:
        """What every call of the engine shares."""

    @property
    def person(self) -> LegOwner:
        """Whose call it is."""

    @property
    def facts(self) -> LegFacts:
        """What the leg noted so far."""

    @property
    def machine(self) -> CallMachine:
        """The state of the call."""

    @property
    def media(self) -> ActingMedia:
        """The media of the call."""
