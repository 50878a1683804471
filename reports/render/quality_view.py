"""Prepares the quality of a run as tables of text, the same for the terminal and the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.result.quality_result import QualityFigures
from reports.result.summary import Summary
from reports.text import counted, figure, grouped, percent

_STAGE_LABELS = {"all of it": "total set-up", "silence of a move": "network change"}
"""The plain names of two stages. ``summary.json`` keeps the older ones."""


@dataclass(frozen=True, slots=True)
class QualityTable:
    """A table with a note that explains it. The first column is a name, the others are figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str


def quality_tables(summary: Summary) -> list[QualityTable]:
    """Returns the tables with at least one row."""
    quality = summary.swarm.quality
    if quality is None:
        return []
    tables = (_steps(quality), _windows(quality), _mouth_to_ear(quality), _probes(quality))
    return [table for table in tables if table.rows]


def _steps(quality: QualityFigures) -> QualityTable:
    shown = [*quality.steps, quality.moves] if quality.moves is not None else quality.steps
    rows = [
        (_STAGE_LABELS.get(step.step, step.step), grouped(step.calls),
         *(figure(ms, "ms") for ms in (step.p50_ms, step.p95_ms, step.p99_ms)),
         figure(step.longest_ms, "ms"))
        for step in shown
    ]  # fmt: skip
    note = "each stage ends when the slower side has reached it; set-up time excludes ringing time"
    if quality.moves is not None:
        note += "; network change: silence while a side changed networks in mid-call; a planned one is no gap"
    return QualityTable("Set-up time, stage by stage", ("stage", "calls", "p50", "p95", "p99", "longest"), rows, note)


def _windows(quality: QualityFigures) -> QualityTable:
    rows = [
        (
            tier.tier, grouped(tier.windows), figure(tier.mos_lq_p5, ""), figure(tier.mos_lq_median, ""),
            figure(tier.mos_cq_p5, ""), figure(tier.mos_cq_median, ""), figure(tier.below_3_1_ratio, "ratio"),
            figure(tier.below_3_6_ratio, "ratio"), figure(tier.bad_s / tier.heard_s if tier.heard_s else None, "ratio"),
        )
        for tier in quality.windows
    ]  # fmt: skip
    columns = ("tier", "windows", "LQ p5", "p50", "CQ p5", "p50", "< 3.1", "< 3.6", "bad seconds")
    calibrated = ", ".join(
        f"{tier.tier} {percent(tier.calibrated_ratio)} % calibrated, {percent(tier.extrapolated_ratio)} % extrapolated "
        "and not counted"
        for tier in quality.windows
        if tier.calibrated_ratio or tier.extrapolated_ratio
    )
    note = "MOS of each 5 s window of a leg, full band (G.107.2): LQ listening, CQ with delay; bad seconds: R below 50"
    return QualityTable("MOS per 5 s window", columns, rows, f"{note}; {calibrated}" if calibrated else note)


def _mouth_to_ear(quality: QualityFigures) -> QualityTable:
    rows = [
        (
            tier.tier, grouped(tier.legs), *(figure(ms, "ms") for ms in (
                tier.frame_ms, tier.lookahead_ms, tier.network_ms, tier.playout_ms, tier.p50_ms, tier.p95_ms)),
        )
        for tier in quality.mouth_to_ear
    ]  # fmt: skip
    clocks = "; ".join(
        f"{tier.tier}: {tier.clock.replace('_', ' ')}, off by at most {_fine_ms(tier.uncertainty_ms)}"
        for tier in quality.mouth_to_ear
        if tier.clock and tier.uncertainty_ms is not None
    )
    columns = ("tier", "legs", "frame", "codec", "network", "playout", "total p50", "p95")
    note = "parts are medians; probe calls (media tier) measure the total by correlation, other calls add up the parts"
    return QualityTable("Mouth-to-ear delay", columns, rows, f"{note}. Clock: {clocks}" if clocks else note)


def _probes(quality: QualityFigures) -> QualityTable:
    rows = [
        (
            f"to the {side.listener}", f"{grouped(side.scored)}/{grouped(side.legs)}",
            figure(side.visqol_p5, ""), figure(side.visqol_median, ""), figure(side.emodel_median, ""),
            figure(side.mouth_to_ear_p50_ms, "ms"), figure(side.stretch_p95_ms, "ms"),
        )
        for side in quality.probes
    ]  # fmt: skip
    agreement = (
        "too few legs, or scores too similar, to compare the order"
        if quality.rank_agreement is None
        else f"rank agreement {quality.rank_agreement:.2f}"
    )
    notes = ["E-model and mouth-to-ear are medians; delay spread: how much the delay changed within a probe call, p95",
             f"{' and '.join(quality.measures)} on {' and '.join(quality.voices) or 'unknown'} speech"
        if quality.measures
        else "no probe call was scored",
             f"E-model and ViSQOL have different scales: {agreement}"]  # fmt: skip
    if quality.unscored:
        notes.append("not scored: " + ", ".join(f"{counted(n, 'leg')} ({why})" for why, n in quality.unscored.items()))
    columns = ("direction", "scored", "ViSQOL p5", "p50", "E-model", "mouth-to-ear", "delay spread")
    return QualityTable("Probe calls", columns, rows, "; ".join(notes))


def _fine_ms(ms: float | None) -> str:
    return "n/a" if ms is None else f"{ms:.3f} ms" if ms < 0.1 else figure(ms, "ms")
