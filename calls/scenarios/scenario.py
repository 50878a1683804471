"""Defines a scenario: what each side of a call does besides talking, when, and how the call may end for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from calls.call.decisions import Decision
from calls.records.record import Outcome


class ScenarioAction(StrEnum):
    """An action of a person or a phone during a call."""

    HOLD = "hold"
    """Keeps sending and stops receiving (``sendonly``), by a new offer."""
    HOLD_INACTIVE = "freeze"
    """Stops sending and receiving (``inactive``), by a new offer."""
    UNHOLD = "take_back"
    """Ends the hold (``sendrecv``), by a new offer."""
    MUTE = "mute"
    """Sends silence from now on; the far end is not told."""
    UNMUTE = "unmute"
    VIDEO_ON = "video_on"
    """Adds video to the call, by a new offer."""
    VIDEO_OFF = "video_off"
    MOVE = "move"
    """Switches networks: the old address is dead, and the call goes on from a new address by an ICE restart."""
    LOSE_SIGNALING = "lose_signaling"
    """The connection to the service breaks; the client reconnects and resumes the call."""
    DIE = "die"
    """Vanishes: no packet, no hang-up, no connection."""


@dataclass(frozen=True, slots=True)
class Step:
    """One action with its time."""

    at_ratio: float
    """When, as a share of the planned talk time, from the first audio that this side receives."""
    action: ScenarioAction


@dataclass(frozen=True, slots=True)
class Part:
    """What one side does, and how the call may end for it."""

    expected: frozenset[Outcome]
    steps: tuple[Step, ...] = ()
    decision: Decision | None = None
    """Callee: what it does with the call; None for the person's usual habit."""
    after_s: float | None = None
    """Callee: how long it rings before the decision. Caller: how long it rings before it cancels."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One entry of the catalogue."""

    name: str
    title: str
    """A sentence for reports."""
    caller: Part
    callee: Part
    needs_second_device: bool = False
    """The callee is signed in twice. The callee's engine takes care of it, the driver does nothing."""
    needs_busy_callee: bool = False
    """The driver must choose somebody who is in a call and stays in it for some seconds."""
    needs_patience: bool = True
    """The caller never cancels for impatience: ``patience_s`` of the order is ignored."""

    @property
    def actions(self) -> frozenset[ScenarioAction]:
        """Actions of either side during the call."""
        return frozenset(step.action for part in (self.caller, self.callee) for step in part.steps)
