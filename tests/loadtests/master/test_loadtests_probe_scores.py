"""What the Calls tab says of probes that were judged, and of those that were not."""

from __future__ import annotations

from pathlib import Path

from calls.records.record import ProbeRow, Side
from calls.records.segments import SegmentWriter
from loadtests.master.probe_scores import ProbeScores


def row(number: int, mos: float | None, reason: str = "") -> ProbeRow:
    return ProbeRow(
        run_id="r",
        writer="swarm-0",
        call_id=f"c{number}",
        side=Side.CALLER,
        at_s=100.0,
        duration_s=8.0,
        voice="espeak-ng",
        measure="visqol",
        visqol_mos_lq=mos,
        mouth_to_ear_ms=120.0 if mos is not None else None,
        reason=reason,
    )


def test_sides_without_a_score_are_counted_by_reason(tmp_path: Path) -> None:
    segments = SegmentWriter(tmp_path / "probes", ProbeRow, "swarm-0")
    scores = ProbeScores(tmp_path)
    segments.append(row(0, None, "budget"))
    segments.flush()
    scores.refresh(0.0)
    assert scores.summary == "0 sides scored by ViSQOL in speech mode; not scored: 1 budget"
    assert scores.score(0.5) is None

    for number, (mos, reason) in enumerate([(4.1, ""), (3.9, ""), (None, "no_time"), (None, "no_time")], 1):
        segments.append(row(number, mos, reason))
    segments.flush()
    scores.refresh(100.0)
    assert scores.summary == "2 sides scored by ViSQOL in speech mode; not scored: 1 budget, 2 no_time"
    assert scores.count == 2
