"""Holds the result of one validity check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A measured value, its limit and, when the check is broken, the reason."""

    value: float | None
    limit: float
    n: int
    reason: str
    """One whole sentence for a broken check, empty for one that holds."""
    unit: str = ""
