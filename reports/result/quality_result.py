"""Defines the quality figures in ``summary.json``: audio quality of calls, and their set-up time by stage."""

from __future__ import annotations

import msgspec


class SetupStageFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One stage between the intended start and audio on both sides. Percentiles are over the calls that passed it."""

    step: str
    calls: int
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    longest_ms: float | None = None


class WindowFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The windows of about 5 s that the legs of one tier received. Each is scored by itself."""

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
    """Share whose model parameters are not published, but confirmed by our own calibration."""
    extrapolated_ratio: float = 0.0
    """Share whose model parameters are a guess. It is not in the MOS figures above."""


class MouthToEarFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Mouth-to-ear delay and its parts over the legs of one tier. Parts are medians, so they may not add up exactly."""

    tier: str
    legs: int
    frame_ms: float | None = None
    lookahead_ms: float | None = None
    network_ms: float | None = None
    playout_ms: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    clock: str = ""
    """How the delays were measured: ``same_clock``, ``estimated``, or both."""
    uncertainty_ms: float | None = None
    """The largest bound of the clock error."""


class ProbeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The audio that one side of the probe calls received, scored by ViSQOL."""

    listener: str
    legs: int
    scored: int
    visqol_median: float | None = None
    visqol_p5: float | None = None
    emodel_median: float | None = None
    """Of the same legs."""
    mouth_to_ear_p50_ms: float | None = None
    stretch_p95_ms: float | None = None
    """How much the delay changed within a probe call."""


class QualityFigures(msgspec.Struct, frozen=True, kw_only=True):
    """All quality figures of the swarm."""

    steps: list[SetupStageFigures] = []
    moves: SetupStageFigures | None = None
    """The silence of calls in which a side changed networks; None when none did."""
    windows: list[WindowFigures] = []
    mouth_to_ear: list[MouthToEarFigures] = []
    probes: list[ProbeFigures] = []
    rank_agreement: float | None = None
    """Spearman's rho between E-model and ViSQOL over the scored legs. None when they are too few or too similar."""
    unscored: dict[str, int] = {}
    """Probe legs without a score, by reason."""
    voices: list[str] = []
    measures: list[str] = []
