"""What calls sounded like and where their time went, as it stands in ``summary.json``."""

from __future__ import annotations

import msgspec


class SetupStageFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One step on the way from the plan to audio on both sides. Percentiles are over the calls that made it."""

    step: str
    calls: int
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    longest_ms: float | None = None


class WindowFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The windows of some 5 s that the legs of one tier heard; each is scored by itself."""

    tier: str
    windows: int
    mos_lq_p5: float | None = None
    mos_lq_median: float | None = None
    mos_cq_p5: float | None = None
    mos_cq_median: float | None = None
    below_3_1_ratio: float | None = None
    """Share of the windows whose MOS-LQ is below 3.1: nearly all listeners dissatisfied."""
    below_3_6_ratio: float | None = None
    """Below 3.6: many listeners dissatisfied."""
    bad_s: float = 0.0
    """Seconds in windows whose R is below 50 on the scale to 100 (74 of 148 on ours)."""
    heard_s: float = 0.0
    calibrated_ratio: float = 0.0
    """Share whose parameters are not published but confirmed by our own calibration."""
    extrapolated_ratio: float = 0.0
    """Share that is a guess; left out of the MOS figures above."""


class MouthToEarFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Mouth to ear and its parts over the legs of one tier. Parts are medians, so they need not add up exactly."""

    tier: str
    legs: int
    frame_ms: float | None = None
    lookahead_ms: float | None = None
    network_ms: float | None = None
    playout_ms: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    clock: str = ""
    """How the delays are known: ``same_clock``, ``estimated``, or both."""
    uncertainty_ms: float | None = None
    """The largest bound on the clocks' error."""


class ProbeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What one side of the probe calls heard, judged by ViSQOL."""

    listener: str
    legs: int
    scored: int
    visqol_median: float | None = None
    visqol_p5: float | None = None
    emodel_median: float | None = None
    """Of the same legs."""
    mouth_to_ear_p50_ms: float | None = None
    stretch_p95_ms: float | None = None
    """How much the delay moved within a probe."""


class QualityFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Everything above, of the swarm."""

    steps: list[SetupStageFigures] = []
    moves: SetupStageFigures | None = None
    """The silence of calls in which a side changed networks; None when none did."""
    windows: list[WindowFigures] = []
    mouth_to_ear: list[MouthToEarFigures] = []
    probes: list[ProbeFigures] = []
    rank_agreement: float | None = None
    """Spearman's rho between E-model and ViSQOL over the scored probe legs; None when they are too few or too alike."""
    unscored: dict[str, int] = {}
    """Probe legs without a score, by reason."""
    voices: list[str] = []
    measures: list[str] = []
