"""A stage: the mean number of calls in progress moves in a straight line from the stage before to this one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field, field_validator

from bedrock.toml_input import Written

MIN_CALLS = 0.1
MAX_CALLS = 100_000
MIN_DURATION_S = 0.001
MAX_DURATION_S = 7 * 86400


class StageTable(Written):
    """One stage. One with the level of the stage before it holds that level.

    A last stage without an end (``duration_s = 0``) goes to its level as fast as calls end, and stays until the run is
    told to end.
    """

    name: str = Field(min_length=1, max_length=40)
    duration_s: float = Field(ge=0, le=MAX_DURATION_S)
    concurrent_calls: float = Field(ge=0, le=MAX_CALLS)
    """Mean calls with media flowing; ringing comes on top. The number of the moment varies as its square root."""

    @field_validator("duration_s")
    @classmethod
    def _long_enough(cls, duration_s: float) -> float:
        if 0 < duration_s < MIN_DURATION_S:
            raise ValueError(f"must be 0 (no end), or from {MIN_DURATION_S} to {MAX_DURATION_S}")
        return duration_s


def rename_key(table: Any, old: str, new: str) -> Any:
    """Returns ``table`` with the key ``old`` renamed to ``new``. Raises ValueError if both or none are there.

    For a ``model_validator`` that runs before the others, so that older plans still read.
    """
    if not isinstance(table, dict):
        return table
    if old in table and new in table:
        raise ValueError(f"has both {new} and {old}, which is its old name: keep {new}")
    if old not in table and new not in table:
        raise ValueError(f"{new} (in older plans {old}) is required and missing")
    return {(new if key == old else key): value for key, value in table.items()}


def check_stages(stages: Sequence[StageTable]) -> None:
    """Raises ValueError when a stage before the last has no end, or two have one name."""
    for stage in stages[:-1]:
        if stage.duration_s == 0:
            raise ValueError(f"only the last stage may have duration_s = 0, and '{stage.name}' is not the last")
    names = [stage.name for stage in stages]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"every stage needs a name of its own, and '{twice[0]}' is there twice")
