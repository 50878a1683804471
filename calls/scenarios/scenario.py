"""A scenario: what each side of a call does beyond talking, when, and how it may end for that side."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from calls.call.state_machine import Decision
from calls.records.record import Outcome


class ScenarioAction(StrEnum):
    """Something that a person or a phone does in the middle of a call."""

    HOLD = "hold"
    """Keeps sending, wants to hear nothing (``sendonly``), by a new offer."""
    HOLD_INACTIVE = "freeze"
    """Neither sends nor wants to hear (``inactive``), by a new offer."""
    UNHOLD = "take_back"
    """Ends the hold (``sendrecv``), by a new offer."""
    MUTE = "mute"
    """Says nothing from now on; the far end is not told."""
    UNMUTE = "unmute"
    VIDEO_ON = "video_on"
    """Adds video to the call, by a new offer."""
    VIDEO_OFF = "video_off"
    MOVE = "move"
    """Switches networks: the old address is dead, the call goes on from a new one by an ICE restart."""
    LOSE_SIGNALING = "lose_signaling"
    """The connection to the service breaks; it is taken up again and the call resumed."""
    DIE = "die"
    """Vanishes without a word: no packet, no goodbye, no connection."""


@dataclass(frozen=True, slots=True)
class Step:
    """One act."""

    at_ratio: float
    """When, as a part of the planned talk, counted from the first audio that this side hears."""
    action: ScenarioAction


@dataclass(frozen=True, slots=True)
class Part:
    """What one side does, and how the call may end for it."""

    expected: frozenset[Outcome]
    steps: tuple[Step, ...] = ()
    decision: Decision | None = None
    """Callee: what it does with the call; None for as the person is used to."""
    after_s: float | None = None
    """Callee: how long it rings before that; caller: how long it rings before it cancels."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One entry of the catalogue."""

    name: str
    title: str
    """A sentence for people."""
    caller: Part
    callee: Part
    needs_second_device: bool = False
    """The callee is signed in twice. The engine that has the person sees to it: nothing for a driver to do."""
    needs_busy_callee: bool = False
    """The driver must choose somebody who is in a call already, and will be for some seconds more."""
    needs_patience: bool = True
    """The caller waits as long as it rings: an order's ``patience_s`` does not count."""

    @property
    def actions(self) -> frozenset[ScenarioAction]:
        """What either side does in the middle of the call."""
        return frozenset(step.action for part in (self.caller, self.callee) for step in part.steps)
