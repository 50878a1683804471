from __future__ import annotations

from pathlib import Path

import pytest

from calls.bridge.messages import PersonSpec
from calls.call.blame import BlameEvidence
from calls.call.state_machine import Ending
from calls.engine.identity import EngineIdentity
from calls.engine.people.people import is_poor
from calls.engine.records.leg_record import LegFacts, evidence_of, leg_record, window_rows
from calls.media.interface import AudioWindow, MediaStats
from calls.records.record import Blame, Outcome, Side, Stage
from network_profiles import load_catalogue

IDENTITY = EngineIdentity(Path("run"), "run-1", "matrix-0", "matrix_engine")
SPEC = PersonSpec(name="ann", password="x", link="gprs_2g", cell="d--n--s", attempt=2, persona="far_end")
ENDING = Ending(Outcome.COMPLETED, Blame.NOBODY, "", Stage.ENDED, True)


def facts() -> LegFacts:
    return LegFacts(
        call_id="c",
        side=Side.CALLEE,
        peer="bob",
        media="video",
        scenario="video_fallback",
        intended_at_s=100.0,
        started_at_s=100.0,
        answered_at_s=102.0,
        talk_end_at_s=133.0,
        ended_at_s=133.5,
        audio_target_kbit=24.0,
    )


def window(at_s: float, lost: int = 0, expected: int = 250, mouth_to_ear_ms: float | None = 120.0) -> AudioWindow:
    return AudioWindow(
        start_at_s=at_s,
        duration_s=5.0,
        expected=expected,
        received=expected - lost,
        lost=lost,
        late=0,
        burst_ratio=1.0,
        owd_ms=40.0,
        playout_delay_ms=40.0,
        mouth_to_ear_ms=mouth_to_ear_ms,
        audio_kbit=24.0,
        ptime_ms=20.0,
    )


def stats(*windows: AudioWindow) -> MediaStats:
    return MediaStats(
        failure="",
        peer_link_unreliable=False,
        ice_at_s=102.1,
        dtls_at_s=102.2,
        first_audio_at_s=103.0,
        packets_sent=1500,
        packets_received=1490,
        packets_lost=10,
        packets_late=3,
        packets_duplicate=0,
        packets_reordered=0,
        send_errors=2,
        garbage_datagrams=0,
        effective_loss_ratio=0.009,
        jitter_ms=1.5,
        owd_p50_ms=40.0,
        owd_p95_ms=55.0,
        owd_clock="same_clock",
        owd_uncertainty_ms=0.004,
        owd_negative=0,
        rtt_ms=81.0,
        max_gap_ms=77.0,
        move_gap_ms=2100.0,
        mouth_to_ear_ms=120.0,
        m2e_frame_ms=20.0,
        m2e_lookahead_ms=6.5,
        m2e_network_ms=38.0,
        m2e_playout_ms=55.5,
        talk_spurts=0,
        audio_kbit=23.9,
        ptime_ms=20.0,
        send_late_p99_ms=0.4,
        video_frames_sent=10,
        video_frames_received=11,
        audio_score=0.93,
        heard=None,
        windows=windows,
    )


def test_a_row_carries_what_the_leg_saw() -> None:
    media = stats(window(103.0), window(108.0, lost=25), window(113.0))
    row = leg_record(IDENTITY, SPEC, "2g", facts(), ENDING, BlameEvidence(link_lost=4), media)
    assert (row.run_id, row.writer, row.source, row.cell, row.attempt) == ("run-1", "matrix-0", "matrix", "d--n--s", 2)
    assert (row.network, row.generation, row.link_lost) == ("gprs_2g", "2g", 4)
    assert (row.packets_sent, row.packets_lost, row.send_errors, row.video_frames_received) == (1500, 10, 2, 11)
    assert (row.ice_at_s, row.first_audio_at_s, row.rtt_ms, row.audio_score) == (102.1, 103.0, 81.0, 0.93)
    assert row.talked_s == 30.0
    assert row.mos_lq == pytest.approx(4.25, abs=0.05)
    assert row.mos_lq_worst is not None
    assert row.mos_lq_worst < 3.0
    assert row.mos_cq is not None
    assert row.mos_cq < row.mos_lq
    assert row.mos_grounded


def test_a_leg_without_media_has_no_figures_of_it() -> None:
    row = leg_record(IDENTITY, SPEC, "", facts(), ENDING, BlameEvidence(), None)
    assert (row.packets_sent, row.mos_lq, row.mos_model, row.first_audio_at_s, row.talked_s) == (0, None, "", None, 0.0)


def test_windows_in_which_nothing_was_expected_do_not_count() -> None:
    row = leg_record(IDENTITY, SPEC, "", facts(), ENDING, BlameEvidence(), stats(window(103.0, expected=0)))
    assert row.mos_lq is None
    assert not row.mos_grounded


def test_an_unknown_delay_leaves_listening_quality_alone() -> None:
    row = leg_record(IDENTITY, SPEC, "", facts(), ENDING, BlameEvidence(), stats(window(103.0, mouth_to_ear_ms=None)))
    assert row.mos_lq is not None
    assert row.mos_cq is None


def test_the_first_fall_back_gives_the_time_and_the_last_the_name() -> None:
    told = facts()
    told.fall_back("audio", 110.0)
    told.fall_back("low_audio", 120.0)
    assert (told.fell_back_to, told.fell_back_at_s) == ("low_audio", 110.0)


def test_evidence_comes_from_media_and_link() -> None:
    evidence = evidence_of(stats(), {"loss": 3, "queue": 2, "outage": 1}, 1234.0, peer_is_ours=True)
    assert (evidence.send_errors, evidence.max_gap_ms, evidence.link_dropped) == (2, 77.0, 6)
    assert evidence.link_max_delay_ms == 1234.0
    assert evidence_of(None, {}, 0.0, peer_is_ours=False) == BlameEvidence()


@pytest.mark.parametrize(
    ("network", "rtt_ms", "poor"),
    [
        ("", 20.0, False),
        ("", None, False),
        ("", 501.0, True),
        ("gprs_2g", 300.0, True),
        ("lte_good", 80.0, False),
        ("lte_good", 900.0, True),
    ],
)
def test_a_link_is_poor_when_it_is_narrow_or_far(network: str, rtt_ms: float | None, poor: bool) -> None:
    assert is_poor(load_catalogue()[network] if network else None, rtt_ms) is poor


def test_every_window_becomes_a_row_with_its_own_score() -> None:
    media = stats(window(103.0), window(108.0, lost=25), window(113.0, expected=0))
    record = leg_record(IDENTITY, SPEC, "2g", facts(), ENDING, BlameEvidence(), media)
    good, bad, silent = window_rows(record, facts(), media)

    assert (good.call_id, good.side, good.generation, good.at_s) == (record.call_id, record.side, "2g", 103.0)
    assert good.mos_lq is not None
    assert bad.mos_lq is not None
    assert bad.r_lq is not None
    assert good.mos_lq > 4.1
    assert bad.mos_lq < 3.0
    assert bad.effective_loss_ratio == pytest.approx(25 / bad.expected)
    assert 0 < bad.r_lq < 148
    assert (good.mos_basis, silent.mos_basis, silent.mos_lq) == ("published", "", None)
