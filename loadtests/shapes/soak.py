"""Soak: one level for hours, cut into parts of equal length, so that the last can be held against the first.

What leaks or wears out shows as a part that is worse than the parts before it, never in a mean over all.
"""

from __future__ import annotations

from pydantic import Field

from bedrock.toml_input import Written
from loadtests.shapes.stage import MAX_CALLS, MAX_DURATION_S, MIN_CALLS, MIN_DURATION_S, StageTable


class SoakTable(Written):
    """``[swarm.soak]``."""

    calls: float = Field(ge=MIN_CALLS, le=MAX_CALLS)
    rise_s: float = Field(default=60, ge=MIN_DURATION_S, le=MAX_DURATION_S)
    duration_s: float = Field(ge=MIN_DURATION_S, le=MAX_DURATION_S)
    parts: int = Field(default=4, ge=1, le=100)

    def stages(self) -> tuple[StageTable, ...]:
        """Returns the rise and the parts."""
        part_s = self.duration_s / self.parts
        return (
            StageTable(name="rise", duration_s=self.rise_s, concurrent_calls=self.calls),
            *(
                StageTable(name=f"part {number}", duration_s=part_s, concurrent_calls=self.calls)
                for number in range(1, self.parts + 1)
            ),
        )
