"""Ramp: a straight line from one level to another, slow enough that every level on the way is seen."""

from __future__ import annotations

from pydantic import Field

from bedrock.toml_input import Written
from loadtests.shapes.stage import MAX_CALLS, MAX_DURATION_S, MIN_DURATION_S, StageTable


class RampTable(Written):
    """``[swarm.ramp]``."""

    from_calls: float = Field(default=0, ge=0, le=MAX_CALLS)
    to_calls: float = Field(ge=0, le=MAX_CALLS)
    rise_s: float = Field(default=15, ge=MIN_DURATION_S, le=MAX_DURATION_S)
    """How long the way to ``from_calls`` takes; nothing is to be climbed when that is 0."""
    duration_s: float = Field(ge=MIN_DURATION_S, le=MAX_DURATION_S)
    hold_s: float = Field(default=0, ge=0, le=MAX_DURATION_S)
    """How long ``to_calls`` is held afterwards; 0 for not at all."""

    def stages(self) -> tuple[StageTable, ...]:
        """Returns the start, where there is one, the ramp, and the hold, where there is one."""
        stages = [StageTable(name="ramp", duration_s=self.duration_s, concurrent_calls=self.to_calls)]
        if self.from_calls > 0:
            stages.insert(0, StageTable(name="start", duration_s=self.rise_s, concurrent_calls=self.from_calls))
        if self.hold_s > 0:
            stages.append(StageTable(name="hold", duration_s=self.hold_s, concurrent_calls=self.to_calls))
        return tuple(stages)
