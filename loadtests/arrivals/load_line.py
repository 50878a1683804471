"""The level of a load over time: a line that the plan fixes, or one that the master moves as it goes."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtests.plan.daily_curve import load_curves, through_the_day
from loadtests.plan.swarm_plan import SwarmPlan
from loadtests.shapes.stage import StageTable


class FixedLoadLine:
    """A level that is known in full before the load begins."""

    def __init__(self, calls_at: Callable[[float], float]) -> None:
        self._calls_at = calls_at

    def calls_at(self, at_s: float) -> float:
        """Returns the wanted calls in progress, ``at_s`` since the load began."""
        return self._calls_at(at_s)

    def scenario_at(self, at_s: float) -> str:
        """Returns nothing: every call draws its own."""
        return ""


def level_line(stages: Sequence[StageTable], share: float) -> Callable[[float], float]:
    """Returns the wanted calls in progress as a function of seconds since the start, ``share`` of the whole load.

    Past the end of the last stage it is 0, unless that stage has no end.
    """

    def calls_at(at_s: float) -> float:
        start_s, before = 0.0, 0.0
        for stage in stages:
            if stage.duration_s == 0:
                return stage.concurrent_calls * share
            if at_s <= start_s + stage.duration_s:
                done = (at_s - start_s) / stage.duration_s
                return (before + (stage.concurrent_calls - before) * done) * share
            start_s, before = start_s + stage.duration_s, stage.concurrent_calls
        return 0.0

    return calls_at


def planned_calls(plan: SwarmPlan, share: float) -> Callable[[float], float]:
    """Returns what a plan whose load is known in full wants at a moment, the hour of the day counted."""
    calls_at = level_line(plan.timeline, share)
    if plan.daily is None:
        return calls_at
    return through_the_day(calls_at, load_curves()[plan.daily.curve], plan.daily.day_s, plan.daily.start_hour)


@dataclass(frozen=True, slots=True)
class LevelChange:
    """From ``at_s`` since the load began, to another level within ``move_s``."""

    at_s: float
    move_s: float
    concurrent_calls: float
    scenario: str = ""


class AdjustableLoadLine:
    """A level that is moved while the load goes on. It begins at 0 and holds what it was last moved to."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._starts_s: list[float] = []
        self._changes: list[tuple[LevelChange, float]] = []
        """Each with the level that it sets out from, of the whole load."""

    def change_level(self, change: LevelChange) -> None:
        """Adds a change. One that begins before the last one did takes its position from then on.

        Calls of another kind set out from nought: those in progress are none of theirs, and a first stage of one call
        that took over the level of ten shadow calls would ring ten people in its first moment.
        """
        at_s = max(change.at_s, self._starts_s[-1] if self._starts_s else 0.0)
        before = self._level(at_s) if change.scenario == self.scenario_at(at_s) else 0.0
        self._starts_s.append(at_s)
        self._changes.append((LevelChange(at_s, change.move_s, change.concurrent_calls, change.scenario), before))

    def calls_at(self, at_s: float) -> float:
        """Returns the wanted calls in progress, our share of them."""
        return self._level(at_s) * self._share

    def scenario_at(self, at_s: float) -> str:
        """Returns what every call of that moment is, empty for the plan's mixture."""
        position = bisect.bisect_right(self._starts_s, at_s) - 1
        return self._changes[position][0].scenario if position >= 0 else ""

    def _level(self, at_s: float) -> float:
        position = bisect.bisect_right(self._starts_s, at_s) - 1
        if position < 0:
            return 0.0
        change, before = self._changes[position]
        done = min(1.0, (at_s - change.at_s) / change.move_s) if change.move_s > 0 else 1.0
        return before + (change.concurrent_calls - before) * done
