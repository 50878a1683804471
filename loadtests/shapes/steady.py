"""Steady: up to one level, and on it."""

from __future__ import annotations

from pydantic import Field

from bedrock.toml_input import Written
from loadtests.shapes.stage import MAX_CALLS, MAX_DURATION_S, MIN_CALLS, MIN_DURATION_S, StageTable


class SteadyTable(Written):
    """``[swarm.steady]``."""

    calls: float = Field(ge=MIN_CALLS, le=MAX_CALLS)
    rise_s: float = Field(default=15, ge=MIN_DURATION_S, le=MAX_DURATION_S)
    hold_s: float = Field(ge=0, le=MAX_DURATION_S)
    """0: until the run is told to end."""

    def stages(self) -> tuple[StageTable, ...]:
        """Returns the rise and the hold."""
        return (
            StageTable(name="rise", duration_s=self.rise_s, concurrent_calls=self.calls),
            StageTable(name="hold", duration_s=self.hold_s, concurrent_calls=self.calls),
        )
