"""The wanted number of calls over time: fixed by the plan, or changed by the master while the load runs."""

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
        """Returns an empty text: each call draws its own scenario."""
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
    """Returns the level of a plan that is known before the run, with its daily curve applied."""
    calls_at = level_line(plan.timeline, share)
    if plan.daily is None:
        return calls_at
    return through_the_day(calls_at, load_curves()[plan.daily.curve], plan.daily.day_s, plan.daily.start_hour)


@dataclass(frozen=True, slots=True)
class LevelChange:
    """A change to another level. It starts ``at_s`` after the load began and takes ``move_s``."""

    at_s: float
    move_s: float
    concurrent_calls: float
    scenario: str = ""


class AdjustableLoadLine:
    """A level that changes while the load runs. It begins at 0 and holds the last level that was set."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._starts_s: list[float] = []
        self._changes: list[tuple[LevelChange, float]] = []
        """Each with the level from which it starts, of the whole load."""

    def change_level(self, change: LevelChange) -> None:
        """Adds a change. A change that should have begun before the last one begins with it.

        A change to another scenario starts from 0: calls in progress belong to the old scenario. If the first real
        stage, of one call, took over the level of ten shadow calls, ten phones would ring at once.
        """
        at_s = max(change.at_s, self._starts_s[-1] if self._starts_s else 0.0)
        before = self._level(at_s) if change.scenario == self.scenario_at(at_s) else 0.0
        self._starts_s.append(at_s)
        self._changes.append((LevelChange(at_s, change.move_s, change.concurrent_calls, change.scenario), before))

    def calls_at(self, at_s: float) -> float:
        """Returns the wanted calls in progress, our share of them."""
        return self._level(at_s) * self._share

    def scenario_at(self, at_s: float) -> str:
        """Returns the scenario of all calls at that moment. Empty: each call draws its own."""
        position = bisect.bisect_right(self._starts_s, at_s) - 1
        return self._changes[position][0].scenario if position >= 0 else ""

    def _level(self, at_s: float) -> float:
        position = bisect.bisect_right(self._starts_s, at_s) - 1
        if position < 0:
            return 0.0
        change, before = self._changes[position]
        done = min(1.0, (at_s - change.at_s) / change.move_s) if change.move_s > 0 else 1.0
        return before + (change.concurrent_calls - before) * done
