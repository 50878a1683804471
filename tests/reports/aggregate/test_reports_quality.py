"""The quality part of a report: durations of the funnel, windows, mouth to ear and probes, each against known rows."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from synthetic_run_folder import RUN_ID, STARTED_AT_S, healthy, write_segments

from calls.records.record import LegRecord, Outcome, ProbeRow, Side, Tier, WindowRow
from reports.build import summarize
from reports.gate.call_view import make_calls, make_seconds
from reports.render.html import render_html
from reports.render.quality_view import quality_tables
from reports.render.terminal import render
from reports.result.summary import Summary
from reports.run.run_folder import find_run
from reports.run.store import RunStore
from reports.slo.slo_file import load_slo

SMOKE = load_slo("smoke")


def parts(leg: LegRecord) -> LegRecord:
    if leg.first_audio_at_s is None:
        return leg
    return msgspec.structs.replace(
        leg, m2e_frame_ms=20.0, m2e_lookahead_ms=6.5, m2e_network_ms=50.0, m2e_playout_ms=40.0, mouth_to_ear_ms=116.5,
        owd_clock="same_clock", owd_uncertainty_ms=0.0038, mos_lq=4.0 + int(leg.call_id[-2:]) / 200, mos_grounded=True,
        move_gap_ms=(500.0 if leg.side is Side.CALLER else 650.0) if leg.call_id[-1] == "3" else None,
    )  # fmt: skip


def window(number: int, mos: float, r: float, basis: str = "published", call_id: str = "call-0000001") -> WindowRow:
    return WindowRow(
        run_id=RUN_ID, writer="swarm-0", call_id=call_id, side=Side.CALLER, tier=Tier.PACKETS, source="swarm",
        at_s=STARTED_AT_S + 5 * number, duration_s=5.0, expected=250, received=250, mos_lq=mos, mos_cq=mos - 0.2,
        r_lq=r, mos_basis=basis,
    )  # fmt: skip


def probe(leg: LegRecord, mos: float | None, reason: str = "") -> ProbeRow:
    return ProbeRow(
        run_id=RUN_ID, writer=leg.writer, call_id=leg.call_id, side=leg.side, at_s=leg.ended_at_s, duration_s=8.0,
        voice="espeak-ng", measure="visqol-speech-3.8.0", visqol_mos_lq=mos, reason=reason,
        mouth_to_ear_ms=130.0 if mos else None, mouth_to_ear_spread_ms=12.0 if mos else None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 calls; ten windows, two of them below R 50 and one a guess; every probe leg scored but one."""
    run = healthy(calls=200, messages=5, cells=False, edit_leg=parts).write(tmp_path_factory.mktemp("run"))
    windows = [window(number, 4.0, 120.0) for number in range(6)]
    windows += [window(6, 3.5, 95.0, "calibrated"), window(7, 3.0, 80.0), window(8, 2.0, 60.0)]
    windows += [window(9, 1.2, 20.0, "extrapolated"), window(0, 2.0, 60.0, call_id="call-0000002")]
    write_segments(run / "windows", windows, parts=2)
    with RunStore(find_run(run)) as store:
        names = LegRecord.__struct_fields__
        sql = "SELECT * FROM legs WHERE tier = 'media' AND outcome = 'completed' ORDER BY call_id, side"
        legs = [msgspec.convert(row, LegRecord) for row in store.records(sql)]
    assert set(names) == set(LegRecord.__struct_fields__)
    rows = [probe(leg, (leg.mos_lq or 0) + 0.5) for leg in legs[1:]] + [probe(legs[0], None, "no_time")]
    write_segments(run / "probes", rows, parts=1)
    return run


@pytest.fixture(scope="module")
def summary(run: Path) -> Summary:
    return summarize(run, SMOKE)


def test_the_steps_of_the_funnel_add_up_to_the_set_up_of_each_call(run: Path) -> None:
    with RunStore(find_run(run)) as store:
        make_calls(store, SMOKE.limits)
        steps = " + ".join(f"step_{number}_ms" for number in range(1, 7))
        rows = store.rows(f"SELECT setup_ms, {steps} FROM calls WHERE outcome = '{Outcome.COMPLETED}'")
    assert len(rows) > 100
    for setup_ms, added_ms in rows:
        assert added_ms == pytest.approx(setup_ms, abs=0.01)


def test_the_silence_of_moves_is_told_beside_the_steps(summary: Summary) -> None:
    assert summary.swarm.quality is not None
    moves = summary.swarm.quality.moves
    assert moves is not None
    assert 5 < moves.calls <= 20
    assert (moves.p50_ms, moves.longest_ms) == (650.0, 650.0), "the side that waited longer"
    steps = quality_tables(summary)[0]
    assert steps.rows[-1][0] == "network change"
    assert "a planned one is no gap" in steps.note


def test_every_step_has_its_own_percentiles(summary: Summary) -> None:
    assert summary.swarm.quality is not None
    steps = summary.swarm.quality.steps
    assert [step.step for step in steps][0::6] == ["intended to sent", "all of it"]
    for step in steps:
        assert step.calls > 100
        assert step.p50_ms is not None
        assert step.p99_ms is not None
        assert step.p50_ms <= step.p99_ms <= (step.longest_ms or 0)


def test_windows_keep_the_bad_seconds_and_leave_guesses_out(summary: Summary) -> None:
    assert summary.swarm.quality is not None
    (packets,) = summary.swarm.quality.windows
    assert (packets.windows, packets.mos_lq_median, packets.mos_lq_p5) == (11, 4.0, 2.0)
    assert packets.below_3_1_ratio == pytest.approx(3 / 10)
    assert packets.below_3_6_ratio == pytest.approx(4 / 10)
    assert (packets.heard_s, packets.bad_s) == (55.0, 15.0)
    assert packets.calibrated_ratio == pytest.approx(1 / 11)


def test_a_call_s_bad_share_counts_what_the_model_covers(run: Path) -> None:
    with RunStore(find_run(run)) as store:
        make_calls(store, SMOKE.limits)
        shares = dict(store.rows("SELECT call_id, bad_ratio FROM calls WHERE bad_ratio IS NOT NULL"))
    assert shares == {"call-0000001": pytest.approx(1 / 9), "call-0000002": 1.0}


def test_probes_are_joined_into_their_legs_and_ranked_against_the_model(summary: Summary) -> None:
    assert summary.swarm.quality is not None
    quality = summary.swarm.quality
    caller, callee = quality.probes
    assert (caller.listener, callee.listener) == ("caller", "callee")
    assert caller.legs + callee.legs >= caller.scored + callee.scored + 1 > 10
    assert caller.mouth_to_ear_p50_ms == 130.0
    assert quality.rank_agreement == pytest.approx(1.0)
    assert (quality.unscored, quality.voices) == ({"no_time": 1}, ["espeak-ng"])


def test_mouth_to_ear_is_told_with_its_parts_and_its_clock(summary: Summary) -> None:
    assert summary.swarm.quality is not None
    packets = next(tier for tier in summary.swarm.quality.mouth_to_ear if tier.tier == "packets")
    told = (packets.frame_ms, packets.lookahead_ms, packets.network_ms, packets.playout_ms, packets.p50_ms)
    assert told == (20.0, 6.5, 50.0, 40.0, 116.5)
    assert (packets.clock, packets.uncertainty_ms) == ("same_clock", 0.0038)


def test_terminal_and_page_show_the_same_tables(run: Path, summary: Summary) -> None:
    out = StringIO()
    render(summary, Console(file=out, width=150))
    with RunStore(find_run(run)) as store:
        make_calls(store, SMOKE.limits)
        make_seconds(store)
        page = render_html(store, summary)
    titles = [table.title for table in quality_tables(summary)]
    assert titles == ["Set-up time, stage by stage", "MOS per 5 s window", "Mouth-to-ear delay", "Probe calls"]
    for title in titles:
        assert title in out.getvalue()
        assert title in page
    assert "off by at most 0.004 ms" in page
    assert "not scored: 1 leg (no_time)" in page


def test_a_run_of_an_older_version_has_no_such_part(tmp_path: Path) -> None:
    summary = summarize(healthy(calls=0, cells=False).write(tmp_path), SMOKE)
    assert quality_tables(summary) == []
