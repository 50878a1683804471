"""Loads that decide each step by what the one before it came to. Pure: no clock, no processes.

A step moves to its level, settles, and holds it for ``hold_s``: the calls intended in that window are judged once they
have all ended. Undecided, it is held again, at most until ``max_hold_s``, and looked at over the whole window each
time. Each look is judged at a confidence raised by Bonferroni's inequality, so that all looks together are wrong no
more often than one was allowed to be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import Field, model_validator

from bedrock.toml_input import Written
from loadtests.shapes.stage import MIN_DURATION_S
from reports.result.stepped_load_result import Judgement, KneeResult, RolloutResult, StepResult

SHORTEST_HOLD_S = 0.1
StopReason = Literal["", "stopped"]
"""What the driver of a load knows of its end that the load itself does not."""


@dataclass(frozen=True, slots=True)
class StepRequest:
    """The step to take next."""

    name: str
    concurrent_calls: float
    scenario: str = ""
    """What every call of this step is; empty for the plan's mixture."""


class HoldTable(Written):
    """What every load that is judged step by step says about its steps."""

    rise_s: float = Field(default=10, ge=MIN_DURATION_S, le=3600)
    """How long the way to a step's level takes."""
    settle_s: float = Field(default=5, ge=0, le=3600)
    """How long the level is held before calls count."""
    hold_s: float = Field(default=60, ge=SHORTEST_HOLD_S, le=86_400)
    max_hold_s: float = Field(default=180, ge=SHORTEST_HOLD_S, le=86_400)
    """A step that is undecided until then stays so."""

    @model_validator(mode="after")
    def _in_order(self) -> HoldTable:
        if self.max_hold_s < self.hold_s:
            raise ValueError("must keep hold_s <= max_hold_s")
        return self

    @property
    def looks(self) -> int:
        """How often a step is looked at, at most."""
        return max(1, math.ceil(self.max_hold_s / self.hold_s - 1e-9))

    def window_s(self, look: int) -> float:
        """Returns the length of the window that look number ``look`` (from 1) judges."""
        return min(self.hold_s * look, self.max_hold_s)


class Stepwise(Protocol):
    """A load that decides its next step."""

    file_name: str
    """Of its result, in the run folder."""

    @property
    def hold(self) -> HoldTable: ...

    def first(self) -> StepRequest:
        """Returns the first step."""

    def after(self, step: StepResult) -> StepRequest | None:
        """Takes in a step that was judged. Returns the next one, None when the load is over."""

    def result(self, ended: StopReason = "") -> KneeResult | RolloutResult:
        """Returns what is known by now. ``stopped``: somebody else has ended the run, and nothing more will come."""


def make_step(ask: StepRequest, looks: int, judgement: Judgement) -> StepResult:
    """Returns the record of a step."""
    return StepResult(
        name=ask.name,
        concurrent_calls=ask.concurrent_calls,
        scenario=ask.scenario,
        looks=looks,
        judgement=judgement,
    )
