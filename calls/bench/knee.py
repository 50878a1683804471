"""Finds the highest number of calls that a core carries: first in growing strides, then by bisection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from calls.bench.step import STOLEN_LIMIT_RATIO, BenchStep

_HEADROOM = 0.92
"""A stride goes this share of the way to the level at which the core would be full."""
_FURTHEST = 2.5
"""A stride multiplies the level by at most this: the cost of few calls says little about many."""
_STOLEN_TRIES = 2


@dataclass(frozen=True, slots=True)
class Search:
    """How to search for the knee."""

    first: int
    """The level to start with."""
    most: int
    """The highest level to try."""
    resolution: float
    """Stop when the lowest broken level is within this share of the highest that held."""


@dataclass(frozen=True, slots=True)
class Knee:
    """The result of the search."""

    held: BenchStep | None
    """The highest level that held; None when not even the first did."""
    broke: BenchStep | None
    """The lowest broken level above it; None when the search ended at its highest level."""


def find_knee(measure: Callable[[int], BenchStep], search: Search) -> Knee:
    """Returns the knee. ``measure`` holds a number of calls and returns their cost.

    A level counts as broken only when it broke twice, so that a single disturbance of the machine does not decide.
    """
    held: BenchStep | None = None
    broke: BenchStep | None = None
    level = search.first
    while True:
        step = _judged(measure, level)
        if step.broken_by():
            broke = step
        else:
            held = step
        following = _next_level(held, broke, search)
        if following is None:
            return Knee(held, broke)
        level = following


def _judged(measure: Callable[[int], BenchStep], level: int) -> BenchStep:
    step = measure(level)
    for _again in range(_STOLEN_TRIES):
        if not step.broken_by() or step.stolen_ratio <= STOLEN_LIMIT_RATIO:
            break
        step = measure(level)
    return measure(level) if step.broken_by() else step


def _next_level(held: BenchStep | None, broke: BenchStep | None, search: Search) -> int | None:
    low = held.calls if held is not None else 0
    if broke is None:
        assert held is not None
        if low >= search.most:
            return None
        full_at = low / max(held.cpu_ratio, 0.01)
        aim = min(low * _FURTHEST, low + (full_at - low) * _HEADROOM)
        return min(search.most, max(int(aim), low + max(1, int(low * 2 * search.resolution))))
    gap = broke.calls - low
    if gap <= max(1, int(low * search.resolution)):
        return None
    return low + gap // 2
