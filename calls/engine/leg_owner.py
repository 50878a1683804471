"""Declares what a leg may ask of the person whose call it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from calls.bridge.messages import PersonSpec
from calls.call.call_limits import CallLimits
from calls.call.decisions import Decision
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
    limits: CallLimits
    link_unreliable: bool
    """Calls may break on the access link."""

    def decide(self) -> tuple[Decision, float]:
        """Returns what this person does with a call, and after how many seconds of ringing."""

    def bring_second_device(self, scenario: Scenario, call_id: str) -> bool:
        """Signs in on a second device for one call; returns whether the scenario needs that."""

    def reset_link_delay(self) -> None:
        """Resets the link's longest delay when a first call begins."""

    def link_max_delay_ms(self) -> float:
        """Returns the longest time that a packet spent on the link since the call began."""

    def link_drops(self) -> Mapping[str, int]:
        """Returns the packets that the access link has dropped so far, by cause."""
