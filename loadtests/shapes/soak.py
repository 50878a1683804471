"""Soak: one level for hours, in parts of equal length, to compare the last part with the first.

Leaks and wear show as a part that is worse than the parts before it. A mean over the whole run hides them.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from bedrock.toml_input import Written
from loadtests.shapes.stage import MAX_CALLS, MAX_DURATION_S, MIN_CALLS, MIN_DURATION_S, StageTable, rename_key


class SoakTable(Written):
    """``[swarm.soak]``. ``hold_s`` was ``duration_s`` in older plans, which still read."""

    calls: float = Field(ge=MIN_CALLS, le=MAX_CALLS)
    rise_s: float = Field(default=60, ge=MIN_DURATION_S, le=MAX_DURATION_S)
    hold_s: float = Field(ge=MIN_DURATION_S, le=MAX_DURATION_S)
    """Length of all parts together."""
    parts: int = Field(default=4, ge=1, le=100)

    @model_validator(mode="before")
    @classmethod
    def _old_names(cls, table: Any) -> Any:
        return rename_key(table, "duration_s", "hold_s")

    def stages(self) -> tuple[StageTable, ...]:
        """Returns the rise and the parts."""
        part_s = self.hold_s / self.parts
        return (
            StageTable(name="rise", duration_s=self.rise_s, concurrent_calls=self.calls),
            *(
                StageTable(name=f"part {number}", duration_s=part_s, concurrent_calls=self.calls)
                for number in range(1, self.parts + 1)
            ),
        )
