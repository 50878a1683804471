"""The hour of the day, as data in ``daily_curves.toml``: how many calls there are against the busiest hour."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from bedrock.toml_input import Written, check, read_toml

CURVES_FILE = Path(__file__).parent / "daily_curves.toml"
HOURS = 24


class DailyCurve(Written):
    """One curve."""

    title: str
    source: str = Field(min_length=1)
    synthetic: bool
    hours: tuple[Annotated[float, Field(ge=0, le=1_000_000)], ...]

    @field_validator("hours")
    @classmethod
    def _a_whole_day(cls, hours: tuple[float, ...]) -> tuple[float, ...]:
        if len(hours) != HOURS or min(hours) < 0 or max(hours) <= 0:
            raise ValueError("must be 24 factors, none negative and not all zero")
        return hours

    def factor(self, hour: float) -> float:
        """Returns the level at ``hour`` (0..24 and on) as a share of the busiest hour's."""
        whole = int(hour)
        here, there = self.hours[whole % HOURS], self.hours[(whole + 1) % HOURS]
        return (here + (there - here) * (hour - whole)) / max(self.hours)


class _Book(Written):
    curves: Mapping[str, DailyCurve]


@functools.cache
def load_curves(file: Path = CURVES_FILE) -> Mapping[str, DailyCurve]:
    """Returns the curves by name. Raises InputError with every problem of the file."""
    return check(_Book, read_toml(file), str(file)).curves


def through_the_day(
    calls_at: Callable[[float], float], curve: DailyCurve, day_s: float, start_hour: float
) -> Callable[[float], float]:
    """Returns the wanted calls in progress with the hour of the day in them; seconds count from the load's start."""

    def calls_through_the_day(at_s: float) -> float:
        return calls_at(at_s) * curve.factor(start_hour + at_s / day_s * HOURS)

    return calls_through_the_day
