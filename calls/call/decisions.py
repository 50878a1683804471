"""Defines what the state machine tells its driver to do, and what a called person decides."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What the driver of the state machine must do now."""

    NONE = "none"
    ANSWER = "answer"
    """Create the answer, send it, then call ``on_answer_sent``."""
    DECLINE = "decline"
    CANCEL = "cancel"
    HANG_UP = "hang_up"
    STOP = "stop"
    """The call is over; send nothing more."""


class Decision(StrEnum):
    """What a called person does after it has rung long enough."""

    ANSWER = "answer"
    DECLINE = "decline"
    IGNORE = "ignore"
