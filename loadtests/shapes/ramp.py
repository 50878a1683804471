"""Ramp: a straight line from one level to another, slow enough to see every level on the way."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from bedrock.toml_input import Written
from loadtests.shapes.stage import MAX_CALLS, MAX_DURATION_S, MIN_DURATION_S, StageTable, rename_key


class RampTable(Written):
    """``[swarm.ramp]``. ``ramp_s`` was ``duration_s`` in older plans, which still read."""

    from_calls: float = Field(default=0, ge=0, le=MAX_CALLS)
    to_calls: float = Field(ge=0, le=MAX_CALLS)
    rise_s: float = Field(default=15, ge=MIN_DURATION_S, le=MAX_DURATION_S)
    """Time to reach ``from_calls`` before the ramp. Not used if ``from_calls`` is 0."""
    ramp_s: float = Field(ge=MIN_DURATION_S, le=MAX_DURATION_S)
    """Time from ``from_calls`` to ``to_calls``."""
    hold_s: float = Field(default=0, ge=0, le=MAX_DURATION_S)
    """Time at ``to_calls`` after the ramp. 0: none."""

    @model_validator(mode="before")
    @classmethod
    def _old_names(cls, table: Any) -> Any:
        return rename_key(table, "duration_s", "ramp_s")

    def stages(self) -> tuple[StageTable, ...]:
        """Returns the ramp, with the rise before it and the hold after it where there are any."""
        stages = [StageTable(name="ramp", duration_s=self.ramp_s, concurrent_calls=self.to_calls)]
        if self.from_calls > 0:
            stages.insert(0, StageTable(name="start", duration_s=self.rise_s, concurrent_calls=self.from_calls))
        if self.hold_s > 0:
            stages.append(StageTable(name="hold", duration_s=self.hold_s, concurrent_calls=self.to_calls))
        return tuple(stages)
