"""Launch day: everybody tries the new thing at once, then a long plateau of those who stayed."""

from __future__ import annotations

from pydantic import Field, model_validator

from bedrock.toml_input import Written
from loadtests.shapes.stage import MAX_CALLS, MAX_DURATION_S, MIN_CALLS, MIN_DURATION_S, StageTable


class LaunchDayTable(Written):
    """``[swarm.launch_day]``."""

    spike_calls: float = Field(ge=MIN_CALLS, le=MAX_CALLS)
    plateau_calls: float = Field(ge=MIN_CALLS, le=MAX_CALLS)
    rise_s: float = Field(default=10, ge=MIN_DURATION_S, le=MAX_DURATION_S)
    """How fast the news spreads: the steeper, the harder."""
    spike_s: float = Field(ge=MIN_DURATION_S, le=MAX_DURATION_S)
    fall_s: float = Field(default=20, ge=MIN_DURATION_S, le=MAX_DURATION_S)
    plateau_s: float = Field(ge=0, le=MAX_DURATION_S)
    """0: until the run is told to end."""

    @model_validator(mode="after")
    def _spike_is_higher(self) -> LaunchDayTable:
        if self.plateau_calls >= self.spike_calls:
            raise ValueError("must keep plateau_calls < spike_calls")
        return self

    def stages(self) -> tuple[StageTable, ...]:
        """Returns the rise, the spike, the fall and the plateau."""
        return (
            StageTable(name="rise", duration_s=self.rise_s, concurrent_calls=self.spike_calls),
            StageTable(name="spike", duration_s=self.spike_s, concurrent_calls=self.spike_calls),
            StageTable(name="fall", duration_s=self.fall_s, concurrent_calls=self.plateau_calls),
            StageTable(name="plateau", duration_s=self.plateau_s, concurrent_calls=self.plateau_calls),
        )
