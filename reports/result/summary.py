"""Defines ``summary.json``, the result of a run. Its top-level keys are a contract: change them only with the format.

A number that could not be measured is null. The open end of an interval (too few calls to bound it) is null, too.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from bedrock.exit_codes import ExitCode
from reports.result.quality_result import QualityFigures
from reports.result.stepped_load_result import KneeResult, RolloutResult

SUMMARY_FORMAT = 1


class Verdict(StrEnum):
    """The verdict of a rule, and of the whole run."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    """Too little was tested to decide."""
    INVALID = "INVALID"
    """The run can't be trusted, or too little was tested: it says nothing about the product."""

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode[self.value]


class RuleKind(StrEnum):
    """What a rule or check is about."""

    SLO = "slo"
    """The product, by the SLO file."""
    TRUST = "trust"
    """The test itself: whether its figures are true."""
    EVIDENCE = "evidence"
    """The run: whether as much was tested as was planned. The results of what was tested stay true."""


class RuleResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one rule or check."""

    name: str
    verdict: Verdict
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    limit: float | None = None
    kind: RuleKind = RuleKind.SLO
    metric: str = ""
    unit: str = ""
    objective: str = ""
    scope: str = ""
    confidence: float | None = None
    required: bool = True
    reason: str = ""
    """One sentence: the measured value and the target. For a trust check it names the process and the second."""
    tiers: dict[str, int] = {}
    """The number of the n calls in each tier."""
    examples: list[str] = []
    """Calls, cells or people with the worst values."""


class Outlier(msgspec.Struct, frozen=True, kw_only=True):
    """A group that fails more often than the rest, beyond chance (Fisher's test, Benjamini-Hochberg at 5 %)."""

    by: str
    name: str
    failed: int
    n: int
    others_failed: int
    others_n: int
    p_value: float


class FailureGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Failed calls with one reason and one party to blame."""

    reason: str
    blame: str
    calls: int
    examples: list[str] = []


class TierFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The swarm's calls of one tier. Percentiles are over calls."""

    calls: int
    completed: int
    failed: int
    completion_ratio: float | None = None
    setup_ms_p50: float | None = None
    setup_ms_p95: float | None = None
    connect_ms_p95: float | None = None
    owd_ms_p50: float | None = None
    owd_ms_p95: float | None = None
    mos_lq_median: float | None = None
    mos_ungrounded: int = 0
    """Calls without a MOS figure, because the model does not cover their codec or loss."""
    probe_score_median: float | None = None


class WriterHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the load generator over the whole run."""

    writer: str
    role: str
    seconds: int
    cpu_ratio_mean: float
    cpu_ratio_max: float
    rss_mb_max: float
    loop_lag_p99_ms_median: float | None
    send_late_p99_ms_median: float | None
    """Median over its active seconds of the second's 99th percentile."""
    send_late_p99_ms_p99: float | None
    send_late_max_ms: float
    late_seconds: int
    """Active seconds whose 99th percentile was over the bound."""
    active_seconds: int
    datagrams_dropped: int
    packets_sent: int
    packets_received: int


class GeneratorHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the load generator kept up."""

    writers: list[WriterHealth] = []
    send_late_bound_ms: float | None = None
    starts_planned: int = 0
    starts_dropped: int = 0
    lost_halves: int = 0
    segments_read: int = 0
    segments_unreadable: list[str] = []


class SwarmFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of the swarm. ``calls`` includes busy, declined, …; ratios are of ``completed + failed``."""

    calls: int = 0
    completed: int = 0
    failed: int = 0
    peak_concurrent: int = 0
    """Most calls with media both ways in one second."""
    by_outcome: dict[str, int] = {}
    by_tier: dict[str, TierFigures] = {}
    health: GeneratorHealth = GeneratorHealth()
    concurrent_held_60s: int | None = None
    """Most calls with media both ways that were held through every second of one minute."""
    funnel: dict[str, int] = {}
    """How many calls reached each stage."""
    failures: list[FailureGroup] = []
    outliers: list[Outlier] = []
    messages: dict[str, float | int | None] = {}
    lists: dict[str, float | int | None] = {}
    """Pages of lists that people opened; those of users with long histories (``heavy``) also by themselves."""
    limits: dict[str, float] = {}
    """The limits that a completed call met in this run."""
    quality: QualityFigures | None = None
    """None in a summary of an older version."""


class AttemptSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a cell, in short."""

    attempt: int
    status: str
    reason: str = ""
    detail: str = ""


class GridCell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of the device matrix after all its attempts."""

    cell: str
    device: str
    device_title: str
    device_class: str
    emulated: bool
    network: str
    generation: str
    scenario: str
    driver: str
    tier: str
    status: str
    """As in cells.py, or ``missing`` for a planned cell without a result."""
    attempts: int
    attempts_seen: list[AttemptSeen] = []
    blame: str = ""
    reason: str = ""
    detail: str = ""
    replay: str = ""
    call_id: str = ""
    duration_s: float = 0.0


class MatrixFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The device matrix."""

    devices: int = 0
    networks: int = 0
    cells: int = 0
    by_status: dict[str, int] = {}
    grid: list[GridCell] = []
    outliers: list[Outlier] = []


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """``summary.json``."""

    format: int = SUMMARY_FORMAT
    verdict: Verdict
    exit_code: int
    reasons: list[str]
    """Why the verdict is not PASS, most important first. Empty for PASS."""
    rules: list[RuleResult]
    swarm: SwarmFigures
    matrix: MatrixFigures
    tiers: dict[str, int]
    """Legs by tier."""
    duration_s: float | None
    knee: KneeResult | None = None
    """The result of a knee search, which looks for the capacity."""
    rollout: RolloutResult | None = None
    """The result of a rollout."""

    def rules_of(self, *kinds: RuleKind) -> list[RuleResult]:
        return [rule for rule in self.rules if rule.kind in kinds]


def summary_json(summary: Summary) -> str:
    """Returns the text of ``summary.json``."""
    return msgspec.json.format(msgspec.json.encode(summary), indent=2).decode() + "\n"
