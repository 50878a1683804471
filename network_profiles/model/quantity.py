"""Validates numbers of a profile; each error message names the unit and the allowed range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator

MAX_RATE_KBIT = 10_000_000.0


def between(low: float, high: float, unit: str, *, or_none: bool = False) -> Callable[[Any], float | None]:
    """Returns a check that accepts only a number from ``low`` to ``high``, in ``unit``."""

    def check(value: Any) -> float | None:
        if value is None and or_none:
            return None
        number = not isinstance(value, bool) and isinstance(value, int | float)
        if not number or not low <= value <= high:  # a NaN fails every comparison
            raise ValueError(f"must be a number from {low:g} to {high:g} {unit}".rstrip())
        return float(value)

    return check


RateKbit = Annotated[float | None, BeforeValidator(between(1.0, MAX_RATE_KBIT, "kbit/s (1000 bit/s)", or_none=True))]
DelayMs = Annotated[float, BeforeValidator(between(0.0, 10_000.0, "ms, one way"))]
JitterMs = Annotated[float, BeforeValidator(between(0.0, 5_000.0, "ms of standard deviation"))]
MAX_LOSS_RATIO = 0.99


def loss_ratio(value: Any) -> float | None:
    """Checks a share of lost packets. A value of 1 or more was meant in per cent: at 1 no packet would pass."""
    try:
        return between(0.0, MAX_LOSS_RATIO, "(a share: 1 % is 0.01)")(value)
    except ValueError as error:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 1.0 <= value <= 100.0:
            raise
        meant = f"for {value:g} % write {value / 100:g}" if value < 100.0 else "for an outage write a phase"
        raise ValueError(f"{error}; nothing passes at 1: {meant}") from None


Ratio = Annotated[float, BeforeValidator(loss_ratio)]
BurstPackets = Annotated[float, BeforeValidator(between(1.0, 1_000.0, "packets"))]
QueueMs = Annotated[float, BeforeValidator(between(1.0, 60_000.0, "ms at the link's rate"))]
Seconds = Annotated[float, BeforeValidator(between(0.001, 86_400.0, "s"))]
LogSpread = Annotated[float, BeforeValidator(between(0.0, 2.0, "(standard deviation of the natural logarithm)"))]
PeakRatio = Annotated[float, BeforeValidator(between(1.0, 100.0, "times the median"))]
