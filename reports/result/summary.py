"""What a run came to: the shape of ``summary.json``. Its top-level keys are a contract; change them with the format.

Numbers that could not be had are null. An interval's open end (too few calls to bound it) is null, too.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from bedrock.exit_codes import ExitCode
from reports.result.quality_result import QualityFigures
from reports.result.stepped_load_result import KneeResult, RolloutResult

SUMMARY_FORMAT = 1


class Verdict(StrEnum):
    """What a rule, and the whole gate, can say."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    """Too few calls to know."""
    INVALID = "INVALID"
    """The harness cannot vouch for its own figures."""

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode[self.value]


class RuleKind(StrEnum):
    """What a rule guards."""

    SLO = "slo"
    """The product, by its SLO file."""
    TRUST = "trust"
    """The harness: whether its figures are true at all."""
    EVIDENCE = "evidence"
    """The run: whether as much was tested as was planned. What was tested stays true."""


class RuleResult(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, judged."""

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
    """One sentence: what was measured, what was wanted. For a trust rule it names the writer and the second."""
    tiers: dict[str, int] = {}
    """How many of the n calls came from which tier."""
    examples: list[str] = []
    """Calls, cells or people that broke it most."""


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
    """Calls left out of the MOS figures, because the model's tables do not cover them."""
    probe_score_median: float | None = None


class WriterHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One generator process over the whole run."""

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
    """Active seconds whose 99th percentile was beyond the bound."""
    active_seconds: int
    datagrams_dropped: int
    packets_sent: int
    packets_received: int


class GeneratorHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the swarm itself kept up."""

    writers: list[WriterHealth] = []
    send_late_bound_ms: float | None = None
    starts_planned: int = 0
    starts_dropped: int = 0
    lost_halves: int = 0
    segments_read: int = 0
    segments_unreadable: list[str] = []


class SwarmFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The swarm's calls. ``calls`` counts what people decide, too; ``completed + failed`` is the denominator."""

    calls: int = 0
    completed: int = 0
    failed: int = 0
    peak_concurrent: int = 0
    """Most calls with media both ways in one second."""
    by_outcome: dict[str, int] = {}
    by_tier: dict[str, TierFigures] = {}
    health: GeneratorHealth = GeneratorHealth()
    concurrent_held_60s: int | None = None
    """Most calls with media both ways held through every second of some minute."""
    funnel: dict[str, int] = {}
    """How many calls reached each stage."""
    failures: list[FailureGroup] = []
    outliers: list[Outlier] = []
    messages: dict[str, float | int | None] = {}
    lists: dict[str, float | int | None] = {}
    """Pages of lists that people opened, and those of heavy pasts apart."""
    limits: dict[str, float] = {}
    """What ``completed`` meant in this run."""
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
    """As in cells.py, or ``missing`` for a cell that was planned and left no result."""
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
    """Why the verdict is not PASS, the weightiest first; empty when it is."""
    rules: list[RuleResult]
    swarm: SwarmFigures
    matrix: MatrixFigures
    tiers: dict[str, int]
    """Legs by tier."""
    duration_s: float | None
    knee: KneeResult | None = None
    """What a search for the capacity found."""
    rollout: RolloutResult | None = None
    """How far a rollout came."""

    def rules_of(self, *kinds: RuleKind) -> list[RuleResult]:
        return [rule for rule in self.rules if rule.kind in kinds]


def summary_json(summary: Summary) -> str:
    """The text of ``summary.json``."""
    return msgspec.json.format(msgspec.json.encode(summary), indent=2).decode() + "\n"
