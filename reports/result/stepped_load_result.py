"""Defines ``knee.json`` and ``rollout.json``: the results of a load that was judged step by step.

The swarm writes the whole file after each step. The gate and the reports read it. Times in ``*_s`` are Unix seconds. A
rate counts the calls whose intended start is in the window of a step, divided by the length of the window.
"""

from __future__ import annotations

from typing import Literal

import msgspec

STEPPED_LOAD_FORMAT = 1
KNEE_FILE = "knee.json"
ROLLOUT_FILE = "rollout.json"

StepVerdict = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID"]
KneeEnd = Literal["broke", "generator", "limit", "stopped", "running"]
"""``broke``: the service missed the SLO. ``generator``: the load generator could not add load. ``limit``: the highest
level of the plan passed. ``stopped``: somebody stopped the run."""
RolloutEnd = Literal["done", "failed", "undecided", "generator", "stopped", "running"]


class JudgedRule(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one SLO rule over the calls of one step."""

    name: str
    verdict: StepVerdict
    reason: str
    n: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    objective: str = ""
    confidence: float | None = None


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement of the calls of one window. ``INVALID``: the generator fell behind, so the target is not judged."""

    verdict: StepVerdict
    reason: str
    """One sentence: the most important reason why the verdict is not PASS. Empty for PASS."""
    from_s: float
    until_s: float
    calls: int = 0
    completed: int = 0
    failed: int = 0
    attempts_per_s: float = 0.0
    setups_per_s: float = 0.0
    """Completed calls a second."""
    setups_per_s_low: float = 0.0
    setups_per_s_high: float = 0.0
    """Exact 95 % bounds of a Poisson rate, one on each side."""
    concurrent_mean: float | None = None
    """Calls with media both ways, mean over the window."""
    rules: list[JudgedRule] = []


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the load, and its judgement."""

    name: str
    concurrent_calls: float
    """The planned level."""
    scenario: str = ""
    """The scenario of every call of the step. Empty for the mix of the plan."""
    looks: int = 1
    """How often it was judged. Each judgement is stricter, so that all together keep the confidence of the rules."""
    judgement: Judgement


class UslFit(msgspec.Struct, frozen=True, kw_only=True):
    """The Universal Scalability Law, ``X(N) = gamma N / (1 + sigma (N - 1) + kappa N (N - 1))``, through the steps.

    Source: N. Gunther, "Guerrilla Capacity Planning" (2007), ch. 4-6. ``*_low`` and ``*_high``: 95 % interval from the
    covariance of the least-squares fit with Student's t.
    """

    steps: int
    gamma: float
    """Set-ups a second of one call at a time: 1 / the time that a call takes."""
    sigma: float
    """Contention: the share of the work that waits in one queue."""
    sigma_low: float
    sigma_high: float
    kappa: float
    """Coherency: the cost of keeping all parts in agreement with each other."""
    kappa_low: float
    kappa_high: float
    peak_concurrent: float | None = None
    """Where the law's throughput is highest, ``sqrt((1 - sigma) / kappa)``; None when it grows without limit."""
    peak_setups_per_s: float | None = None
    r_squared: float | None = None

    def setups_per_s(self, offered_calls: float) -> float:
        """Returns the throughput at this number of offered calls."""
        waiting = self.sigma * (offered_calls - 1) + self.kappa * offered_calls * (offered_calls - 1)
        return self.gamma * offered_calls / (1 + waiting) if offered_calls > 0 and waiting > -1 else 0.0


class MachinesNeeded(msgspec.Struct, frozen=True, kw_only=True):
    """How many machines like the one of the target a planned rate needs."""

    setups_per_s: float
    at_least: int | None
    """If each has the upper end of the capacity. None when that end is open."""
    at_most: int | None
    """If each has the lower end. None when no level passed."""
    assumption: str


class KneeResult(msgspec.Struct, frozen=True, kw_only=True):
    """``knee.json``."""

    format: int = STEPPED_LOAD_FORMAT
    verdict: StepVerdict
    sentence: str
    """The result in one sentence."""
    ended: KneeEnd
    low_calls: float | None
    """The highest level that met every rule, at the confidence of the rules."""
    high_calls: float | None
    """The lowest level that missed a rule. None when none did."""
    low_setups_per_s: float | None
    high_setups_per_s: float | None
    how: str
    """How the interval was found."""
    steps: list[StepResult] = []
    fit: UslFit | None = None
    fit_problem: str = ""
    """Why there is no fit."""
    machines: MachinesNeeded | None = None


class RolloutResult(msgspec.Struct, frozen=True, kw_only=True):
    """``rollout.json``."""

    format: int = STEPPED_LOAD_FORMAT
    verdict: StepVerdict
    sentence: str
    ended: RolloutEnd
    stages: list[str]
    """All planned stages, in order."""
    peak_calls: float
    steps: list[StepResult] = []
