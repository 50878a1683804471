"""Rollout: shadow, 1 %, 10 %, 50 %, 100 % of the planned peak, each stage judged before the next.

The shadow stage places calls that ring nobody, as many a second as its share of the peak would: it shows what the
service's front does to them, and what they do to messaging, before a single phone rings. A stage that breaks a rule
stops the rollout; so does one that stays undecided for as long as the plan allows, since going on would bet on luck.
"""

from __future__ import annotations

from pydantic import Field, field_validator

from loadtests.shapes.stage import MAX_CALLS, MIN_CALLS
from loadtests.shapes.stepwise import HoldTable, StepRequest, StopReason
from reports.result.stepped_load_result import ROLLOUT_FILE, RolloutEnd, RolloutResult, StepResult, StepVerdict

SHADOW = "shadow"
"""The scenario of ``calls.scenarios`` whose calls ring nobody, and the stage's name."""


_ENDS: dict[StepVerdict, RolloutEnd | None] = {
    "PASS": None,
    "FAIL": "failed",
    "INCONCLUSIVE": "undecided",
    "INVALID": "generator",
}


class RolloutTable(HoldTable):
    """``[swarm.rollout]``."""

    peak_calls: float = Field(ge=MIN_CALLS, le=MAX_CALLS)
    shadow: float = Field(default=0.1, ge=0, le=1)
    """Share of the peak's starts that the shadow stage places; 0 for no such stage."""
    shares: tuple[float, ...] = (0.01, 0.1, 0.5, 1.0)

    @field_validator("shares")
    @classmethod
    def _rising(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if not shares or list(shares) != sorted(set(shares)) or not 0 < shares[0] <= shares[-1] <= 1:
            raise ValueError("must be rising shares of the peak, each above 0 and at most 1")
        return shares

    def stages(self) -> list[StepRequest]:
        """Returns every stage, in order."""
        shadow = [StepRequest(SHADOW, self.shadow * self.peak_calls, SHADOW)] if self.shadow > 0 else []
        return [*shadow, *(StepRequest(f"{share * 100:g} %", share * self.peak_calls) for share in self.shares)]


class Rollout:
    """One rollout."""

    file_name = ROLLOUT_FILE

    def __init__(self, table: RolloutTable) -> None:
        self._table = table
        self._stages = table.stages()
        self._steps: list[StepResult] = []
        self._ended: RolloutEnd | None = None

    @property
    def hold(self) -> RolloutTable:
        """How long the stages take."""
        return self._table

    def first(self) -> StepRequest:
        """Returns the first stage."""
        return self._stages[0]

    def after(self, step: StepResult) -> StepRequest | None:
        """Takes in a stage. Returns the next one, None when the rollout is over, in whatever way."""
        self._steps.append(step)
        self._ended = _ENDS[step.judgement.verdict]
        if not self._ended and len(self._steps) == len(self._stages):
            self._ended = "done"
        return None if self._ended else self._stages[len(self._steps)]

    def result(self, ended: StopReason = "") -> RolloutResult:
        """Returns what is known by now."""
        over: RolloutEnd = self._ended or ended or "running"
        verdict, sentence = self._verdict(over)
        return RolloutResult(
            verdict=verdict,
            sentence=sentence,
            ended=over,
            stages=[stage.name for stage in self._stages],
            peak_calls=self._table.peak_calls,
            steps=list(self._steps),
        )

    def _verdict(self, over: RolloutEnd) -> tuple[StepVerdict, str]:
        names = [stage.name for stage in self._stages]
        if over == "done":
            return (
                "PASS",
                f"all {len(names)} stages of the rollout held, up to {self._table.peak_calls:g} calls at once",
            )
        passed = f"{len(self._passed())} of {len(names)} stages had held"
        if over in ("running", "stopped"):
            return "INCONCLUSIVE", f"the rollout was ended before it was over; until then {passed}"
        last = self._steps[-1]
        why = last.judgement.reason
        if over == "failed":
            return "FAIL", f"the rollout stopped at stage '{last.name}': {why}; {passed}"
        if over == "generator":
            return "INVALID", f"the rollout stopped at stage '{last.name}', the generator could not keep up: {why}"
        held_s = last.judgement.until_s - last.judgement.from_s
        return "INCONCLUSIVE", (
            f"the rollout stopped at stage '{last.name}', still undecided after {held_s:.0f} s: {why}; {passed}"
        )

    def _passed(self) -> list[StepResult]:
        return [step for step in self._steps if step.judgement.verdict == "PASS"]
