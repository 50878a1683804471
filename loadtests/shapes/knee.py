"""Knee: steps the load up until the SLO breaks, then halves the gap between what held and what broke.

The capacity is an interval: from the highest level whose calls *showed*, at the rules' confidence, that every rule
holds, to the lowest whose calls showed that one is broken. A level that shows neither narrows nothing. A step in which
the generator could not keep up says nothing about the target and ends the search: the capacity is then at least what
had held, and only that.
"""

from __future__ import annotations

import math

from pydantic import Field, model_validator

from bedrock.intervals import count_bounds
from loadtests.shapes.stage import MAX_CALLS, MIN_CALLS
from loadtests.shapes.stepwise import HoldTable, StepRequest, StopReason
from loadtests.shapes.usl import NoFit, Point, fit_usl
from reports.result.stepped_load_result import (
    KNEE_FILE,
    Judgement,
    KneeEnd,
    KneeResult,
    MachinesNeeded,
    StepResult,
    StepVerdict,
    UslFit,
)

LAUNCH_SETUPS_PER_S = 6900.0
"""600 million calls a day, the load of the launch's sixth month, as a mean over the day."""
ASSUMPTION = (
    "every machine is like the one measured and carries what it carried, calls spread evenly over them, and nothing "
    "that they share (a database, a network) runs out first; no reserve for a lost machine or a busy hour is in it"
)
HOW = (
    "from the highest level whose calls showed that every rule of the SLO holds to the lowest whose calls showed that "
    "one is broken, each by the exact interval of the rule; in set-ups a second, from the lower 95 % Poisson bound of "
    "what was completed at the first to the upper one of what was attempted at the second"
)


class KneeTable(HoldTable):
    """``[swarm.knee]``."""

    start_calls: float = Field(ge=MIN_CALLS, le=MAX_CALLS)
    max_calls: float = Field(ge=MIN_CALLS, le=MAX_CALLS)
    growth: float = Field(default=1.5, ge=1.05, le=4)
    """Each step up is so many times the one before it."""
    refine: int = Field(default=2, ge=0, le=8)
    """How often the gap between what held and what broke is halved."""
    want_calls: float = Field(default=0, ge=0, le=MAX_CALLS)
    """PASS only when the capacity is shown to be at least this; 0 for a search that only measures."""
    want_setups_per_s: float = Field(default=LAUNCH_SETUPS_PER_S, gt=0, le=1_000_000)
    """The rate that the number of machines is worked out for."""

    @model_validator(mode="after")
    def _range(self) -> KneeTable:
        if self.max_calls < self.start_calls:
            raise ValueError("must keep start_calls <= max_calls")
        if self.want_calls > self.max_calls:
            raise ValueError("must keep want_calls <= max_calls: a higher capacity than is tried cannot be shown")
        return self


class KneeSearch:
    """One search."""

    file_name = KNEE_FILE

    def __init__(self, table: KneeTable) -> None:
        self._table = table
        self._steps: list[StepResult] = []
        self._refined = 0
        self._ended: KneeEnd | None = None

    @property
    def hold(self) -> KneeTable:
        """How long the steps take."""
        return self._table

    def first(self) -> StepRequest:
        """Returns the lowest step."""
        return self._ask(self._table.start_calls)

    def after(self, step: StepResult) -> StepRequest | None:
        """Takes in a step. Returns the next one, None when the search is over."""
        self._steps.append(step)
        if self._held("FAIL"):
            return self._refine(step)
        if step.judgement.verdict == "INVALID":
            self._ended = "generator"
            return None
        if step.concurrent_calls >= self._table.max_calls:
            self._ended = "limit"
            return None
        return self._ask(min(step.concurrent_calls * self._table.growth, self._table.max_calls))

    def result(self, ended: StopReason = "") -> KneeResult:
        """Returns what is known by now."""
        low, high = self._low(), self._high()
        over: KneeEnd = self._ended or ended or "running"
        fit, problem = self._fit()
        low_rate = low.judgement.setups_per_s_low if low else None
        high_rate = _attempted_high(high.judgement) if high else None
        verdict, sentence = self._verdict(over, low, high)
        return KneeResult(
            verdict=verdict,
            sentence=sentence,
            ended=over,
            low_calls=low.concurrent_calls if low else None,
            high_calls=high.concurrent_calls if high else None,
            low_setups_per_s=low_rate,
            high_setups_per_s=high_rate,
            how=HOW,
            steps=list(self._steps),
            fit=fit,
            fit_problem=problem,
            machines=_machines(self._table.want_setups_per_s, low_rate, high_rate),
        )

    def _ask(self, calls: float) -> StepRequest:
        level = round(calls, 1)
        return StepRequest(
            f"{level:g} calls" + (f" (step {len(self._steps) + 1})" if self._tried(level) else ""), level
        )

    def _tried(self, level: float) -> bool:
        return any(step.concurrent_calls == level for step in self._steps)

    def _refine(self, last: StepResult) -> StepRequest | None:
        low, high = self._low(), self._high()
        enough = self._refined >= self._table.refine or last.judgement.verdict in ("INVALID", "INCONCLUSIVE")
        if enough or low is None or high is None or high.concurrent_calls - low.concurrent_calls < 1:
            self._ended = "broke"
            return None
        self._refined += 1
        return self._ask((low.concurrent_calls + high.concurrent_calls) / 2)

    def _held(self, verdict: str) -> list[StepResult]:
        return [step for step in self._steps if step.judgement.verdict == verdict]

    def _high(self) -> StepResult | None:
        return min(self._held("FAIL"), key=lambda step: step.concurrent_calls, default=None)

    def _low(self) -> StepResult | None:
        """The highest step that held, below the lowest that broke."""
        high = self._high()
        below = [step for step in self._held("PASS") if high is None or step.concurrent_calls < high.concurrent_calls]
        return max(below, key=lambda step: step.concurrent_calls, default=None)

    def _fit(self) -> tuple[UslFit | None, str]:
        points = []
        for step in self._steps:
            judged = step.judgement
            length_s = judged.until_s - judged.from_s
            if judged.verdict != "INVALID" and length_s > 0:
                error = math.sqrt(max(1, judged.completed)) / length_s
                points.append(Point(step.concurrent_calls, judged.setups_per_s, error))
        try:
            return fit_usl(points), ""
        except NoFit as why:
            return None, str(why)

    def _verdict(self, over: KneeEnd, low: StepResult | None, high: StepResult | None) -> tuple[StepVerdict, str]:
        wanted = self._table.want_calls
        found = _interval(over, low, high, self._steps[-1] if self._steps else None)
        if over in ("running", "stopped"):
            return "INCONCLUSIVE", f"the search was ended before it was over; until then: {found}"
        if wanted:
            if low is not None and low.concurrent_calls >= wanted:
                return "PASS", f"{found}; {wanted:g} calls were wanted"
            if high is not None and high.concurrent_calls <= wanted:
                return "FAIL", f"{found}; {wanted:g} calls were wanted"
        if low is None and high is not None:
            return "FAIL", found
        if low is None:
            return ("INVALID" if over == "generator" else "INCONCLUSIVE"), found
        return ("INCONCLUSIVE" if wanted or over == "generator" else "PASS"), found


def _interval(over: str, low: StepResult | None, high: StepResult | None, last: StepResult | None) -> str:
    if low is not None and high is not None:
        return (
            f"capacity between {low.concurrent_calls:g} and {high.concurrent_calls:g} calls at once: "
            f"at {high.name}, {high.judgement.reason}"
        )
    if high is not None:
        return f"capacity below {high.concurrent_calls:g} calls at once: {high.judgement.reason}"
    least = f"capacity at least {low.concurrent_calls:g} calls at once" if low else "no level was shown to hold"
    if over == "generator" and last is not None:
        return f"{least}, generator-bound: at {last.name}, {last.judgement.reason}"
    if last is not None and last.judgement.verdict == "INCONCLUSIVE":
        return f"{least}; at {last.name}, {last.judgement.reason}"
    return f"{least}, and nothing higher was tried" if over == "limit" else least


def _attempted_high(judged: Judgement) -> float | None:
    """The upper 95 % Poisson bound of the attempts a second."""
    length_s = judged.until_s - judged.from_s
    if length_s <= 0:
        return None
    attempts = round(judged.attempts_per_s * length_s)
    return count_bounds(attempts).high / length_s


def _machines(wanted: float, low_per_s: float | None, high_per_s: float | None) -> MachinesNeeded:
    return MachinesNeeded(
        setups_per_s=wanted,
        at_least=math.ceil(wanted / high_per_s) if high_per_s else None,
        at_most=math.ceil(wanted / low_per_s) if low_per_s else None,
        assumption=ASSUMPTION,
    )
