"""Aggregates in SQL the audio quality of calls and their set-up time by stage, over legs, windows and probes."""

from __future__ import annotations

from reports.gate.call_view import BAD_R
from reports.result.quality_result import (
    MouthToEarFigures,
    ProbeFigures,
    QualityFigures,
    SetupStageFigures,
    WindowFigures,
)
from reports.run.store import RunStore

STEPS = ("intended to sent", "sent to ringing", "ringing to answer", "answer to ICE", "ICE to DTLS", "DTLS to audio")
"""The stages of the funnel as durations, in the order of the columns ``step_1_ms`` … of call_view.py.

The third excludes ringing time. All of them add up to ``setup_ms``.
"""
MIN_RANKED, MIN_SPREAD = 10, 0.3
"""With fewer legs, or a smaller spread of the E-model's MOS, the two orders cannot be compared."""


def quality_figures(store: RunStore) -> QualityFigures:
    """Returns the quality figures of the swarm. Needs the table ``calls``."""
    rho, ranked, spread = store.rows(_RANKS)[0]
    return QualityFigures(
        steps=_steps(store),
        moves=_durations(store, "move_gap_ms", "silence of a move"),
        windows=[WindowFigures(**row) for row in store.records(_WINDOWS, [BAD_R])],
        mouth_to_ear=[MouthToEarFigures(**row) for row in store.records(_MOUTH_TO_EAR)],
        probes=[ProbeFigures(**row) for row in store.records(_PROBES)],
        rank_agreement=rho if ranked >= MIN_RANKED and spread >= MIN_SPREAD else None,
        unscored=dict(store.rows(_UNSCORED)),
        voices=[row[0] for row in store.rows("SELECT DISTINCT voice FROM probes ORDER BY 1")],
        measures=[row[0] for row in store.rows("SELECT DISTINCT measure FROM probes ORDER BY 1")],
    )


def _steps(store: RunStore) -> list[SetupStageFigures]:
    columns = [*((f"step_{number}_ms", name) for number, name in enumerate(STEPS, 1)), ("setup_ms", "all of it")]
    figures = (_durations(store, column, name) for column, name in columns)
    return [step for step in figures if step is not None]


def _durations(store: RunStore, column: str, name: str) -> SetupStageFigures | None:
    """Returns the percentiles of one column of ``calls``, None when no call has it."""
    row = store.rows(
        f"""SELECT count({column}), quantile_disc({column}, 0.5), quantile_disc({column}, 0.95),
            quantile_disc({column}, 0.99), max({column}) FROM calls WHERE source = 'swarm'"""
    )[0]
    if not row[0]:
        return None
    return SetupStageFigures(step=name, calls=row[0], p50_ms=row[1], p95_ms=row[2], p99_ms=row[3], longest_ms=row[4])


_WINDOWS = """
WITH judged AS (
    SELECT *, CASE WHEN mos_basis <> 'extrapolated' THEN mos_lq END AS lq,
        CASE WHEN mos_basis <> 'extrapolated' THEN mos_cq END AS cq
    FROM windows WHERE source = 'swarm' AND mos_lq IS NOT NULL
)
SELECT tier, count(*) AS windows,
    quantile_disc(lq, 0.05) AS mos_lq_p5, quantile_disc(lq, 0.5) AS mos_lq_median,
    quantile_disc(cq, 0.05) AS mos_cq_p5, quantile_disc(cq, 0.5) AS mos_cq_median,
    count(*) FILTER (lq < 3.1) / nullif(count(lq), 0) AS below_3_1_ratio,
    count(*) FILTER (lq < 3.6) / nullif(count(lq), 0) AS below_3_6_ratio,
    coalesce(sum(duration_s) FILTER (r_lq < ?), 0) AS bad_s, sum(duration_s) AS heard_s,
    count(*) FILTER (mos_basis = 'calibrated') / count(*) AS calibrated_ratio,
    count(*) FILTER (mos_basis = 'extrapolated') / count(*) AS extrapolated_ratio
FROM judged GROUP BY tier ORDER BY windows DESC, tier
"""

_MOUTH_TO_EAR = """
SELECT tier, count(*) AS legs,
    quantile_disc(m2e_frame_ms, 0.5) AS frame_ms, quantile_disc(m2e_lookahead_ms, 0.5) AS lookahead_ms,
    quantile_disc(m2e_network_ms, 0.5) AS network_ms, quantile_disc(m2e_playout_ms, 0.5) AS playout_ms,
    quantile_disc(mouth_to_ear_ms, 0.5) AS p50_ms, quantile_disc(mouth_to_ear_ms, 0.95) AS p95_ms,
    string_agg(DISTINCT owd_clock, ' and ' ORDER BY owd_clock) AS clock, max(owd_uncertainty_ms) AS uncertainty_ms
FROM sides WHERE source = 'swarm' AND mouth_to_ear_ms IS NOT NULL GROUP BY tier ORDER BY legs DESC, tier
"""

_PROBES = """
SELECT side AS listener, count(*) AS legs, count(visqol_mos_lq) AS scored,
    quantile_disc(visqol_mos_lq, 0.5) AS visqol_median, quantile_disc(visqol_mos_lq, 0.05) AS visqol_p5,
    quantile_disc(mos_lq, 0.5) FILTER (visqol_mos_lq IS NOT NULL) AS emodel_median,
    quantile_disc(mouth_to_ear_ms, 0.5) AS mouth_to_ear_p50_ms,
    (SELECT quantile_disc(mouth_to_ear_spread_ms, 0.95) FROM probes WHERE probes.side = sides.side) AS stretch_p95_ms
FROM sides WHERE source = 'swarm' AND tier = 'media' GROUP BY side ORDER BY side DESC
"""

_UNSCORED = "SELECT reason, count(*) FROM probes WHERE reason <> '' GROUP BY reason ORDER BY count(*) DESC, reason"

_RANKS = """
SELECT corr(visqol_rank, emodel_rank), count(*), max(mos_lq) - min(mos_lq) FROM (
    SELECT mos_lq,
        rank() OVER (ORDER BY visqol_mos_lq) + (count(*) OVER (PARTITION BY visqol_mos_lq) - 1) / 2 AS visqol_rank,
        rank() OVER (ORDER BY mos_lq) + (count(*) OVER (PARTITION BY mos_lq) - 1) / 2 AS emodel_rank
    FROM sides WHERE source = 'swarm' AND visqol_mos_lq IS NOT NULL AND mos_lq IS NOT NULL
)
"""
