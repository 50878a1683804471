"""``knee.json`` and ``rollout.json``: what a load that was judged step by step came to.

The swarm writes them (after every step, whole), the gate and the reports read them. ``*_s`` that are moments are Unix
seconds. A rate is a share of the calls whose intended start lay in a step's window, over that window's length.
"""

from __future__ import annotations

from typing import Literal

import msgspec

STEPPED_LOAD_FORMAT = 1
KNEE_FILE = "knee.json"
ROLLOUT_FILE = "rollout.json"

StepVerdict = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID"]
KneeEnd = Literal["broke", "generator", "limit", "stopped", "running"]
"""``broke``: the SLO broke. ``generator``: we could not load it further. ``limit``: the plan's highest level held.
``stopped``: ended from outside."""
RolloutEnd = Literal["done", "failed", "undecided", "generator", "stopped", "running"]


class JudgedRule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of the SLO, over the calls of one step."""

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
    """What the calls of one window came to. ``INVALID``: the generator could not keep up, the target is not judged."""

    verdict: StepVerdict
    reason: str
    """One sentence: the weightiest thing that keeps the verdict from being PASS; empty for PASS."""
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
    """The level that the plan asked for."""
    scenario: str = ""
    """What every call of the step was; empty for the plan's own mixture."""
    looks: int = 1
    """How often it was looked at; each look was judged so that all of them together keep the rules' confidence."""
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
    """Contention: the share of work that waits in one line."""
    sigma_low: float
    sigma_high: float
    kappa: float
    """Coherency: the cost of everybody talking to everybody."""
    kappa_low: float
    kappa_high: float
    peak_concurrent: float | None = None
    """Where the law's throughput is highest, ``sqrt((1 - sigma) / kappa)``; None when it grows for ever."""
    peak_setups_per_s: float | None = None
    r_squared: float | None = None

    def setups_per_s(self, offered_calls: float) -> float:
        """Returns what the law gives for so many calls offered."""
        waiting = self.sigma * (offered_calls - 1) + self.kappa * offered_calls * (offered_calls - 1)
        return self.gamma * offered_calls / (1 + waiting) if offered_calls > 0 and waiting > -1 else 0.0


class MachinesNeeded(msgspec.Struct, frozen=True, kw_only=True):
    """How many machines like the target's a planned rate would need."""

    setups_per_s: float
    at_least: int | None
    """If each carries the upper end of the capacity; None when that end is open."""
    at_most: int | None
    """If each carries the lower end; None when nothing was shown to hold."""
    assumption: str


class KneeResult(msgspec.Struct, frozen=True, kw_only=True):
    """``knee.json``."""

    format: int = STEPPED_LOAD_FORMAT
    verdict: StepVerdict
    sentence: str
    """What was found, in words."""
    ended: KneeEnd
    low_calls: float | None
    """The highest level that kept every rule: shown, at the rules' confidence."""
    high_calls: float | None
    """The lowest level that broke one; None when none did."""
    low_setups_per_s: float | None
    high_setups_per_s: float | None
    how: str
    """How the interval comes about."""
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
    """All that were planned, in order."""
    peak_calls: float
    steps: list[StepResult] = []
