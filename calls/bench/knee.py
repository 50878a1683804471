"""Finds the most calls that a core carries: upwards in strides while it holds, then by bisection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from calls.bench.step import STOLEN_LIMIT_RATIO, BenchStep

_HEADROOM = 0.92
"""A stride aims this far towards the level at which the core would be full."""
_FURTHEST = 2.5
"""A stride never multiplies the level by more: what few calls cost says little about many."""
_STOLEN_TRIES = 2


@dataclass(frozen=True, slots=True)
class Search:
    """How to look for the knee."""

    first: int
    """The level to start with."""
    most: int
    """The highest level to try."""
    resolution: float
    """Stop when the lowest broken level is within this share of the highest that held."""


@dataclass(frozen=True, slots=True)
class Knee:
    """Where it broke."""

    held: BenchStep | None
    """The highest level that held; None when not even the first did."""
    broke: BenchStep | None
    """The lowest level above it that did not; None when the search ended at its highest level."""


def find_knee(measure: Callable[[int], BenchStep], search: Search) -> Knee:
    """Returns the knee; ``measure`` holds a level of calls and tells what it cost.

    A level counts as broken only when it broke twice: one hiccup of the machine must not decide.
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
