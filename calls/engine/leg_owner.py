"""Declares what a leg may ask of the person whose call it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from calls.bridge.messages import PersonSpec
from calls.call.state_machine import Decision, Limits
from calls.media.access_link import AccessLink
from calls.scenarios import Scenario
from calls.targets.protocol import TargetSession


class LegOwner(Protocol):
    """One signed-in person, on one device."""

    spec: PersonSpec
    device: str
    """Empty for the first device; a second one exists for the time of one call."""
    session: TargetSession
    link: AccessLink | None
    generation: str
    """Of the network, such as ``4G``; empty without one."""
    low_audio: bool
    """The person asks for a low bitrate in long frames, because the network is poor."""
    limits: Limits
    link_is_rough: bool
    """Calls may break on the access link."""

    def decide(self) -> tuple[Decision, float]:
        """Returns what this person does with a call, and after how many seconds of ringing."""

    def lends_second_device(self, scenario: Scenario, call_id: str) -> bool:
        """Signs in on a second device for one call; returns whether the scenario needs that."""

    def watch_link(self) -> None:
        """A call begins: resets the longest wait on the link."""

    def link_held_ms(self) -> float:
        """Returns the longest time that the link held a packet since the call began."""

    def link_drops(self) -> Mapping[str, int]:
        """Returns the packets that the access link has dropped so far, by cause."""
