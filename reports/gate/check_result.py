"""What one validity rule found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a validity rule looked at."""

    value: float | None
    limit: float
    n: int
    reason: str
    """The whole sentence for a broken rule, empty for one that holds."""
    unit: str = ""
